"""What people reach for on nengo's simulator, its data and its models is there on ours."""

import contextlib
import copy
import importlib
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import nengo
import nengo.builder
import numpy as np
import pytest

import nengo_jit
import nengo_jit.builder
from nengo_jit.engines import ENGINES
from nengo_jit.engines.samples import Samples

# Where nengo's builder keeps what is elsewhere in ours, or is not needed there.
ELSEWHERE = {
    "nengo.builder.connection": {
        "built_attrs": "nengo's own named tuples are used",
        "get_eval_points": "solver.py",
        "build_linear_system": "solver.py",
        "build_decoders": "solver.py",
        "solve_for_decoders": "solver.py",
        "build_solver": "solver.py",
        "build_no_solver": "solver.py",
        "get_targets": "targets.py",
    },
    "nengo.builder.ensemble": {"built_attrs": "nengo's own named tuples are used"},
    "nengo.builder.network": {
        "nullcontext": "of the standard library",
        "_seed_network": "a helper",
        "_set_seed": "a helper",
        "_set_seeded": "a helper",
    },
    "nengo.builder.operator": {
        "reshape_dot": "a helper",
        "BsrDotInc": "made by nengo's optimizer only",
    },
    "nengo.builder.probe": {"probemap": "PROBEABLE"},
    "nengo.builder.transforms": dict.fromkeys(
        [
            *("calc_pad", "calc_gradx_pad", "calc_size", "extract_sliding_windows", "conv2d"),
            *("extract_sliding_windows_gradx", "conv2d_groups", "conv2d_gradx"),
        ],
        "helpers of a third party's, with other algorithms here",
    ),
}
OPTIMIZER = "nengo.builder.optimizer"  # the planner is in its place

MODULES = [
    module.name
    for module in pkgutil.iter_modules(nengo.builder.__path__, "nengo.builder.")
    if not module.ispkg and module.name != OPTIMIZER
]


@pytest.fixture
def network():
    with nengo.Network(seed=0) as net:
        net.stim = nengo.Node(np.sin)
        net.ens = nengo.Ensemble(20, 1)
        net.conn = nengo.Connection(
            net.ens, nengo.Node(size_in=1), learning_rule_type=[nengo.PES(), nengo.BCM()][:1]
        )
        nengo.Connection(net.stim, net.ens)
        nengo.Connection(net.stim, net.conn.learning_rule[0])
        net.probe = nengo.Probe(net.ens, synapse=0.01)
    return net


@pytest.fixture(params=ENGINES)
def sim(network, request):
    with nengo_jit.Simulator(network, engine=request.param, progress_bar=False) as sim:
        yield sim


@pytest.fixture
def reference(network):
    with nengo.Simulator(network, optimize=False, progress_bar=False) as sim:
        yield sim


