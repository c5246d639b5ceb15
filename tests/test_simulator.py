import gc
import inspect
import pickle
import threading
import warnings
import weakref

import nengo
import numpy as np
import pytest
from nengo.exceptions import (
    BuildError,
    ReadonlyError,
    SimulationError,
    SimulatorClosed,
    ValidationError,
)
from nengo.utils.progress import ProgressBar

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.engines import ENGINES


@pytest.fixture
def network():
    with nengo.Network(seed=0) as net:
        net.stim = nengo.Node(np.sin, label="stim")
        net.ens = nengo.Ensemble(20, 1, label="ens")
        nengo.Connection(net.stim, net.ens)
        net.probe = nengo.Probe(net.ens, synapse=0.01)
    return net


@pytest.fixture
def sim(network):
    with nengo_jit.Simulator(network) as sim:
        yield sim


class RecordingBar(ProgressBar):
    """Keeps what it was told."""

    def __init__(self):
        self.seen = []
        self.closed = False

    def update(self, progress):
        self.seen.append((progress.name_during, progress.n_steps, progress.max_steps))

    def close(self):
        self.closed = True


def test_results_are_nengos(network, sim):
    sim.run(0.1)
    with nengo.Simulator(network, optimize=False) as reference:
        reference.run(0.1)
    assert np.allclose(sim.data[network.probe], reference.data[network.probe], rtol=1e-9, atol=1e-9)
    assert np.array_equal(sim.trange(), reference.trange())


def named_defaults(function):
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def test_signature_is_nengos_and_more_by_keyword():
    more = [
        *[("engine", None), ("threads", None), ("compile_python", None)],
        *[("noise", None), ("record", None), ("overwrite", False)],
    ]
    for name, default in more:
        extra = inspect.signature(nengo_jit.Simulator).parameters[name]
        assert (extra.kind, extra.default) == (inspect.Parameter.KEYWORD_ONLY, default)
    assert named_defaults(nengo_jit.Simulator) == [*named_defaults(nengo.Simulator), *more]


@pytest.mark.parametrize("name", [n for n in dir(nengo.Simulator) if not n.startswith("_")])
def test_public_methods_are_nengos(name):
    theirs = getattr(nengo.Simulator, name)
    ours = getattr(nengo_jit.Simulator, name)
    if callable(theirs):
        more = [("checkpoint", None), ("every", None)] if name in ("run", "run_steps") else []
        assert named_defaults(ours) == [*named_defaults(theirs), *more]
        parameters = inspect.signature(ours).parameters
        assert all(parameters[key].kind is inspect.Parameter.KEYWORD_ONLY for key, _ in more)


def test_clock_has_python_numbers(sim):
    assert (sim.n_steps, sim.time) == (0, 0.0)
    sim.run_steps(5)
    sim.step()
    assert (sim.n_steps, sim.time) == (6, 0.006)
    assert type(sim.n_steps) is int
    assert type(sim.time) is float


def test_dt_is_readonly(network):
    with nengo_jit.Simulator(network, dt=0.002) as sim:
        sim.run(0.01)
        assert (sim.n_steps, sim.dt) == (5, 0.002)
        with pytest.raises(ReadonlyError, match="dt"):
            sim.dt = 0.1


def test_run_rounds_to_the_nearest_step(sim):
    sim.run(0.0016)
    assert sim.n_steps == 2


def test_run_for_no_steps_warns(sim):
    with pytest.warns(UserWarning, match="0 timesteps"):
        sim.run(0)
    assert sim.n_steps == 0


def test_run_backwards_is_an_error(sim):
    with pytest.raises(ValidationError, match="time_in_seconds"):
        sim.run(-0.1)


def test_something_to_run_is_needed():
    with pytest.raises(ValidationError, match="network"):
        nengo_jit.Simulator(None)


def test_seed_is_the_networks_plus_one_unless_given(network):
    with nengo_jit.Simulator(network) as sim:
        assert sim.seed == 1
    with nengo_jit.Simulator(network, seed=7) as sim:
        assert sim.seed == 7


def test_seed_of_an_unseeded_network_comes_from_the_global_generator():
    seeds = []
    for simulator in (nengo_jit.Simulator, nengo.Simulator):
        np.random.seed(3)
        with simulator(nengo.Network()) as sim:
            seeds.append(sim.seed)
    assert seeds[0] == seeds[1]


