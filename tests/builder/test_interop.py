"""What was written for nengo's builder, at work in ours: build functions, operators, models."""

import importlib
import re

import nengo
import numpy as np
import pytest
from comparing import simulators
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Reset, SimPyFunc
from nengo.solvers import LstsqL2

import nengo_jit
import nengo_jit.builder
from nengo_jit.builder.interop import (
    OURS,
    third_party_build_function,
    use_our_build_functions,
    use_our_operators,
)

N_STEPS = 30
NENGOS_MODULES = [
    importlib.import_module(f"nengo.builder.{name}")
    for name in ("operator", "learning_rules", "neurons", "probe", "processes", "transforms")
]


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """Copies of both registries of build functions, which are thrown away after the test."""
    for builder in (nengo.builder.Builder, nengo_jit.builder.Builder):
        monkeypatch.setattr(builder, "builders", dict(builder.builders))


def register(cls):
    """Register with nengo, like third-party code does."""
    return nengo.builder.Builder.register(cls)


def our_simulator(net=None, **arguments):
    return nengo_jit.Simulator(net, progress_bar=False, engine="reference", **arguments)


def nengos_simulator(net=None, **arguments):
    return nengo.Simulator(net, progress_bar=False, optimize=False, **arguments)


def run(sim, n_steps=N_STEPS):
    with sim:
        sim.run_steps(n_steps)
    return sim


def assert_same_data(ours, nengos, probes):
    assert probes
    for probe in probes:
        assert len(ours.data[probe]) == N_STEPS
        np.testing.assert_array_equal(ours.data[probe], nengos.data[probe], err_msg=str(probe))


def assert_same_run(net):
    ours, nengos = map(run, simulators(net))
    assert_same_data(ours, nengos, net.all_probes)
    return ours


def make_network():
    """A network with operators of every type that nengo knows but time and resets."""
    with nengo.Network(seed=9) as net:
        stimulus = nengo.Node(nengo.processes.WhiteSignal(1, high=30, seed=1), size_out=2)
        node = nengo.Node(lambda t, x: x[::-1], size_in=2)
        ens = nengo.Ensemble(10, 2, n_eval_points=40, noise=nengo.processes.WhiteNoise())
        post = nengo.Ensemble(10, 2, n_eval_points=40)
        canvas = nengo.Node(size_in=9)
        nengo.Connection(stimulus, ens)
        nengo.Connection(ens, node[[1, 0]], function=np.square)
        nengo.Connection(node, canvas[:2], transform=nengo.Sparse((2, 2), indices=[[0, 1]]))
        nengo.Connection(
            canvas,
            canvas[:4],
            transform=nengo.Convolution(
                1, (3, 3, 1), kernel_size=(2, 2), init=np.ones((2, 2, 1, 1))
            ),
        )
        nengo.Connection(
            canvas[:4],
            canvas,
            transform=nengo.ConvolutionTranspose(
                1, (2, 2, 1), kernel_size=(2, 2), init=np.full((2, 2, 1, 1), 0.1)
            ),
        )
        nengo.Connection(node, post.neurons[3:5])
        for rule in (nengo.PES(1e-3), nengo.RLS(1e-2), nengo.Voja(learning_rate=0.01)):
            conn = nengo.Connection(ens, post, learning_rule_type=rule)
            if conn.learning_rule.size_in == 2:
                nengo.Connection(node, conn.learning_rule)
        nengo.Connection(
            ens,
            post,
            solver=LstsqL2(weights=True),
            learning_rule_type=[nengo.BCM(1e-9), nengo.Oja(1e-7)],
        )
        for target in (stimulus, node, canvas, ens, post, post.neurons):
            nengo.Probe(target, synapse=0.01 if target is ens else None)
    return net


# --- build functions for users' own types


class Drift(nengo.learning_rules.LearningRuleType):
    """A rule by which decoders change steadily."""

    modifies = "decoders"
    probeable = ("delta",)

    def __init__(self):
        super().__init__(1e-4, size_in=0)


