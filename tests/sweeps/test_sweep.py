"""Sweeps: results are those of single simulators, whatever happens to workers."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_jit

sweep = partial(nengo_jit.sweep, progress_bar=False, time=0.02)


def make_network(gain=1.0, n=20, kind=None):
    with nengo.Network() as network:
        stimulus = nengo.Node(lambda t: gain * np.sin(6 * t))
        ensemble = nengo.Ensemble(n, 1, neuron_type=kind or nengo.LIF())
        nengo.Connection(stimulus, ensemble)
        nengo.Probe(ensemble, synapse=0.01, label="decoded")
        nengo.Probe(ensemble.neurons, label="spikes")
    return network


def single(seed, **parameters):
    network = make_network(**parameters)
    network.seed = seed
    with nengo_jit.Simulator(network, progress_bar=False) as sim:
        sim.run(0.02)
        return [np.array(sim.data[probe]) for probe in network.probes]


@pytest.mark.parametrize("stored", [False, True])
def test_each_run_equals_a_single_simulator(stored, tmp_path):
    out = tmp_path / "r.zarr" if stored else None
    ds = sweep(make_network, {"gain": [0.5, 1]}, range(3), out=out)
    assert ds.decoded.dims == ("gain", "seed", "time", "decoded.0")
    assert ds.decoded.attrs["units"] == "1"
    for gain in (0.5, 1):
        for seed in range(3):
            decoded, spikes = single(seed, gain=gain)
            run = ds.sel(gain=gain, seed=seed)
            np.testing.assert_array_equal(run.decoded, decoded)
            np.testing.assert_array_equal(run.spikes, spikes)
    np.testing.assert_allclose(ds.time, 0.001 * np.arange(1, 21))
    assert (ds.error == "").all()


@pytest.mark.parametrize("stored", [False, True])
def test_sizes_that_vary_are_padded(stored, tmp_path):
    out = tmp_path / "r.zarr" if stored else None
    ds = sweep(make_network, {"n": [10, 30, 20]}, [4], out=out)
    assert ds.spikes.shape == (3, 1, 20, 30)
    assert list(ds["spikes.0.size"].values[:, 0]) == [10, 30, 20]
    assert np.isnan(ds.spikes.sel(n=20)[..., 20:]).all()
    np.testing.assert_array_equal(ds.spikes.sel(n=20, seed=4)[:, :20], single(4, n=20)[1])


def test_objects_as_parameters_have_names():
    ds = sweep(make_network, {"kind": [nengo.LIF(), nengo.Tanh()]}, [1])
    assert list(ds.kind.values) == ["LIF()", "Tanh()"]


def test_cases_are_listed():
    ds = sweep(make_network, [{"gain": 1.0, "n": 5}, {"gain": 2.0, "n": 5}], [1])
    assert ds.decoded.dims[:2] == ("case", "seed")
    np.testing.assert_array_equal(ds.gain, [1, 2])


def test_seeds_of_the_network_and_of_noise():
    def seeded():
        network = make_network()
        network.seed = 5
        network.ensembles[0].noise = nengo.processes.WhiteNoise(seed=None)
        return network

    own = sweep(seeded, seeds=None)
    assert own.decoded.dims == ("time", "decoded.0")
    noise = sweep(seeded, seeds=[6, 7], vary="noise")
    np.testing.assert_array_equal(noise.spikes.sel(seed=6), own.spikes)
    assert not np.array_equal(noise.spikes.sel(seed=7), own.spikes)


def test_failed_runs_are_nan_and_are_tried_again(tmp_path):
    mark = tmp_path / "mark"

    def make(gain):
        if gain == 2 and not mark.exists():
            raise ValueError("not yet")
        return make_network(gain)

    ds = sweep(make, {"gain": [1, 2]}, [0, 1], out=tmp_path / "r.zarr")
    assert (ds.error.sel(gain=2) == "ValueError: not yet").all()
    assert np.isnan(ds.decoded.sel(gain=2)).all() and not np.isnan(ds.decoded.sel(gain=1)).any()
    seconds = ds.seconds.sel(gain=1).values.copy()
    mark.write_text("")
    again = sweep(make, {"gain": [1, 2]}, [0, 1], out=tmp_path / "r.zarr")
    assert (again.error == "").all() and not np.isnan(again.decoded).any()
    np.testing.assert_array_equal(again.seconds.sel(gain=1), seconds)


def test_a_run_that_kills_its_worker_fails_alone():
    def make(gain):
        if gain == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return make_network(gain)

    ds = sweep(make, {"gain": [1, 2, 3]}, [0])
    assert "died" in ds.error.sel(gain=2).item()
    assert (ds.error.sel(gain=[1, 3]) == "").all()


def test_workers_killed_now_and_then_change_nothing(tmp_path):
    folder = str(tmp_path)

    def make(gain):
        mark = os.path.join(folder, str(gain))
        if gain % 7 == 0 and not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return make_network(gain / 50)

    ds = sweep(make, {"gain": range(50)}, [0])
    calm = sweep(make, {"gain": range(50)}, [0])
    assert (ds.error == "").all()
    np.testing.assert_array_equal(ds.spikes, calm.spikes)


def test_other_sweeps_are_refused_by_name(tmp_path):
    def maker(scale):
        return lambda gain: make_network(scale * gain)

    out = tmp_path / "r.zarr"
    sweep(maker(1), {"gain": [1]}, [0], out=out)
    sweep(maker(1), {"gain": [1]}, [0], out=out)
    with pytest.raises(ValidationError, match=r"closure variable 'scale' was 1, and is 2"):
        sweep(maker(2), {"gain": [1]}, [0], out=out)
    with pytest.raises(ValidationError, match=r"parameter 'gain' was \[1\], and is \[2\]"):
        sweep(maker(1), {"gain": [2]}, [0], out=out)
    with pytest.raises(ValidationError, match=r"make_network.s code was"):
        sweep(lambda gain: make_network(gain + 1), {"gain": [1]}, [0], out=out)
    ds = sweep(maker(2), {"gain": [1]}, [0], out=out, overwrite=True)
    np.testing.assert_array_equal(ds.spikes[0, 0], single(0, gain=2)[1])


SCRIPT = """
import sys, nengo, numpy as np, nengo_jit
def make(gain):
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(20, 1)
        nengo.Connection(nengo.Node([gain]), ensemble)
        nengo.Probe(ensemble.neurons, label="spikes")
    return network