class TestAttributes:
    @pytest.mark.parametrize("path", ["", "data", "model", "data.raw", "model.decoder_cache"])
    def test_all_of_nengos_are_there(self, sim, reference, path):
        ours, theirs = sim, reference
        for name in filter(None, path.split(".")):
            ours, theirs = getattr(ours, name), getattr(theirs, name)
        missing = {name for name in dir(theirs) if not hasattr(ours, name)}
        assert missing <= {"fromkeys"}  # which makes another dictionary

    @pytest.mark.parametrize("name", MODULES)
    def test_all_of_nengos_builder_is_there(self, name):
        theirs = importlib.import_module(name)
        ours = importlib.import_module(name.replace("nengo.", "nengo_jit.", 1))
        defined = {
            key: value
            for key, value in vars(theirs).items()
            if not key.startswith("__") and getattr(value, "__module__", name) == name
            if not inspect.ismodule(value)
        }
        missing = {key for key in defined if not hasattr(ours, key)}
        assert missing == set(ELSEWHERE.get(name, ()))
        for key in set(defined) - missing:
            value, own = defined[key], getattr(ours, key)
            if key == "SignalDict":  # `sim.signals` is taken for one
                continue
            if inspect.isclass(value):
                assert issubclass(own, value)
                assert [each for each in dir(value) if not hasattr(own, each)] == []
            elif inspect.isfunction(value) and key != "is_sparse":
                parameters = list(inspect.signature(value).parameters.values())
                own_parameters = list(inspect.signature(own).parameters.values())
                assert len(own_parameters) >= len(parameters)
                for one, other in zip(own_parameters, parameters):
                    assert one.default is other.default or one.default == other.default

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (nengo_jit.Simulator, nengo.Simulator),
            (nengo_jit.data.SimulationData, nengo.simulator.SimulationData),
            (nengo_jit.builder.Model, nengo.builder.Model),
            (nengo_jit.builder.Builder, nengo.builder.Builder),
        ],
    )
    def test_types_are_nengos_and_nothing_else_is(self, ours, theirs):
        assert issubclass(ours, theirs)
        for name in dir(theirs):
            if not re.fullmatch("__.*__", name):
                owner = next(each for each in ours.__mro__ if name in vars(each))
                assert owner.__module__.split(".")[0] in ("nengo_jit", "collections"), name

    @pytest.mark.parametrize(
        "name", [name for name in vars(nengo.Simulator) if callable(getattr(nengo.Simulator, name))]
    )
    def test_methods_take_what_nengos_take(self, name):
        def shape(function):
            kinds = inspect.Parameter
            return [
                (each.name, each.default)
                for each in inspect.signature(function).parameters.values()
                if each.kind is kinds.POSITIONAL_OR_KEYWORD
            ]

        ours, theirs = getattr(nengo_jit.Simulator, name), getattr(nengo.Simulator, name)
        if name != "__exit__":
            assert shape(ours) == shape(theirs)
        assert ours.__doc__ or name.startswith("__")

    def test_simulators_and_what_they_have_are_of_nengos_types(self, sim, network):
        assert isinstance(sim, nengo.Simulator)
        assert isinstance(sim.data, nengo.simulator.SimulationData)
        assert isinstance(sim.model, nengo.builder.Model)
        assert isinstance(sim.signals, nengo.builder.signal.SignalDict)
        signal = sim.model.sig[network.ens]["in"]
        sim.signals[signal] = 3
        assert sim.signals.copy()[signal] == 3
        sim.signals.reset(signal)
        assert sim.signals[signal] == 0
        mine = nengo_jit.builder.Signal(np.ones(2))
        sim.signals.init(mine)
        assert np.array_equal(sim.signals[mine], [1, 1])

    def test_what_was_built_is_of_nengos_types_and_in_its_order(self, sim, reference, network):
        assert list(map(type, sim.model.params)) == list(map(type, reference.model.params))
        # a probe's connection is made anew for each simulator, at another address
        probed = [str(each).split(" at 0x")[0] for each in sim.model.params]
        assert probed == [str(each).split(" at 0x")[0] for each in reference.model.params]
        assert list(map(type, sim.data)) == list(map(type, reference.data))
        assert isinstance(sim.data[network.ens], nengo.builder.ensemble.BuiltEnsemble)
        assert isinstance(sim.data[network.conn], nengo.builder.connection.BuiltConnection)

    def test_what_was_built_is_pickled_for_those_who_have_only_nengo(self, sim, network, tmp_path):
        file = tmp_path / "pickled"
        file.write_bytes(pickle.dumps((sim.data[network.ens], sim.data[network.conn].weights)))
        code = (
            "import pickle, sys; sys.modules['nengo_jit'] = None;"
            f"ens, weights = pickle.load(open({str(file)!r}, 'rb'));"
            "print(ens.gain.shape, weights.shape)"
        )
        command = [sys.executable, "-c", code]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert printed == "(20,) (1, 20)\n"

    def test_rng_is_where_nengos_is(self):
        with nengo.Network() as net:
            noise = nengo.processes.WhiteNoise()
            ens = nengo.Ensemble(5, 1, noise=noise)
            nengo.Node(nengo.processes.WhiteSignal(1, 5))
            nengo.Connection(ens, ens, synapse=nengo.Alpha(0.1))
        with nengo.Simulator(net, seed=3, optimize=False, progress_bar=False) as reference:
            expected = reference.rng.randint(1 << 30, size=5)
        for engine in ENGINES:
            with nengo_jit.Simulator(net, seed=3, engine=engine, progress_bar=False) as sim:
                assert np.array_equal(sim.rng.randint(1 << 30, size=5), expected)

    def test_times_are_positive(self, network):
        for dt in (0, -0.001, np.nan, np.inf):
            with pytest.raises(nengo.exceptions.ValidationError, match="above zero"):
                nengo_jit.Simulator(network, dt=dt)