class Countdown(nengo.Process):
    """A process that has a build function of its own."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        raise NotImplementedError("built in another way")

    def make_step(self, shape_in, shape_out, dt, rng, state):
        raise NotImplementedError("built in another way")


class Louder(nengo.Node):
    """A node that has a build function of its own."""


def register_drift():
    @register(Drift)
    def build_drift(model, drift, rule):
        delta = model.sig[rule]["delta"]
        change = nengo.builder.Signal(np.full(delta.shape, drift.learning_rate), name="change")
        model.add_op(Reset(delta))
        model.add_op(Copy(change, delta, inc=True))


def test_a_users_learning_rule_works():
    register_drift()
    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(10, 1)
        conn = nengo.Connection(ens, ens, learning_rule_type=Drift())
        weights = nengo.Probe(conn, "weights")
        nengo.Probe(conn.learning_rule, "delta")
        nengo.Probe(ens)
    ours = assert_same_run(net)
    np.testing.assert_allclose(np.diff(ours.data[weights], axis=0), 1e-4)


def test_a_users_process_works():
    @register(Countdown)
    def build_countdown(model, process, sig_in=None, sig_out=None, mode="set"):
        model.add_op(SimPyFunc(sig_out, lambda t: 1 - t, model.time, None))

    with nengo.Network(seed=1) as net:
        probe = nengo.Probe(nengo.Node(Countdown(), size_out=1))
    ours = assert_same_run(net)
    np.testing.assert_allclose(ours.data[probe][:2, 0], [0.999, 0.998])


def test_a_users_node_works():
    @register(Louder)
    def build_louder(model, node):
        sig = nengo.builder.Signal(shape=node.size_in, name="in")
        model.add_op(Reset(sig))
        out = nengo.builder.Signal(shape=node.size_out, name="out")
        model.add_op(SimPyFunc(out, lambda x: 10 * x, None, sig))
        model.sig[node].update({"in": sig, "out": out})
        model.params[node] = "loud"

    with nengo.Network(seed=1) as net:
        node = Louder(size_in=2)
        plain = nengo.Node(size_in=2)
        nengo.Connection(nengo.Node([1, 2]), node, synapse=None)
        nengo.Connection(node, plain, synapse=None)
        probe = nengo.Probe(plain)
    ours = assert_same_run(net)
    np.testing.assert_array_equal(ours.data[probe][0], [10, 20])
    assert ours.data[node] == "loud"


def test_a_users_neurons_may_use_the_function_that_nengo_has_for_all_neurons():
    class OwnLIF(nengo.LIF):
        pass

    register(OwnLIF)(nengo.builder.neurons.build_neurons)
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Ensemble(10, 1, neuron_type=OwnLIF()).neurons)
    assert_same_run(net)


def test_a_users_type_may_use_a_function_that_nengo_has_for_another_type():
    class OwnSpiking(nengo.neurons.NeuronType):
        """Spikes from the rates of another type, but not a `RatesToSpikesNeuronType`."""

        base_type = nengo.LIFRate()

        def gain_bias(self, max_rates, intercepts):
            return self.base_type.gain_bias(max_rates, intercepts)

        def max_rates_intercepts(self, gain, bias):
            return self.base_type.max_rates_intercepts(gain, bias)

        def step(self, dt, J, output):
            output[...] = np.round(J)

    register(OwnSpiking)(nengo.builder.neurons.build_rates_to_spikes)
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Ensemble(10, 1, neuron_type=OwnSpiking()).neurons)
    assert_same_run(net)


# --- build functions for nengo's types


def test_a_users_function_for_a_type_of_nengos_wins():
    built = []

    with pytest.warns(UserWarning, match="Overwriting"):

        @register(nengo.Ensemble)
        def build_ensemble(model, ens):
            built.append(ens)
            signal = nengo.builder.Signal(np.ones(ens.n_neurons), name="out")
            model.sig[ens.neurons]["out"] = model.sig[ens]["out"] = signal
            model.params[ens] = "my own"

    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(3, 1)
        probe = nengo.Probe(ens.neurons)
    ours = run(our_simulator(net))
    assert built == [ens]
    assert ours.data[ens] == "my own"
    np.testing.assert_array_equal(ours.data[probe], 1)


def test_a_users_function_may_call_the_one_of_nengos_that_it_replaces():
    def build_lif(model, lif, neurons):
        nengo.builder.neurons.build_neurons(model, lif, neurons)
        model.sig[neurons]["extra"] = model.sig[neurons]["voltage"]

    register(nengo.LIF)(build_lif)
    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(10, 1)
        nengo.Probe(ens.neurons)
    ours = assert_same_run(net)
    assert "extra" in ours.model.sig[ens.neurons]


def test_a_users_function_may_call_ours():
    def build_lif(model, lif, neurons):
        nengo_jit.builder.build_lif(model, lif, neurons)
        model.sig[neurons]["extra"] = model.sig[neurons]["voltage"]

    register(nengo.LIF)(build_lif)
    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(10, 1)
        nengo.Probe(ens.neurons)
    ours = assert_same_run(net)
    assert "extra" in ours.model.sig[ens.neurons]


def test_functions_of_nengos_own_do_not_win():
    net = make_network()
    model = nengo_jit.builder.Model()
    model.build(net)
    assert {type(op).__module__.split(".")[0] for op in model.operators} == {"nengo_jit"}
    signals = {signal for op in model.operators for signal in op.all_signals}
    assert {type(signal) for signal in signals} == {nengo_jit.builder.Signal}


def test_our_function_for_a_class_wins_over_one_of_the_users_for_its_base():
    class Thing:
        pass

    class SpecialThing(Thing):
        pass

    register(Thing)(lambda model, thing: "registered with nengo")
    nengo_jit.builder.Builder.register(SpecialThing)(lambda model, thing: "registered with us")
    assert nengo_jit.builder.Model().build(SpecialThing()) == "registered with us"
    assert nengo_jit.builder.Model().build(Thing()) == "registered with nengo"


@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIF(),
        nengo.LIFRate(),
        nengo.AdaptiveLIF(),
        nengo.AdaptiveLIFRate(),
        nengo.RectifiedLinear(),
    ],
    ids=str,
)
def test_the_users_function_for_all_neurons_is_used_wherever_nengo_uses_it(neuron_type):
    built = []

    def build_neurons(model, neuron_type, neurons):
        built.append(neuron_type)
        nengo.builder.neurons.build_neurons(model, neuron_type, neurons)

    with pytest.warns(UserWarning, match="Overwriting"):
        register(nengo.neurons.NeuronType)(build_neurons)
    with nengo.Network(seed=1) as net:
        nengo.Ensemble(10, 1, neuron_type=neuron_type)
    for model in (nengo.builder.Model(), nengo_jit.builder.Model()):
        built.clear()
        model.build(net)
        assert built == [neuron_type]


@pytest.mark.parametrize(
    "process", [nengo.Lowpass(0.01), nengo.Alpha(0.01), nengo.processes.WhiteNoise()], ids=str
)
def test_the_users_function_for_all_processes_is_used_wherever_nengo_uses_it(process):
    built = []

    def build_process(model, process, sig_in=None, sig_out=None, mode="set"):
        built.append(process)
        return nengo.builder.processes.build_process(model, process, sig_in, sig_out, mode)

    with pytest.warns(UserWarning, match="Overwriting"):
        register(nengo.Process)(build_process)
    with nengo.Network(seed=1) as net:
        nengo.Node(process, size_in=1, size_out=1)
    for model in (nengo.builder.Model(), nengo_jit.builder.Model()):
        built.clear()
        model.build(net)
        assert built == [process]


def test_the_users_function_for_a_class_wins_over_ours_for_its_base():
    class Special(nengo.LIF):
        pass

    called = []

    def build_special(model, neuron_type, neurons):
        called.append(neuron_type)
        nengo_jit.builder.build_lif(model, neuron_type, neurons)

    register(Special)(build_special)
    with nengo.Network(seed=1) as net:
        nengo.Ensemble(10, 1, neuron_type=Special())
    nengo_jit.builder.Model().build(net)
    assert called == [Special()]


def test_at_the_same_class_the_users_function_wins_over_one_registered_with_us():
    class Thing:
        pass

    nengo_jit.builder.Builder.register(Thing)(lambda model, thing: "registered with us")
    register(Thing)(lambda model, thing: "registered with nengo")
    assert nengo_jit.builder.Model().build(Thing()) == "registered with nengo"


def test_a_function_that_is_registered_later_is_found():
    class Thing:
        pass

    model = nengo_jit.builder.Model()
    with pytest.raises(nengo.exceptions.BuildError):
        model.build(Thing())
    register(Thing)(lambda model, thing: "built")
    assert model.build(Thing()) == "built"


@pytest.mark.parametrize(
    "cls",
    [
        nengo.Connection,
        nengo.Convolution,
        nengo.Dense,
        nengo.Ensemble,
        nengo.Network,
        nengo.Node,
        nengo.PES,
        nengo.Probe,
        nengo.Process,
        nengo.connection.LearningRule,
        nengo.neurons.NeuronType,
        nengo.neurons.RatesToSpikesNeuronType,
        nengo.solvers.NoSolver,
        nengo.solvers.Solver,
    ],
)
def test_functions_of_nengos_own_are_not_third_party(cls):
    assert cls in nengo.builder.Builder.builders
    assert third_party_build_function(cls) is None


def test_functions_of_others_are_third_party():
    class Thing:
        pass

    class SpecialThing(Thing):
        pass

    def build_thing(model, thing):
        pass

    assert third_party_build_function(Thing) is None
    register(Thing)(build_thing)
    assert third_party_build_function(Thing) is build_thing
    assert third_party_build_function(SpecialThing) is None


# --- nengo's signals and operators in our model


def our_model_with(*operators):
    model = nengo_jit.builder.Model()
    for operator in operators:
        model.add_op(operator)
    return model


@pytest.mark.parametrize("signal_type", [nengo.builder.Signal, nengo_jit.builder.Signal])
def test_operators_of_nengos_run_on_signals_of_either(signal_type):
    a = signal_type(np.array([1.0, 2.0]), name="a")
    matrix = signal_type(np.array([[1.0, 1.0], [0.0, 3.0]]), name="matrix")
    copied = signal_type(shape=(2,), name="copied")
    multiplied = signal_type(shape=(2,), name="multiplied")
    scaled = signal_type(shape=(2,), name="scaled")
    computed = signal_type(shape=(2,), name="computed")
    model = our_model_with(
        Copy(a, copied, src_slice=[1, 0]),
        Reset(multiplied, value=10),
        DotInc(matrix, copied, multiplied),
        Reset(scaled),
        ElementwiseInc(a, multiplied, scaled),
    )
    model.add_op(SimPyFunc(computed, lambda t, x: x + round(1000 * t), model.time, scaled))
    with our_simulator(model=model) as sim:
        sim.run_steps(2)
        np.testing.assert_array_equal(sim.signals[copied], [2, 1])
        np.testing.assert_array_equal(sim.signals[multiplied], [13, 13])
        np.testing.assert_array_equal(sim.signals[scaled], [13, 26])
        np.testing.assert_array_equal(sim.signals[computed], [15, 28])


def test_views_of_nengos_signals_are_laid_out_in_their_base():
    base = nengo.builder.Signal(np.zeros(4), name="base")
    model = our_model_with(Reset(base[:2], value=1), Reset(base[2:], value=2))
    with our_simulator(model=model) as sim:
        sim.step()
        np.testing.assert_array_equal(sim.signals[base], [1, 1, 2, 2])


def test_nengos_operators_share_our_objects_signals():
    with nengo.Network(seed=1) as net:
        node = nengo.Node(size_in=2)
        probe = nengo.Probe(node)
    model = nengo_jit.builder.Model()
    model.build(net)
    model.add_op(
        Copy(nengo.builder.Signal([1.0, 2.0], name="one"), model.sig[node]["in"], inc=True)
    )
    model.add_op(
        Copy(nengo.builder.Signal([0.5, 0.5], name="two"), model.sig[node]["in"], inc=True)
    )
    sim = run(our_simulator(model=model))
    np.testing.assert_array_equal(sim.data[probe], [[1.5, 2.5]] * N_STEPS)


class Delay(nengo.builder.Operator):
    """An operator of the user's own, that keeps what it needs in a buffer of its own."""

    def __init__(self, src, dst, n_steps):
        super().__init__(tag="delay")
        self.sets, self.incs, self.reads, self.updates = [dst], [], [src], []
        self.src, self.dst = src, dst
        self.buffer = nengo.builder.Signal(np.zeros((n_steps, *src.shape)), name="buffer")

    def init_signals(self, signals):
        super().init_signals(signals)
        signals.init(self.buffer)

    def make_step(self, signals, dt, rng):
        src, dst, buffer = signals[self.src], signals[self.dst], signals[self.buffer]

        def step_delay():
            dst[...] = buffer[0]
            buffer[:-1] = buffer[1:]
            buffer[-1] = src

        return step_delay


