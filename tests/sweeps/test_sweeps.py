"""Sweeps: results are those of single simulators, whatever happens to workers."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from multiprocessing import active_children

import nengo
import numpy as np
import pytest
import xarray
from nengo.exceptions import ValidationError

import nengo_jit
from nengo_jit.sweeps import dispatch
from nengo_jit.sweeps.executors import Local

LOCK = threading.Lock()


def sweep(make_network, parameters=None, seeds=None, **options):
    options = {"progress_bar": False, "time": 0.02} | options
    return nengo_jit.sweep(make_network, parameters, seeds, **options)


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


@pytest.mark.parametrize("bits", ["32", "64"])
@pytest.mark.parametrize("stored", [False, True])
def test_each_run_equals_a_single_simulator(stored, bits, tmp_path):
    out = tmp_path / "r.zarr" if stored else None
    nengo.rc["precision"]["bits"] = bits
    try:
        ds = sweep(make_network, {"gain": [0.5, 1], "n": [10, 30]}, range(2), out=out)
        assert ds.spikes.dims == ("gain", "n", "seed", "time", "spikes.0")
        assert ds.spikes.attrs["units"] == "Hz" and ds.spikes.dtype == f"float{bits}"
        for gain in (0.5, 1):
            for n in (10, 30):
                for seed in range(2):
                    run = ds.sel(gain=gain, n=n, seed=seed)
                    decoded, spikes = single(seed, gain=gain, n=n)
                    np.testing.assert_array_equal(run.decoded, decoded)
                    np.testing.assert_array_equal(run.spikes[:, :n], spikes)
                    assert run["spikes.0.size"] == n and np.isnan(run.spikes[:, n:]).all()
    finally:
        nengo.rc["precision"]["bits"] = "64"
    np.testing.assert_allclose(ds.time, 0.001 * np.arange(1, 21))
    assert (ds.error == "").all()


def test_cases_and_objects():
    kinds = {"LIF()": nengo.LIF(), "Tanh()": nengo.Tanh()}
    ds = sweep(make_network, [{"gain": 1.0, "kind": each} for each in kinds.values()], [1])
    assert ds.decoded.dims[:2] == ("case", "seed")
    assert list(ds.kind.values) == [*kinds]
    for case, kind in enumerate(kinds.values()):
        np.testing.assert_array_equal(ds.spikes[case, 0], single(1, kind=kind)[1])


def test_seeds_of_the_network_and_of_noise():
    def seeded():
        network = make_network()
        network.seed = 5
        network.ensembles[0].noise = nengo.processes.WhiteNoise(seed=None)
        return network

    own = sweep(seeded)
    assert own.decoded.dims == ("time", "decoded.0")
    noise = sweep(seeded, seeds=[6, 7], vary="noise")
    np.testing.assert_array_equal(noise.spikes.sel(seed=6), own.spikes)
    assert not np.array_equal(noise.spikes.sel(seed=7), own.spikes)
    with pytest.warns(UserWarning, match="replace the seed of the network") as caught:
        sweep(seeded, seeds=[1, 2, 3])
    assert len(caught) == 1


def test_failed_runs_are_nan_and_are_tried_again(tmp_path):
    mark = tmp_path / "mark"

    def make(gain):
        if gain == 2 and not mark.exists():
            raise ValueError("not yet")
        return make_network(gain)

    ds = sweep(make, {"gain": [1, 2]}, [0, 1], out=tmp_path / "r.zarr").load()
    assert (ds.error.sel(gain=2) == "ValueError: not yet").all()
    assert np.isnan(ds.decoded.sel(gain=2)).all() and not np.isnan(ds.decoded.sel(gain=1)).any()
    mark.write_text("")
    again = sweep(make, {"gain": [1, 2]}, [0, 1], out=tmp_path / "r.zarr")
    assert (again.error == "").all() and not np.isnan(again.decoded).any()
    np.testing.assert_array_equal(again.seconds.sel(gain=1), ds.seconds.sel(gain=1))


def test_a_run_that_kills_its_worker_fails_alone():
    def make(gain):
        if gain == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return make_network(gain)

    ds = sweep(make, {"gain": [1, 2, 3]}, [0])
    assert ds.error.sel(gain=2).item() == "The worker died each time: exit code -9"
    assert (ds.error.sel(gain=[1, 3]) == "").all()


def test_processes_that_a_run_forks_neither_answer_nor_keep_others_waiting():
    def make(gain):
        if os.fork() == 0 and gain == 2:
            time.sleep(60)
        if gain == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return make_network(gain)

    began = time.monotonic()
    ds = sweep(make, {"gain": [1, 2, 3, 4, 5]}, [0])
    assert time.monotonic() - began < 60
    assert list(ds.error[:, 0] == "") == [True, False, True, True, True]
    assert not np.isnan(ds.decoded.sel(gain=[1, 3, 4, 5])).any()


def test_sweeps_may_run_in_threads():
    main = sys.modules["__main__"]
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(sweep(make_network, {"gain": [1, 2]}, [0])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.modules["__main__"] is main
    for ds in found:
        np.testing.assert_array_equal(ds.spikes[1, 0], single(0, gain=2)[1])


def test_workers_killed_at_random_change_nothing(tmp_path):
    calm = sweep(make_network, {"gain": [0.5, 1]}, range(100))
    finished, killed = threading.Event(), []

    def kill():
        rng = random.Random(1)
        while len(killed) < Local.most_losses - 1 and not finished.wait(rng.uniform(0.5, 1.5)):
            workers = [each for each in active_children() if each.name == "nengo-jit sweep"]
            if workers:
                killed.append(rng.choice(workers))
                os.kill(killed[-1].pid, signal.SIGKILL)

    def slow(gain):
        time.sleep(0.01)
        return make_network(gain)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        ds = sweep(slow, {"gain": [0.5, 1]}, range(100), out=tmp_path / "r.zarr")
    finally:
        finished.set()
        killer.join()
    assert killed
    for name in ("error", "decoded", "spikes"):
        np.testing.assert_array_equal(ds[name], calm[name])


def test_other_sweeps_are_refused_by_name(tmp_path):
    def maker(scale):
        return lambda gain: make_network(scale * gain)

    out = tmp_path / "r.zarr"
    sweep(maker(1), {"gain": [1]}, [0], out=out)
    sweep(maker(1), {"gain": [1]}, [0], out=out)
    for named, *arguments, options in (
        (r"make_network's closure variable 'scale' was 1, and is 2", maker(2), [1], {}),
        (r"the parameter 'gain' was \[1\], and is \[2\]", maker(1), [2], {}),
        (r"make_network's code was", lambda gain: make_network(gain + 1), [1], {}),
        (r"the list of seeds was \[0\], and is \[1\]", maker(1), [1], {"seeds": [1]}),
        (r"time was 0.02, and is 0.03", maker(1), [1], {"time": 0.03}),
        (r"use resume or overwrite", maker(1), [1], {"resume": False}),
    ):
        make, values = arguments
        with pytest.raises(ValidationError, match=named):
            sweep(make, {"gain": values}, **({"seeds": [0], "out": out} | options))
    ds = sweep(maker(2), {"gain": [1]}, [0], out=out, overwrite=True)
    np.testing.assert_array_equal(ds.spikes[0, 0], single(0, gain=2)[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.zarr"]


OWN_CLASSES = """
import nengo, numpy as np, nengo_jit
from nengo.builder import Builder