class TestRawData:
    def test_parameters_show_samples(self, sim, network):
        sim.run_steps(30)
        assert len(sim.model.params[network.probe]) == 30
        assert sim._sim_data[network.probe] is sim.data.raw[network.probe]
        sim.data.raw[network.probe] = []
        sim.run_steps(20)
        assert len(sim.data[network.probe]) == len(sim.model.params[network.probe]) == 20
        sim.clear_probes()
        sim.run_steps(10)
        assert len(sim.model.params[network.probe]) == 10
        sim.reset()
        assert len(sim.model.params[network.probe]) == 0

    def test_the_same_array_is_handed_out_until_there_are_more_samples(self, sim, network):
        sim.run_steps(3)
        array = sim.data[network.probe]
        assert sim.data[network.probe] is array
        sim.step()
        assert sim.data[network.probe] is not array

    def test_samples_do_what_lists_do(self):
        samples, rows = Samples((2,), float), [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
        assert samples == [] == samples
        assert samples != [1]
        samples.extend(rows)
        assert len(samples + rows) == len(rows + samples) == len(samples + samples) == 4
        assert np.array_equal(np.array(samples * 2), rows * 2)
        assert np.array_equal(np.array(2 * samples), rows * 2)
        assert isinstance(samples.copy(), list)
        assert samples == samples
        samples += rows
        assert len(samples) == 4
        assert [name for name in dir(list) if not hasattr(samples, name)] == []
        with pytest.raises(ValueError, match="ambiguous"):  # as lists of arrays say
            samples == [*rows, *rows]  # noqa: B015  it raises

    @pytest.mark.parametrize("value", [None, "text", [None, 1.0], 1j])
    def test_samples_are_numbers(self, value):
        samples = Samples((2,), float)
        with pytest.raises(TypeError, match="numbers"):
            samples.append(value)
        assert len(samples) == 0

    def test_raw_data_does_what_dictionaries_do(self, sim, network):
        raw = sim.data.raw
        assert raw.copy().keys() == (raw | {}).keys() == ({} | raw).keys() == raw.keys()
        sim.run_steps(2)
        raw |= {"mine": 3}
        assert sim.data["mine"] == 3
        del raw[network.probe]
        assert network.probe not in sim.data
        assert network.probe not in sim.model.params
        raw[network.probe] = []
        sim.run_steps(2)
        assert len(sim.data[network.probe]) == 2

    def test_data_is_copied_and_pickled(self, sim, network):
        sim.run_steps(3)
        live = copy.copy(sim.data)
        data, raw = copy.deepcopy((sim.data, sim.data.raw))
        pickled = pickle.loads(pickle.dumps(sim.data))
        expected = sim.data[network.probe]
        sim.run_steps(2)
        assert len(live[network.probe]) == 5
        assert len(data) == len(raw) == len(pickled) == len(sim.data)
        for each in (data, pickled, nengo.simulator.SimulationData(raw)):
            probe = next(key for key in each if isinstance(key, nengo.Probe))
            assert np.array_equal(each[probe], expected)
            ens = next(key for key in each if isinstance(key, nengo.Ensemble))
            assert np.array_equal(each[ens].gain, sim.data[network.ens].gain)


class Counting(nengo_jit.Simulator):
    def __init__(self, network, dt=0.001, seed=None, model=None, progress_bar=True, optimize=True):
        self.n_calls = 0
        super().__init__(network, dt, seed, model, progress_bar, optimize)

    def step(self):
        super().step()
        self.n_calls += 1


@pytest.mark.parametrize("engine", ENGINES)
class TestSubclasses:
    def test_its_constructor_is_called_when_it_is_unpickled(self, network, engine, monkeypatch):
        monkeypatch.setenv("NENGO_JIT_ENGINE", engine)
        with Counting(network, progress_bar=False) as sim:
            sim.run_steps(3)
            monkeypatch.delenv("NENGO_JIT_ENGINE")
            with pickle.loads(pickle.dumps(sim)) as other, copy.copy(sim) as third:
                for each in (other, third):
                    each.run_steps(2)
                    assert (each.n_calls, each.n_steps, each.engine) == (2, 5, engine)

    def test_a_step_of_its_own_is_called_for_every_step(self, network, engine):
        class Counting(nengo_jit.Simulator):
            n_calls = 0

            def step(self):
                self.n_calls += 1
                super().step()

        with Counting(network, engine=engine, progress_bar=False) as sim:
            sim.run(0.05)
            sim.run_steps(7)
            assert sim.n_calls == sim.n_steps == len(sim.data[network.probe]) == 57

    def test_a_step_that_is_replaced_is_called(self, network, engine):
        with nengo_jit.Simulator(network, engine=engine, progress_bar=False) as sim:
            step, calls = sim.step, []
            sim.step = lambda: (calls.append(sim.n_steps), step())
            sim.run_steps(5)
            assert calls == [0, 1, 2, 3, 4]
            del sim.step
            sim.run_steps(5)
            assert len(calls) == 5

    def test_one_whose_steps_another_thread_carries_out(self, network, engine):
        class Handing(nengo_jit.Simulator):
            def step(self):
                worker.submit(super().step).result(timeout=10)

        with (
            ThreadPoolExecutor(1) as worker,
            Handing(network, engine=engine, progress_bar=False) as sim,
        ):
            sim.run(0.005)
            assert sim.n_steps == len(sim.data[network.probe]) == 5

    @pytest.mark.parametrize("name", ["step", "_probe", "_probe_step_time"])
    def test_methods_that_are_replaced_from_outside_are_called(
        self, network, engine, name, monkeypatch
    ):
        method, calls = getattr(nengo_jit.Simulator, name), []
        monkeypatch.setattr(
            nengo_jit.Simulator, name, lambda sim: (calls.append(name), method(sim))
        )
        with nengo_jit.Simulator(network, engine=engine, progress_bar=False) as sim:
            calls.clear()
            sim.run_steps(5)
            assert len(calls) == sim.n_steps == len(sim.data[network.probe]) == 5

    @pytest.mark.parametrize("is_kept", [False, True])
    def test_one_that_keeps_what_is_cleared(self, network, engine, reference, is_kept):
        def run(base, **options):
            class Keeping(base):
                def clear_probes(self):
                    for probe in network.all_probes:
                        lengths.append(len(self.data[probe]) if probe in self.data else 0)
                    if not is_kept:
                        super().clear_probes()

            lengths = []
            with Keeping(network, progress_bar=False, **options) as sim:
                if is_kept:
                    base.clear_probes(sim)
                for n_steps in (3, 4):
                    sim.run_steps(n_steps)
                    sim.reset()
                sim.run_steps(2)
                return lengths, len(sim.data[network.probe]), sim.n_steps

        expected = run(nengo.Simulator, optimize=False)
        assert run(nengo_jit.Simulator, engine=engine) == expected

    def test_one_that_records_by_itself(self, network, engine, reference):
        def make(base):
            class Thinning(base):
                def _probe(self):
                    self._probe_step_time()
                    if self.n_steps % 10 == 0:
                        for probe in self.model.probes:
                            value = self.signals[self.model.sig[probe]["in"]]
                            self._sim_data[probe].append(value.copy())

            return Thinning

        with make(nengo_jit.Simulator)(network, engine=engine, progress_bar=False) as sim:
            sim.run_steps(101)
            data = sim.data[network.probe]
            assert sim.n_steps == 101
            sim.reset()
            assert len(sim.data[network.probe]) == sim.n_steps == 0
        with make(nengo.Simulator)(network, optimize=False, progress_bar=False) as theirs:
            theirs.run_steps(101)
            assert np.allclose(data, theirs.data[network.probe])
            assert len(data) == 10

    def test_one_that_looks_at_the_clock(self, network, engine):
        class Clocked(nengo_jit.Simulator):
            def _probe_step_time(self):
                super()._probe_step_time()
                self._time = self._n_steps * 10.0

        with Clocked(network, engine=engine, progress_bar=False) as sim:
            sim.run_steps(3)
            assert (sim.n_steps, sim.time) == (3, 30.0)
            assert len(sim.data[network.probe]) == 3

    def test_steps_by_hand(self, network, engine):
        with nengo_jit.Simulator(network, engine=engine, progress_bar=False) as sim:
            sim.run_steps(20)
            expected = sim.data[network.probe]
            sim.reset()
            assert len(sim._steps) == len(sim._step_order)
            assert sim._step_order is sim.step_order
            for _ in range(20):
                for step in sim._steps:
                    step()
                sim._probe()
            assert sim.n_steps == 20
            assert np.allclose(sim.data[network.probe], expected)

    def test_steps_by_hand_among_others(self, engine):
        with nengo.Network(seed=0) as net:
            ens, other = nengo.Ensemble(20, 2), nengo.Ensemble(20, 2)
            voja = nengo.Connection(
                nengo.Node([0.5, -0.3]), ens, learning_rule_type=nengo.Voja(learning_rate=0.1)
            )
            pes = nengo.Connection(ens, other, learning_rule_type=nengo.PES())
            nengo.Connection(other, pes.learning_rule)
            probes = [nengo.Probe(voja.learning_rule, "scaled_encoders"), nengo.Probe(other)]
            probes.append(nengo.Probe(pes, "weights"))

        def run(make, **options):
            with make(net, progress_bar=False, **options) as sim:
                for _ in range(3):
                    sim.run_steps(4)
                    for _ in range(3):
                        for step in sim._steps:
                            step()
                        sim._probe()
                return [sim.data[probe] for probe in probes]

        expected = run(nengo.Simulator, optimize=False)
        for ours, theirs in zip(run(nengo_jit.Simulator, engine=engine), expected):
            assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-12)

    def test_steps_in_python_are_those_that_run(self, engine):
        """nengo-loihi takes its queues from the functions of its processes."""

        class Counting(nengo.Process):
            def make_step(self, shape_in, shape_out, dt, rng, state):
                steps = []

                def step(t):
                    steps.append((t, rng.randint(1000)))
                    return len(steps)

                step.steps = steps
                return step

        def inner(step):
            return inspect.getclosurevars(step).nonlocals["step_f"]

        def run(make):
            with nengo.Network(seed=0) as net:
                for _ in range(2):
                    nengo.Node(Counting(default_size_in=0, default_size_out=1))
                nengo.Node(nengo.processes.WhiteNoise())
            with make(net) as sim:
                places = [
                    place
                    for place, operator in enumerate(sim._step_order)
                    if isinstance(getattr(operator, "process", None), Counting)
                ]
                steps = [inner(sim._steps[place]).steps for place in places]
                sim.run_steps(5)
                sim._steps[places[0]]()
                assert [len(each) for each in steps] == [6, 5]
                sim.reset()
                assert inner(sim._steps[places[0]]).steps == []
                return steps

        ours = run(lambda net: nengo_jit.Simulator(net, engine=engine, progress_bar=False))
        assert ours == run(lambda net: nengo.Simulator(net, optimize=False, progress_bar=False))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [5.0, "5", None, np.float64(3)])