class Delayed(nengo.Process):
    """A process that is built with that operator."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        raise NotImplementedError("built in another way")

    make_step = make_state


def make_delayed_network():
    @register(Delayed)
    def build_delayed(model, process, sig_in, sig_out, mode="set"):
        model.add_op(Delay(sig_in, sig_out, 3))

    with nengo.Network(seed=1) as net:
        node = nengo.Node(Delayed(), size_in=1, size_out=1)
        nengo.Connection(nengo.Node(lambda t: t), node, synapse=None)
        net.probe = nengo.Probe(node)
    return net


def test_a_users_operator_may_ask_for_buffers():
    net = make_delayed_network()
    ours = assert_same_run(net)
    np.testing.assert_allclose(ours.data[net.probe][:6, 0], [0, 0, 0, 0.001, 0.002, 0.003])


def test_a_users_buffers_are_reset():
    net = make_delayed_network()
    with our_simulator(net) as sim:
        sim.run_steps(N_STEPS)
        first = sim.data[net.probe]
        sim.reset()
        sim.run_steps(N_STEPS)
        np.testing.assert_array_equal(sim.data[net.probe], first)


def test_a_users_operator_is_in_the_step_order():
    with our_simulator(make_delayed_network()) as sim:
        assert [type(op) for op in sim.step_order].count(Delay) == 1


def test_a_users_operator_without_roles_is_refused():
    class Careless(nengo.builder.Operator):
        def __init__(self):
            super().__init__()
            self.sets, self.incs, self.reads, self._updates = [], [], [], None

        def make_step(self, signals, dt, rng):
            return lambda: None

    model = our_model_with(Careless())
    with pytest.raises((nengo.exceptions.BuildError, AssertionError)):
        our_simulator(model=model)


# --- nengo's models


def test_a_model_that_nengo_built_has_the_same_data():
    net = make_network()
    simulators = []
    for make_simulator in (our_simulator, nengos_simulator):
        model = nengo.builder.Model()
        model.build(net)
        simulators.append(run(make_simulator(model=model, seed=3)))
    assert_same_data(*simulators, net.all_probes)


def built_by_nengo():
    model = nengo.builder.Model()
    model.build(make_network())
    return model


def test_operators_of_a_model_that_nengo_built_become_ours_and_stay_the_same_objects():
    model = built_by_nengo()
    before, types = list(model.operators), [type(op) for op in model.operators]
    with our_simulator(model=model) as sim:
        assert [id(op) for op in sim.model.operators] == [id(op) for op in before]
        assert {id(op) for op in sim.step_order} == {id(op) for op in before}
        for operator, nengos in zip(before, types):
            assert type(operator) is OURS[nengos]
            assert isinstance(operator, nengos)
            for signal in operator.all_signals:
                assert sim.signals[signal].shape == signal.shape


def attributes_of(operator):
    public = (name for name in dir(operator) if not name.startswith("_"))
    values = {name: getattr(operator, name) for name in public}
    return {name: value for name, value in values.items() if not callable(value) or name == "fn"}


def test_operators_that_become_ours_keep_all_attributes():
    model = built_by_nengo()
    before = [attributes_of(op) for op in model.operators]
    use_our_operators(model.operators)
    for operator, attributes in zip(model.operators, before):
        now = attributes_of(operator)
        for name, value in attributes.items():
            if isinstance(value, (list, dict)):
                assert now[name] == value
            else:
                assert now[name] is value or now[name] == value


def test_the_models_own_operators_do_not_change_when_they_are_taken_over_again():
    model = built_by_nengo()
    use_our_operators(model.operators)
    before = [(type(op), dict(vars(op))) for op in model.operators]
    use_our_operators(model.operators)
    assert [(type(op), dict(vars(op))) for op in model.operators] == before


@pytest.mark.parametrize("optimize", [False, True])
def test_nengo_can_run_a_model_that_we_have_run(optimize):
    expected = run(nengo.Simulator(model=built_by_nengo(), network=None, seed=3, optimize=optimize))
    model = built_by_nengo()
    run(our_simulator(model=model, seed=4))
    actual = run(nengo.Simulator(model=model, network=None, seed=3, optimize=optimize))
    for probe, other in zip(actual.model.probes, expected.model.probes, strict=True):
        np.testing.assert_allclose(actual.data[probe], expected.data[other], rtol=1e-9, atol=1e-12)


def nengos_classes():
    """All classes of operators that nengo defines."""
    return {
        each
        for module in NENGOS_MODULES
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, nengo.builder.Operator)
        and each is not nengo.builder.Operator
    }


def test_every_class_of_nengos_becomes_ours_except_one_that_only_its_optimizer_uses():
    assert nengos_classes() - set(OURS) == {nengo.builder.operator.BsrDotInc}


def test_operators_with_other_steps_do_not_become_ours(monkeypatch):
    class Special(Reset):
        """A class of the user's, which may mean anything."""

    def signal():
        return nengo.builder.Signal(shape=(2,), name="target")

    special, replaced, patched = Special(signal()), Reset(signal()), Copy(signal(), signal())
    replaced.make_step = lambda signals, dt, rng: lambda: signals[replaced.dst].fill(7)

    def make_step(self, signals, dt, rng):
        return lambda: signals[self.dst].fill(8)

    monkeypatch.setattr(Copy, "make_step", make_step)
    with our_simulator(model=our_model_with(special, replaced, patched)) as sim:
        sim.run_steps(1)
        assert [type(op) for op in sim.model.operators[1:]] == [Special, Reset, Copy]
        assert [sim.signals[op.dst][0] for op in sim.model.operators[1:]] == [0, 7, 8]


