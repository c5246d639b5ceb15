"""What the plots show."""

import nengo
import numpy as np
import pytest
from matplotlib.figure import Figure
from nengo.exceptions import ValidationError

import nengo_jit
from nengo_jit import plot


@pytest.fixture(scope="module")
def sim():
    with nengo.Network(seed=1) as network:
        network.node = nengo.Node([0.5, -1])
        network.ensemble = nengo.Ensemble(20, 2, label="pair", radius=2)
        nengo.Connection(network.node, network.ensemble)
        network.decoded = nengo.Probe(network.ensemble, synapse=0.01, label="decoded")
        network.spikes = nengo.Probe(network.ensemble.neurons, sample_every=0.002)
        network.rates = nengo.Probe(network.ensemble.neurons, synapse=0.1)
    with nengo_jit.Simulator(network, engine="reference", progress_bar=False) as sim:
        sim.run(0.1)
        sim.network = network
        yield sim


@pytest.fixture
def ax():
    return Figure().subplots()


def test_values_are_lines_over_seconds(sim, ax):
    assert plot.values(sim, sim.network.decoded, ax) is ax
    assert len(ax.lines) == 2
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), sim.trange())
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), sim.data[sim.network.decoded][:, 1])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "decoded output")
    assert ax.get_title() == "decoded"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]


def test_raster_has_a_mark_for_each_spike(sim, ax):
    plot.raster(sim, sim.network.spikes, ax)
    spikes = sim.data[sim.network.spikes]
    (marks,) = ax.lines
    assert len(marks.get_xdata()) == np.count_nonzero(spikes) > 0
    sample, neuron = np.argwhere(spikes)[-1]
    time = sim.trange(sample_every=0.002)[sample]
    assert (time, neuron) in zip(marks.get_xdata(), marks.get_ydata())
    assert ax.get_title() == "pair.neurons output"


def test_tuning_curves_are_those_of_nengo(sim, ax):
    plot.tuning_curves(sim, sim.network.ensemble, ax)
    assert len(ax.lines) == 20
    assert ax.get_xlim() == (-2, 2)
    x = np.zeros((101, 2))
    x[:, 0] = np.linspace(-2, 2, 101)
    _, rates = nengo.utils.ensemble.tuning_curves(sim.network.ensemble, sim, inputs=x)
    np.testing.assert_array_equal(np.array([line.get_ydata() for line in ax.lines]).T, rates)
    assert (ax.get_ylabel(), ax.get_title()) == ("firing rate (Hz)", "pair")


def test_similarity_is_a_dot_product(sim, ax):
    class Pointer:
        v = (0, 2)

    plot.similarity(sim, sim.network.decoded, {"X": [1, 0], "Y": Pointer()}, ax)
    samples = sim.data[sim.network.decoded]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), samples[:, 0])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 2 * samples[:, 1])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["X", "Y"]


def test_similarity_refuses_vectors_of_another_size(sim):
    with pytest.raises(ValidationError, match=r"3 numbers .* samples of 2"):
        plot.similarity(sim, sim.network.decoded, np.ones((4, 3)))


def test_axes_are_made_if_none_are_given(sim):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    ax = plot.values(sim, sim.network.decoded)
    assert ax.lines
    pyplot.close(ax.figure)


def test_all_probes_are_drawn_by_their_kind(sim):
    axes = plot.probes(sim).axes
    assert [ax.get_ylabel() for ax in axes] == ["decoded output", "neuron", "output"]
    assert [ax.get_xlabel() for ax in axes] == ["", "", "time (s)"]
    assert [len(ax.lines) for ax in axes] == [2, 1, 20]


def test_deleted_samples_do_not_shift_times(ax):
    with nengo.Network() as network:
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with nengo_jit.Simulator(network, engine="reference", progress_bar=False) as sim:
        sim.run_steps(10)
        sim.clear_probes()
        sim.run_steps(5)
        plot.values(sim, probe, ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), ax.lines[0].get_xdata())


def test_a_simulator_without_probes_can_be_drawn():
    with nengo_jit.Simulator(nengo.Network(), engine="reference", progress_bar=False) as sim:
        assert plot.probes(sim).texts[0].get_text() == "no probes"


@pytest.fixture(scope="module")
def swept():
    def make(gain, kind):
        with nengo.Network() as network:
            node = nengo.Node([gain, -gain] if kind == "up" else [0.0, 0.0])
            nengo.Probe(node, label="values")
        if gain == 3:
            raise ValueError
        return network

    return nengo_jit.sweep(
        make, {"gain": [2, 1, 3], "kind": ["up", "off"]}, range(4), time=0.01, progress_bar=False
    )


def test_sweeps_have_means_and_spreads_over_seeds(swept, ax):
    assert plot.sweep(swept, "gain", lambda ds: ds["values"][..., 0] + ds.seed, ax) is ax
    up, off = ax.lines
    assert up.get_xdata().tolist() == [1, 2, 3]
    np.testing.assert_array_equal(up.get_ydata(), [2.5, 3.5, np.nan])
    np.testing.assert_array_equal(off.get_ydata(), [1.5, 1.5, np.nan])
    (path,) = ax.collections[0].get_paths()
    spread = np.std(range(4))
    assert path.vertices[:, 1].min() == 2.5 - spread and path.vertices[:, 1].max() == 3.5 + spread
    assert ax.get_xlabel() == "gain"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["up", "off"]
    assert ax.get_legend().get_title().get_text() == "kind"


def test_parameters_that_are_nan_are_left_out(swept, ax):
    shown = swept.sel(kind="up").isel(gain=[1, 0, 1])
    shown["gain"] = [2.0, np.nan, 1.0]
    plot.sweep(shown, "gain", "values", ax)
    (line,) = ax.lines
    assert line.get_xdata().tolist() == [1, 2]
    assert line.get_ydata()[0] == line.get_ydata()[1]


def test_sweeps_over_time_and_texts(swept, ax):
    plot.sweep(swept.sel(kind="up"), "time", swept["values"][..., 1].sel(kind="up"), ax)
    assert len(ax.lines) == 3 and ax.get_xlabel() == "time (s)" and ax.get_ylabel() == "values"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.full(10, -2.0))
    texts = Figure().subplots()
    plot.sweep(swept, "kind", "values", texts)
    assert texts.lines[0].get_xdata().tolist() == ["up", "off"]
    seeds = Figure().subplots()
    plot.sweep(swept.sel(kind="up", gain=2), "seed", "seconds", seeds)
    assert seeds.get_ylabel() == "seconds (s)" and len(seeds.lines[0].get_xdata()) == 4
    with pytest.raises(ValidationError, match="'nothing' is none of"):
        plot.sweep(swept, "nothing", "values", seeds)
    for y, named in [("error", "no numbers"), ("nothing", "is none of"), (3, "xarray.DataArray")]:
        with pytest.raises(ValidationError, match=named):
            plot.sweep(swept, "gain", y, seeds)


def test_cases_with_the_same_value_are_one_point(ax):
    def make(gain, other):
        with nengo.Network() as network:
            nengo.Probe(nengo.Node([gain + other]), label="values")
        return network

    cases = [{"gain": gain, "other": other} for gain in (1, 2) for other in (0, 1)]
    ds = nengo_jit.sweep(make, cases, None, time=0.01, progress_bar=False)
    plot.sweep(ds, "gain", "values", ax)
    assert ax.lines[0].get_xdata().tolist() == [1, 2]
    assert ax.lines[0].get_ydata().tolist() == [1.5, 2.5]