def test_the_number_of_steps_is_whole(network, engine, steps):
    with nengo_jit.Simulator(network, engine=engine, progress_bar=False) as sim:
        with pytest.raises(TypeError):
            sim.run_steps(steps)
        assert sim.n_steps == 0
        sim.run_steps(np.int32(2))
        sim.run_steps(True)
        assert sim.n_steps == 3


@pytest.mark.parametrize("engine", ENGINES)
class TestReentrance:
    """Functions that are called in a step do something with their own simulator."""

    N_STEPS, AT = 120, 50

    def counts(self, make, act, engine):
        """Steps, samples and calls after a run in which a function acts in one step."""
        calls, box = [], []

        def function(t):
            calls.append(t)
            if box and len(calls) == self.AT:
                act(box[0])
            return np.sin(9 * t)

        with nengo.Network(seed=1) as net:
            stim, ens = nengo.Node(function, size_out=1), nengo.Ensemble(20, 1)
            nengo.Connection(stim, ens)
            probes = [nengo.Probe(stim), nengo.Probe(ens.neurons)]
            probes.append(nengo.Probe(ens, sample_every=0.003))
        with make(net, engine) as sim:
            box.append(sim)
            error = None
            try:
                sim.run_steps(self.N_STEPS)
            except Exception as raised:
                error = raised
            samples = [len(sim.data[probe]) for probe in probes]
            return error, (sim.n_steps, samples, sim.data[probes[0]].tolist(), len(calls))

    @staticmethod
    def ours(net, engine):
        return nengo_jit.Simulator(net, engine=engine, progress_bar=False)

    @staticmethod
    def nengos(net, engine):
        return nengo.Simulator(net, optimize=False, progress_bar=False)

    @pytest.mark.parametrize(
        "act",
        [
            lambda sim: sim.step(),
            lambda sim: sim.run(0.005),
            lambda sim: sim.run_steps(3),
            lambda sim: sim.reset(),
            lambda sim: sim.reset(seed=4),
            lambda sim: sim.clear_probes(),
            lambda sim: (sim.run_steps(2), sim.reset(), sim.step()),
            lambda sim: (sim.trange(), sim.data.raw.copy(), sim.signals),
        ],
    )
    def test_counts_are_nengos(self, engine, act):
        error, expected = self.counts(self.nengos, act, engine)
        assert error is None
        error, counts = self.counts(self.ours, act, engine)
        assert error is None
        assert counts == expected

    def test_numpys_settings_are_those_of_before(self, engine, monkeypatch):
        class Remembering(contextlib.ContextDecorator):  # as NumPy 1 has it
            def __init__(self, **settings):
                self.settings = settings

            def __enter__(self):
                self.before = np.seterr(**self.settings)

            def __exit__(self, *error):
                np.seterr(**self.before)

        before = np.geterr()
        monkeypatch.setattr(np, "errstate", Remembering)
        error, _ = self.counts(self.ours, lambda sim: sim.run_steps(3), engine)
        assert error is None
        assert np.geterr() == before

    def test_closing_ends_the_run_without_that_step(self, engine):
        error, expected = self.counts(self.nengos, lambda sim: sim.close(), engine)
        assert error is not None
        error, counts = self.counts(self.ours, lambda sim: sim.close(), engine)
        assert isinstance(error, nengo.exceptions.SimulatorClosed)
        assert counts == expected
        assert f"step {self.AT}" in error.__notes__[0]