def test_operators_of_nengos_are_lowered():
    with nengo_jit.Simulator(None, model=built_by_nengo(), progress_bar=False) as sim:
        groups = re.findall(r"^ +\d.* (\w+)[ \w]*: (.*)$", str(sim.plan), re.MULTILINE)
    assert len(groups) > 20
    assert [kind for kind, what_runs in groups if "Python" in what_runs] == ["SimPyFunc"]


def test_a_model_that_nengo_built_keeps_its_dt_and_parameters():
    net = make_network()
    model = nengo.builder.Model(dt=0.002)
    model.build(net)
    with our_simulator(model=model, dt=0.001) as sim:
        assert sim.dt == 0.002
        assert sim.data[net.ensembles[0]] is model.params[net.ensembles[0]]


def test_a_fresh_model_of_nengos_is_built_with_our_operators():
    net = make_network()
    with our_simulator(net, model=nengo.builder.Model()) as sim:
        built = sim.model.operators[1:]  # without the time, which the model brought along
    assert {type(op).__module__.split(".")[0] for op in built} == {"nengo_jit"}


def test_a_fresh_model_of_nengos_has_the_same_data():
    net = make_network()
    ours = run(our_simulator(net, model=nengo.builder.Model()))
    assert_same_data(ours, run(nengos_simulator(net)), net.all_probes)


