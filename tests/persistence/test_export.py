"""Probe data in files and for xarray."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_jit
from nengo_jit.data import SimulationData

xarray = pytest.importorskip("xarray")


def network():
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(6, 2, label="a ball")
        node = nengo.Node(lambda t: t)
        connection = nengo.Connection(a, a, learning_rule_type=nengo.PES(), label="loop")
        net.probes_ = [
            nengo.Probe(a, synapse=0.01),
            nengo.Probe(a.neurons, sample_every=0.002),
            nengo.Probe(a.neurons, "refractory_time", label="rest/time"),
            nengo.Probe(connection, "weights"),
            nengo.Probe(connection.learning_rule, "delta"),
            nengo.Probe(node),
            nengo.Probe(a, synapse=0.01),
            nengo.Probe(a[0], label="time"),
        ]
    return net


NAMES = [
    *["a_ball.decoded_output", "a_ball.output", "rest_time", "loop.weights", "loop.delta"],
    *["probe_5", "a_ball.decoded_output_2", "probe_time"],
]


@pytest.fixture
def sim():
    with nengo_jit.Simulator(network(), progress_bar=False) as made:
        made.run_steps(20)
        yield made


def names_of(found):
    return list(found.data_vars)


def test_xarray(sim):
    found = sim.data.to_xarray()
    names = names_of(found)
    assert names == NAMES
    for probe, name in zip(sim.model.probes, names):
        np.testing.assert_array_equal(found[name].values, sim.data[probe])
        times = sim.trange(sample_every=probe.sample_every)
        np.testing.assert_allclose(found[found[name].dims[0]].values, times)
    assert found["a_ball.decoded_output"].attrs == {
        "units": "1",
        "long_name": "decoded_output of <Ensemble 'a ball'>",
        "object": "<Ensemble 'a ball'>",
        "attribute": "decoded_output",
        "synapse": "Lowpass(tau=0.01)",
    }
    assert found["a_ball.output"].attrs["units"] == "Hz"
    assert found["rest_time"].attrs["units"] == "s"
    assert found.time.attrs["units"] == "s"
    assert (found.attrs["dt"], found.attrs["seed"]) == (0.001, sim.seed)
    assert float(found["probe_5"].sel(time=0.007, method="nearest")[0]) == pytest.approx(0.007)


@pytest.mark.parametrize("label", [None, "a ball game"])
@pytest.mark.parametrize("is_built", [False, True])
def test_data_sets_have_the_label_of_the_network(label, is_built):
    net = nengo.Network(label=label, seed=0)
    model = None
    if is_built:
        model = nengo.builder.Model(dt=0.001)
        model.build(net)
    made = nengo_jit.Simulator(None if is_built else net, model=model, progress_bar=False)
    with made as sim:
        assert sim.data.to_xarray().attrs["label"] == (label or "")


def test_zarr(sim, tmp_path):
    sim.data.save(tmp_path / "out.zarr")
    with xarray.open_zarr(tmp_path / "out.zarr") as found:
        xarray.testing.assert_identical(
            found.load().drop_attrs(deep=False), sim.data.to_xarray().drop_attrs(deep=False)
        )
    with pytest.raises(ValidationError, match="exists"):
        sim.data.save(tmp_path / "out.zarr")
    sim.run_steps(1)
    sim.data.save(tmp_path / "out.zarr", overwrite=True)
    with xarray.open_zarr(tmp_path / "out.zarr") as found:
        assert len(found.time) == 21


def test_npz(sim, tmp_path):
    for _ in range(2):
        sim.data.save(str(tmp_path / "out.npz"))
    names = names_of(sim.data.to_xarray())
    with np.load(tmp_path / "out.npz") as found:
        assert sorted(found.files) == sorted([*names, "time", "time_every_0.002_s"])
        for probe, name in zip(sim.model.probes, names):
            np.testing.assert_array_equal(found[name], sim.data[probe])


def test_data_that_stream(tmp_path):
    with nengo_jit.Simulator(network(), progress_bar=False, record=tmp_path / "run.zarr") as sim:
        sim.run_steps(20)
        sim.data.save(tmp_path / "out.zarr")
        sim.data.save(tmp_path / "out.npz")
        expected = sim.data.to_xarray()
    for name in ("run.zarr", "out.zarr"):
        with xarray.open_zarr(tmp_path / name) as found:
            for each in expected.variables:
                np.testing.assert_array_equal(found[each].values, expected[each].values)
                assert found[each].attrs == expected[each].attrs


def test_no_samples_and_data_that_a_user_has_changed(sim, tmp_path):
    first, second, *_, last = sim.model.probes
    del sim.data.raw[first][:5]
    sim.data.raw[second].extend(np.ones((20, 6)))
    del sim.data.raw[last]
    found = sim.data.to_xarray()
    assert found["a_ball.decoded_output"].shape == (15, 2)
    np.testing.assert_allclose(
        found[found["a_ball.decoded_output"].dims[0]].values, np.arange(6, 21) * 0.001
    )
    assert np.isnan(found[found["a_ball.output"].dims[0]].values[:20]).all()
    assert len(found.data_vars) == 7
    sim.clear_probes()
    sim.data.save(tmp_path / "out.zarr")
    assert sim.data.to_xarray()["a_ball.decoded_output"].shape == (0, 2)


def test_networks_without_probes(tmp_path):
    with nengo_jit.Simulator(nengo.Network(), progress_bar=False) as sim:
        sim.data.save(tmp_path / "out.zarr")
        sim.data.save(tmp_path / "out.npz")
        assert len(sim.data.to_xarray().variables) == 0


@pytest.mark.parametrize("name", ["out", "out.txt", "out.npy", ".zarr/out"])
def test_other_names(sim, tmp_path, name):
    with pytest.raises(ValidationError, match=r"must end in .npz or .zarr"):
        sim.data.save(tmp_path / name)


def test_paths_that_cannot_be_written(sim, tmp_path):
    for name in ("missing/out.npz", "missing/out.zarr"):
        with pytest.raises(FileNotFoundError, match="missing/out"):
            sim.data.save(tmp_path / name)


def test_data_without_a_simulator(tmp_path):
    with pytest.raises(ValidationError, match="data of a simulator"):
        SimulationData({}).save(tmp_path / "out.npz")


LABELS = ["a.0", "a", "a.0.0", "a", "zarr.json", "run.partial", "../..", "x" * 300, "\N{SNOWMAN}"]


def labelled():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(lambda t: [t, -t])
        for label in LABELS:
            nengo.Probe(node, label=label)
        nengo.Probe(node, label="\N{LATIN SMALL LETTER E WITH ACUTE}" * 150)
    return net


def test_labels_that_are_no_names_of_folders(tmp_path):
    """Nor may a probe have the name of a dimension, or of Zarr's own file."""
    run, checkpoint = tmp_path / "run.zarr", tmp_path / "run.ckpt"
    with nengo_jit.Simulator(labelled(), progress_bar=False, record=run) as sim:
        sim.run_steps(3, checkpoint=checkpoint)
    with nengo_jit.Simulator.resume(checkpoint, labelled(), progress_bar=False) as sim:
        sim.run_steps(2)
        sim.data.save(tmp_path / "out.zarr")
        expected = np.asarray(sim.data[sim.model.probes[0]])
        stores = [xarray.open_zarr(tmp_path / name) for name in ("run.zarr", "out.zarr")]
        for found in (sim.data.to_xarray(), *stores):
            assert len(found.data_vars) == len(LABELS) + 1
            for each in found.data_vars.values():
                np.testing.assert_array_equal(each.values, expected)
            found.close()


def test_periods_that_are_almost_equal_have_times_of_their_own(tmp_path):
    with nengo.Network() as net:
        node = nengo.Node(lambda t: t)
        probes = [nengo.Probe(node, sample_every=each) for each in (0.01, 0.0100000001, 0.003)]
    with nengo_jit.Simulator(net, progress_bar=False, record=tmp_path / "run.zarr") as sim:
        sim.run_steps(50)
        expected = [np.asarray(sim.data[each])[:, 0] for each in probes]
        found = sim.data.to_xarray()
    with xarray.open_zarr(tmp_path / "run.zarr") as stored:
        for data in (found, stored):
            for each, times in zip(data.data_vars.values(), expected):
                np.testing.assert_array_equal(each[each.dims[0]].values, times)
    assert {"time_every_0.01_s", "time_every_0.003_s"} < set(found.coords)