def test_reset_repeats_and_a_new_seed_changes_noise():
    with nengo.Network(seed=0) as net:
        probe = nengo.Probe(nengo.Node(nengo.processes.WhiteNoise()))
    with nengo_jit.Simulator(net) as sim:
        sim.run(0.01)
        first = sim.data[probe]
        sim.reset()
        assert sim.data[probe].size == 0
        sim.run(0.01)
        assert np.array_equal(sim.data[probe], first)
        sim.reset(seed=99)
        sim.run(0.01)
        assert sim.seed == 99
        assert not np.array_equal(sim.data[probe], first)


def test_clear_probes_keeps_the_state(network, sim):
    sim.run(0.01)
    sim.clear_probes()
    assert sim.n_steps == 10
    sim.run(0.005)
    assert len(sim.data[network.probe]) == 5


@pytest.mark.parametrize(
    "call",
    [
        lambda sim: sim.run(0.1),
        lambda sim: sim.run_steps(1),
        lambda sim: sim.step(),
        lambda sim: sim.reset(),
        lambda sim: sim.__enter__(),
    ],
    ids=["run", "run_steps", "step", "reset", "enter"],
)
def test_a_closed_simulator_does_nothing_more(network, call):
    with nengo_jit.Simulator(network) as sim:
        sim.run(0.01)
    assert sim.closed
    with pytest.raises(SimulatorClosed):
        call(sim)


def test_a_closed_simulator_keeps_its_data(network):
    with nengo_jit.Simulator(network) as sim:
        sim.run(0.01)
    assert sim.data[network.probe].shape == (10, 1)
    assert (sim.n_steps, sim.signals) == (10, None)


def test_an_open_simulator_warns_when_it_is_deallocated(network):
    sim = nengo_jit.Simulator(network)
    with pytest.warns(ResourceWarning, match="deallocated while open"):
        sim.__del__()
    sim.close()


def test_a_simulator_that_could_not_be_made_does_not_warn():
    with nengo.Network() as net:
        nengo.Node(nengo.processes.WhiteSignal(1.0, high=600), size_out=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValidationError, match="Nyquist"):
            nengo_jit.Simulator(net)


def test_trange_follows_sampling(sim):
    sim.run(0.006)
    assert np.allclose(sim.trange(sample_every=0.002), [0.002, 0.004, 0.006])
    with pytest.warns(DeprecationWarning):
        assert np.allclose(sim.trange(dt=0.003), [0.003, 0.006])
    with pytest.raises(ValidationError, match="sample_every"):
        sim.trange(dt=0.001, sample_every=0.001)


def test_signals_read_and_write_live_memory(network, sim):
    encoded = sim.model.sig[network.ens.neurons]["voltage"]
    sim.run(0.01)
    assert np.any(sim.signals[encoded] != 0)
    sim.signals[encoded] = 0.25
    assert np.all(sim.signals[encoded] == 0.25)
    assert encoded in sim.signals
    assert dict(sim.signals.items())[encoded] is sim.signals[encoded]


def test_signals_that_nothing_reads_are_there_between_runs():
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(20, 4)
        squares = array.add_output("square", np.square)
        nengo.Connection(nengo.Node([0.5, 0.1, -0.7, 1]), array.input)
        nengo.Probe(squares, synapse=0.01)
    with nengo_jit.Simulator(net) as sim, nengo.Simulator(net, optimize=False) as reference:
        output, expected = (each.model.sig[array.output]["out"] for each in (sim, reference))
        for run in (lambda s: s.run(0.03), lambda s: s.step(), lambda s: s.reset()):
            run(sim)
            run(reference)
            assert np.allclose(sim.signals[output], reference.signals[expected], rtol=1e-9)
        sim.run(0.02)
        pickled = pickle.dumps({"sim": sim, "output": output})
        expected = sim.signals[output].copy()
        assert np.any(expected != 0)
    loaded = pickle.loads(pickled)
    with loaded["sim"] as sim:
        assert np.array_equal(sim.signals[loaded["output"]], expected)


def test_data_has_every_object(network, sim):
    assert sim.data[network.ens].encoders.shape == (20, 1)
    assert sim.data[network.stim] is None
    assert sim.data[network] is None
    assert set(network.all_objects) <= set(sim.data)
    assert sim.data[network.stim] is None  # asking twice is no error


def test_two_simulators_of_one_model_keep_their_own_data(network):
    model = Model()
    with nengo_jit.Simulator(network, model=model) as first:
        first.run(0.01)
        with nengo_jit.Simulator(None, model=model, seed=1) as second:
            second.run(0.005)
        assert (len(first.data[network.probe]), len(second.data[network.probe])) == (10, 5)


def test_step_order_and_graph_cover_the_model(sim):
    assert set(sim.step_order) == set(sim.model.operators) == set(sim.dg)
    place = {op: i for i, op in enumerate(sim.step_order)}
    assert all(place[op] < place[later] for op in sim.dg for later in sim.dg[op])
    assert sim.step_order == list(sim.plan.operators)