def test_a_fresh_model_of_nengos_builds_what_is_registered_with_us():
    class Thing(nengo.Node):
        pass

    built = []

    @nengo_jit.builder.Builder.register(Thing)
    def build_thing(model, thing):
        built.append(thing)
        nengo_jit.builder.build_node(model, thing)

    with nengo.Network(seed=1) as net:
        thing = Thing(1)
    with our_simulator(net, model=nengo.builder.Model()):
        assert built == [thing]


class LoggingBuilder(nengo.builder.Builder):
    """A builder that somebody chose."""

    log = []

    @classmethod
    def build(cls, model, obj, *args, **kwargs):
        cls.log.append(obj)
        return nengo.builder.Builder.build(model, obj, *args, **kwargs)


@pytest.mark.parametrize("model_type", [nengo.builder.Model, nengo_jit.builder.Model])
def test_a_builder_that_somebody_chose_is_kept(monkeypatch, model_type):
    monkeypatch.setattr(LoggingBuilder, "log", [])
    builder = LoggingBuilder()
    net = make_network()
    sim = run(our_simulator(net, model=model_type(builder=builder)))
    assert sim.model.builder is builder
    assert {net, *net.ensembles, *net.nodes} <= set(LoggingBuilder.log)
    assert_same_data(sim, run(nengos_simulator(net)), net.all_probes)