ds = nengo_jit.sweep(make, {"gain": [0.1, 0.2]}, range(100), time=0.1, out=sys.argv[1],
                     progress_bar=False)
np.save(sys.argv[1] + ".npy", ds.spikes.values)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_sweep_continues(how, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(name):
        return subprocess.Popen([sys.executable, script, tmp_path / name], stderr=subprocess.PIPE)

    process = start("a")
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "a" / "spikes" / "c").rglob("0"))) < 5:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    process.wait()
    process.stderr.close()
    for name in ("a", "b"):
        with start(name) as process:
            assert process.wait(120) == 0, process.stderr.read()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))


def test_a_cluster_gives_the_same(tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        ds = sweep(lambda gain: make_network(gain), {"gain": [1, 2]}, range(4), client=client)
    local = sweep(lambda gain: make_network(gain), {"gain": [1, 2]}, range(4))
    np.testing.assert_array_equal(ds.spikes, local.spikes)


def test_bad_arguments_are_refused():
    for arguments in (
        {"parameters": {"unknown": [1]}},
        {"parameters": {"gain": []}},
        {"parameters": {"time": [1]}},
        {"seeds": [1, 1]},
        {"vary": "noise"},
        {"time": 0.0},
    ):
        with pytest.raises(ValidationError):
            nengo_jit.sweep(make_network, **arguments)