def test_optimize_is_accepted_and_changes_nothing(network):
    data = []
    for optimize in (True, False):
        with nengo_jit.Simulator(network, optimize=optimize) as sim:
            sim.run(0.05)
            assert sim.optimize is optimize
            data.append(sim.data[network.probe])
    assert np.array_equal(*data)


# --- engines


def test_engine_by_name_and_by_environment(network, monkeypatch):
    fastest = next(iter(ENGINES))
    monkeypatch.delenv("NENGO_JIT_ENGINE", raising=False)
    with nengo_jit.Simulator(network) as sim:
        assert sim.engine == fastest
    monkeypatch.setenv("NENGO_JIT_ENGINE", "reference")
    with nengo_jit.Simulator(network) as sim:
        assert sim.engine == "reference"
    monkeypatch.setenv("NENGO_JIT_ENGINE", "no such engine")
    with nengo_jit.Simulator(network, engine="reference") as sim:
        assert sim.engine == "reference"
    with pytest.raises(ValidationError, match=r"'no such engine'; known engines:.*'reference'"):
        nengo_jit.Simulator(network)


def test_engine_is_keyword_only(network):
    with pytest.raises(TypeError):
        nengo_jit.Simulator(network, 0.001, None, None, False, True, "reference")


@pytest.mark.parametrize("threads", [0, -1, "many"])
def test_threads_must_be_a_positive_number(network, monkeypatch, threads):
    with pytest.raises(ValidationError, match="threads"):
        nengo_jit.Simulator(network, threads=threads)
    monkeypatch.setenv("NENGO_JIT_THREADS", str(threads))
    with pytest.raises(ValidationError, match="threads"):
        nengo_jit.Simulator(network)


# --- precision


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_precision_of_nengos_settings_holds_everywhere(bits):
    nengo.rc.set("precision", "bits", str(bits))
    with nengo.Network(seed=0) as net:
        stim = nengo.Node([0.5, -0.4])
        ens = nengo.Ensemble(10, 2)
        conn = nengo.Connection(stim, ens, transform=nengo.Dense((2, 2), np.eye(2)))
        learned = nengo.Connection(ens, ens, learning_rule_type=nengo.PES())
        nengo.Connection(ens, learned.learning_rule)
        conv = nengo.Convolution(1, (2, 1), kernel_size=(1,), strides=(1,))
        nengo.Connection(stim, ens, transform=conv)
        probe = nengo.Probe(ens)
    with nengo_jit.Simulator(net) as sim:
        sim.run(0.01)
        for signal, array in sim.signals.items():
            is_kernel = bits == 16 and "Convolution" in signal.name  # 64 bits, as in nengo
            assert is_kernel or array.dtype in (f"float{bits}", f"int{bits}"), signal
        for field in sim.data[ens]:
            assert field.dtype == f"float{bits}"
        assert sim.data[conn].weights.dtype == f"float{bits}"
        assert sim.data[probe].dtype == f"float{bits}"


# --- progress bars


def test_progress_bars_reach_their_end(network):
    building, running = RecordingBar(), RecordingBar()
    with nengo_jit.Simulator(network, progress_bar=building) as sim:
        sim.run_steps(500, progress_bar=running)
    assert building.closed
    assert building.seen[-1][0] == "Building"
    assert running.closed
    assert running.seen[-1] == ("Simulating", 500, 500)


def test_run_uses_the_simulators_bar_unless_told_otherwise(network):
    own, other = RecordingBar(), RecordingBar()
    with nengo_jit.Simulator(network, progress_bar=own) as sim:
        before = len(own.seen)
        sim.run_steps(3, progress_bar=other)
        assert len(own.seen) == before
        sim.run_steps(3)
        assert own.seen[-1] == ("Simulating", 3, 3)


# --- pickling