def test_only_nengos_default_builder_is_replaced():
    ours = nengo_jit.builder.Builder()
    theirs = nengo.builder.Model()
    use_our_build_functions(theirs, ours)
    assert theirs.builder is ours
    chosen = LoggingBuilder()
    model = nengo.builder.Model(builder=chosen)
    use_our_build_functions(model, ours)
    assert model.builder is chosen
    model = nengo_jit.builder.Model()
    before = model.builder
    use_our_build_functions(model, ours)
    assert model.builder is before


# --- checks for nengo's types


@pytest.mark.parametrize(
    "signal",
    [
        nengo_jit.builder.Signal(shape=3, name="s"),
        nengo_jit.builder.Signal(shape=3, name="s")[1:],
        nengo_jit.builder.Signal(shape=3, name="s").reshape((3, 1)),
    ],
    ids=["base", "slice", "reshaped"],
)
def test_our_signals_are_nengos(signal):
    assert isinstance(signal, nengo.builder.Signal)
    assert isinstance(signal, nengo.builder.signal.Signal)


def nengos_type(op):
    """The type of nengo's that has the name of an operator's type."""
    (found,) = {
        getattr(module, type(op).__name__)
        for module in NENGOS_MODULES
        if hasattr(module, type(op).__name__)
    }
    return found