class Mine(nengo.neurons.RectifiedLinear):
    def step(self, dt, J, output):
        output[...] = 2 * np.maximum(J, 0)


@Builder.register(Mine)
def build_mine(model, mine, neurons, **signals):
    build_mine.has_been_called = True
    model.build(nengo.RectifiedLinear(), neurons, **signals)

def make():
    with nengo.Network(seed=1) as network:
        ensemble = nengo.Ensemble(20, 1, neuron_type=Mine())
        nengo.Probe(ensemble.neurons, label="rates")
    return network

ds = nengo_jit.sweep(make, seeds=None, time=0.01)
assert not hasattr(build_mine, "has_been_called")  # in this process
with nengo_jit.Simulator(network := make()) as sim:
    sim.run(0.01)
np.testing.assert_array_equal(ds.rates, sim.data[network.probes[0]])
"""


def test_classes_and_build_functions_of_scripts_count(tmp_path):
    (tmp_path / "script.py").write_text(OWN_CLASSES)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_memory_is_flat_with_a_store(tmp_path, monkeypatch):
    monkeypatch.setattr(dispatch, "MOST_BYTES", 1 << 20)

    def wide(part):
        with nengo.Network() as network:
            nengo.Probe(nengo.Node(np.full(1000, part)), label="wide")
        return network

    sweep(wide, {"part": [0.0]}, out=tmp_path / "first.zarr")  # which imports
    tracemalloc.start()
    try:
        ds = sweep(wide, {"part": range(100)}, time=0.1, out=tmp_path / "r.zarr")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ds.wide.nbytes == 80e6
    assert peak < 16e6
    np.testing.assert_array_equal(ds.wide[:, -1, -1], range(100))


SCRIPT = """
import os, sys, time
import nengo, numpy as np, nengo_jit
folder = sys.argv[1]
def make(gain):
    open(os.path.join(folder, "workers", str(os.getpid())), "w").close()
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(20, 1)
        nengo.Connection(nengo.Node([gain]), ensemble)
        nengo.Probe(ensemble.neurons, label="spikes")
    time.sleep(0.01)
    return network