def test_pickling_in_mid_run_and_going_on_equals_not_stopping(network):
    with nengo_jit.Simulator(network, dt=0.002, progress_bar=False, optimize=False) as sim:
        sim.run(0.1)
        pickled = pickle.dumps({"sim": sim, "probe": network.probe})
        sim.run(0.1)
        expected = sim.data[network.probe]
    loaded = pickle.loads(pickled)
    with loaded["sim"] as copy:
        assert (copy.n_steps, copy.dt, copy.seed, copy.engine) == (50, 0.002, sim.seed, sim.engine)
        assert (copy.optimize, copy.progress_bar) == (False, False)
        copy.run(0.1)
        assert np.array_equal(copy.data[loaded["probe"]], expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_noise_goes_on_after_unpickling(engine):
    with nengo.Network(seed=0) as net:
        noises = [
            nengo.Node(nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 1)), size_out=3),
            nengo.Node(nengo.processes.FilteredNoise(synapse=nengo.Alpha(0.01)), size_out=2),
            nengo.Node(nengo.processes.WhiteSignal(0.05, high=100), size_out=1),
            nengo.Ensemble(10, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate())),
        ]
        probes = [nengo.Probe(node) for node in noises]
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
        sim.run_steps(7)
        pickled = pickle.dumps({"sim": sim, "probes": probes})
        sim.run_steps(9)
    loaded = pickle.loads(pickled)
    with loaded["sim"] as copy:
        copy.run_steps(9)
        for probe, its_copy in zip(probes, loaded["probes"]):
            assert np.array_equal(sim.data[probe], copy.data[its_copy])


def test_a_reset_seed_and_options_are_pickled(capsys):
    with nengo.Network(seed=0) as net:
        probe = nengo.Probe(nengo.Node(nengo.processes.WhiteSignal(0.05, high=100), size_out=1))
    options = {"engine": "cpu", "threads": 1, "compile_python": "report"}
    with nengo_jit.Simulator(net, progress_bar=False, **options) as sim:
        sim.reset(seed=8)
        pickled = pickle.dumps({"sim": sim, "probe": probe})
        sim.run_steps(9)
        capsys.readouterr()
    loaded = pickle.loads(pickled)
    with loaded["sim"] as copy:
        assert capsys.readouterr().out == ""  # there is one report
        assert (copy.seed, copy.engine, copy._engine.threads) == (8, "cpu", 1)
        copy.run_steps(9)
        assert np.array_equal(sim.data[probe], copy.data[loaded["probe"]])


def test_a_closed_simulator_pickles_as_closed(network):
    with nengo_jit.Simulator(network) as sim:
        sim.run(0.01)
    copy = pickle.loads(pickle.dumps({"sim": sim, "probe": network.probe}))
    assert copy["sim"].closed
    assert np.array_equal(copy["sim"].data[copy["probe"]], sim.data[network.probe])


# --- errors while running


def test_a_failing_step_names_itself_and_leaves_the_last_whole_step():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(lambda t: np.nan if t > 0.0035 else t, label="sensor")
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(node, ens)
        probe = nengo.Probe(ens)
    with nengo_jit.Simulator(net) as sim:
        with pytest.raises(SimulationError, match="non-finite") as info:
            sim.run(1.0)
        assert (sim.n_steps, sim.time) == (3, 0.003)
        assert sim.data[probe].shape == (3, 1)
        assert "step 4" in info.value.__notes__[0]
        assert "sensor" in info.value.__notes__[0]
        assert sim._engine.at_fault.tag == str(node)
        sim.reset()
        sim.run(0.002)
        assert sim.data[probe].shape == (2, 1)


def test_ctrl_c_keeps_the_data_so_far():
    def interrupt(t):
        if t > 0.0105:
            raise KeyboardInterrupt
        return t

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(interrupt))
    bar = RecordingBar()
    with nengo_jit.Simulator(net) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run(1.0, progress_bar=bar)
        assert len(sim.data[probe]) == sim.n_steps == 10
    assert bar.closed


def test_a_network_that_cannot_be_built_names_the_object():
    with nengo.Network() as net:
        nengo.Ensemble(5, 1, intercepts=nengo.dists.Choice([1.5]), label="impossible")
    with pytest.raises(BuildError, match="impossible"):
        nengo_jit.Simulator(net)


# --- as used by graphical front ends


def test_a_subclass_may_step_from_another_thread(network):
    class Stepper(nengo_jit.Simulator):
        pass

    with Stepper(network, progress_bar=False) as sim:
        thread = threading.Thread(target=lambda: [sim.step() for _ in range(5)])
        thread.start()
        thread.join()
        assert sim.n_steps == 5


def test_raw_probe_data_is_a_list_that_may_be_emptied(network, sim):
    sim.run_steps(3)
    raw = sim.data.raw[network.probe]
    last = sim.data[network.probe][-1]
    del raw[:]
    sim.run_steps(3)
    assert sim.data.raw[network.probe] is raw
    assert sim.data[network.probe].shape == (3, 1)
    assert not np.array_equal(sim.data[network.probe][-1], last)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_simulator_is_freed_as_soon_as_nobody_has_it(engine, network):
    with nengo_jit.Simulator(network, engine=engine) as sim:
        sim.run_steps(3)
        assert len(sim.data[network.probe]) == 3
    freed = weakref.ref(sim)
    gc.disable()
    try:
        del sim
        assert freed() is None
    finally:
        gc.enable()