def test_our_operators_are_nengos():
    model = nengo_jit.builder.Model()
    model.build(make_network())
    names = {type(op).__name__ for op in model.operators}
    assert {"SimNeurons", "SimRLS", "SimPES", "ConvInc", "SparseDotInc", "SimProbe"} <= names
    for op in model.operators:
        assert isinstance(op, nengo.builder.Operator)
        assert isinstance(op, nengos_type(op))


@pytest.mark.parametrize(
    ("nengos_type", "number"),
    [
        (nengo.builder.neurons.SimNeurons, 2),
        (nengo.builder.learning_rules.SimRLS, 1),
        (nengo.builder.learning_rules.SimPES, 1),
        (nengo.builder.transforms.ConvInc, 1),
        (nengo.builder.transforms.GeneralConvInc, 2),
        (nengo.builder.operator.SparseDotInc, 1),
        (nengo.builder.operator.TimeUpdate, 1),
    ],
)
def test_our_operators_are_found_by_nengos_types(nengos_type, number):
    with our_simulator(make_network()) as sim:
        assert sum(isinstance(op, nengos_type) for op in sim.model.operators) == number


def test_our_rls_is_described_like_nengos():
    with our_simulator(make_network()) as sim:
        (rls,) = (
            op for op in sim.model.operators if isinstance(op, nengo.builder.learning_rules.SimRLS)
        )
    assert str(rls).startswith("SimRLS")


def test_every_operator_has_a_tag():
    model = nengo_jit.builder.Model()
    model.build(make_network())
    assert all(hasattr(op, "tag") for op in model.operators)