ds = nengo_jit.sweep(make, {"gain": [0.1, 0.2]}, range(60), time=0.1, out=folder + "/r.zarr")
np.save(folder + "/spikes.npy", ds.spikes.values)
"""


def started(folder):
    (folder / "workers").mkdir(parents=True, exist_ok=True)
    script = folder.parent / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, script, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(") ")[-1][0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGINT] * 2, [signal.SIGKILL]])
def test_an_interrupted_sweep_continues(signals, tmp_path):
    folder = tmp_path / "interrupted"
    with started(folder) as process:
        samples = folder / "r.zarr" / "spikes" / "c"
        wait_until(lambda: process.poll() is not None or len(list(samples.rglob("0"))) > 5)
        for number in signals:
            process.send_signal(number)
        text, errors = process.communicate()
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors or signals == [signal.SIGKILL]
    if len(signals) == 1 and signals[0] == signal.SIGINT:
        assert "runs done in" in text and " left" in text
    wait_until(lambda: not any(is_running(each.name) for each in folder.glob("workers/*")))
    n_before = len(list(samples.rglob("0")))
    assert n_before < 120
    for each in (folder, tmp_path / "calm"):
        with started(each) as process:
            _, errors = process.communicate()
        assert process.returncode == 0, errors
    results = [np.load(each / "spikes.npy") for each in (folder, tmp_path / "calm")]
    np.testing.assert_array_equal(*results)


def test_progress_is_shown_and_summed_up(capsys):
    steps = []

    class Bar(nengo.utils.progress.ProgressBar):
        def update(self, progress):
            steps.append((progress.n_steps, progress.max_steps))

        def close(self):
            pass

    def make(gain):
        return make_network(gain) if gain < 3 else None

    sweep(make, {"gain": [1, 2, 3]}, progress_bar=Bar())
    assert steps[-1] == (3, 3)
    assert capsys.readouterr().out.startswith("2 runs done in ")
    sweep(make, {"gain": [1]})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"parameters": {"unknown": [1]}}, "unexpected keyword argument 'unknown'"),
        ({"parameters": {"kind": [LOCK]}}, "They cannot be pickled"),
        ({"make_network": make_network()}, "Must be a function"),
        ({"make_network": (lambda lock: lambda: lock)(LOCK)}, "It cannot be pickled"),
        ({"make_network": lambda gain: None}, "missing a required argument: 'gain'"),
        ({"probes": "decoded"}, "Must be a list of names"),
        ({"probes": [1]}, "Must be a list of names"),
        ({"vary": "noise"}, "with seeds"),
        ({"vary": "all"}, "'noise'"),
        ({"time": 0.0}, "at least one step"),
        ({"time": float("nan")}, "at least one step"),
    ],
)
def test_bad_arguments_are_refused(arguments, named):
    with pytest.raises(ValidationError, match=named):
        sweep(**({"make_network": make_network} | arguments))


def test_there_are_100_seeds_by_default():
    ds = nengo_jit.sweep(make_network, time=0.002, progress_bar=False)
    assert ds.seed.values.tolist() == [*range(100)]


def test_unknown_probes_are_noticed_before_the_run():
    def make():
        network = make_network()
        with network:
            nengo.Node(lambda t: 1 / 0 if t > 0 else 0.0)
        return network

    ds = sweep(make, probes=["decoded", "nope"])
    assert ds.error.item().endswith("There is no probe 'nope', only ['decoded', 'spikes']")


def test_what_is_missing_is_named(monkeypatch):
    find = nengo_jit.sweeps.sweep.find_spec
    monkeypatch.setattr(
        nengo_jit.sweeps.sweep, "find_spec", lambda name: None if name == "zarr" else find(name)
    )
    with pytest.raises(ImportError, match=r"Sweeps need zarr, .* 'nengo-jit\[sweep\]'"):
        sweep(make_network, out="r.zarr")


def test_importing_the_package_imports_nothing_of_this():
    code = """if True:
        import sys, nengo_jit
        nengo_jit.sweep
        print({"dask", "distributed", "xarray", "zarr", "cloudpickle"} & sys.modules.keys())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as each,
        distributed.Client(each) as client,
    ):
        yield client


def test_a_cluster_gives_the_same(client, tmp_path):
    local = sweep(make_network, {"gain": [1, 2]}, range(4))
    ds = sweep(make_network, {"gain": [1, 2]}, range(4), client=client, out=tmp_path / "r.zarr")
    for name in ("error", "decoded", "spikes"):
        np.testing.assert_array_equal(ds[name], local[name])
    again = sweep(make_network, {"gain": [1, 2]}, range(4), out=tmp_path / "r.zarr")
    xarray.testing.assert_identical(ds, again)


def test_a_client_that_is_closed_is_the_error(tmp_path):
    distributed = pytest.importorskip("distributed")
    out = tmp_path / "r.zarr"

    def make(gain):
        time.sleep(0.1)
        return make_network(gain)

    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as other,
    ):
        closing = threading.Thread(
            target=lambda: (wait_until((out / "decoded").exists), other.close())
        )
        closing.start()
        with pytest.raises(Exception, match="cancelled"):
            sweep(make, {"gain": range(100)}, client=other, out=out)
        closing.join()
    done = xarray.open_zarr(out, consolidated=False).seconds
    assert 0 < np.isfinite(done).sum() < 100


def test_a_run_that_kills_a_worker_of_a_cluster_fails_alone(client):
    def make(gain):
        if gain == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return make_network(gain)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = sweep(make, {"gain": [1, 2, 3]}, [0], client=client)
    assert "died" in ds.error.sel(gain=2).item()
    assert (ds.error.sel(gain=[1, 3]) == "").all()
