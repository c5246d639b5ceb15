"""States: what is in them, who takes them, and what is refused.

`tests/conformance/test_states.py` goes on from states of random networks.
"""

import copy
import json

import nengo
import nengo.builder
import numpy as np
import pytest
from compiling import compiled
from nengo.builder.operator import Operator as NengoOperator
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError

import nengo_jit
from nengo_jit.builder import Model, Signal
from nengo_jit.engines import ENGINES

each_engine = pytest.mark.parametrize("engine", ENGINES)


def network(seed=0, n_neurons=20):
    """Noise, learning, neurons that draw, a stored and a random signal."""
    with nengo.Network(seed=seed) as net:
        noise = nengo.Node(nengo.processes.FilteredNoise(nengo.Alpha(0.01)), size_out=1)
        shown = nengo.Node(nengo.processes.PresentInput([[1.0], [-1.0]], 0.004))
        signal = nengo.Node(nengo.processes.WhiteSignal(0.1, high=50), size_out=1)
        pre = nengo.Ensemble(n_neurons, 1, noise=nengo.processes.WhiteNoise())
        post = nengo.Ensemble(20, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        other = nengo.Ensemble(20, 1, neuron_type=nengo.StochasticSpiking(nengo.Tanh()))
        for each in (noise, shown, signal):
            nengo.Connection(each, pre, synapse=nengo.Triangle(0.004))
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-2))
        nengo.Connection(post, learned.learning_rule)
        nengo.Connection(pre, other)
        net.probes_ = [nengo.Probe(each, synapse=0.01) for each in (pre, post, other)]
        net.probes_ += [nengo.Probe(learned, "weights", sample_every=0.003)]
    return net


def simulator(net, engine, **options):
    return nengo_jit.Simulator(net, engine=engine, progress_bar=False, **options)


def data(sim):
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


@each_engine
def test_a_simulator_goes_on_from_a_state(engine):
    with simulator(network(), engine, threads=1) as sim:
        sim.run_steps(40)
        state = sim.state()
        sim.clear_probes()
        sim.run_steps(40)
        expected = data(sim)
        sim.load_state(state)
        assert (sim.n_steps, sim.time, len(sim.data[sim.model.probes[0]])) == (40, 0.04, 0)
        sim.run_steps(40)
        assert_same(data(sim), expected)
    with simulator(network(), engine, threads=2, seed=99) as sim:
        sim.run_steps(5)
        sim.load_state(state)
        assert sim.seed == 1
        sim.run_steps(40)
        assert_same(data(sim), expected)
        sim.reset()  # to the beginning of what the state is of
        sim.run_steps(40)
        assert sim.n_steps == 40


def plain(value):
    if isinstance(value, dict):
        return all(type(key) is str and plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return type(value) in (int, float, str, bool) or type(value) is np.ndarray


@each_engine
def test_it_has_arrays_numbers_and_strings_only(engine):
    with simulator(network(), engine) as sim:
        sim.run_steps(3)
        state = sim.state()
        assert plain(state)
        before = copy.deepcopy(state)
        sim.run_steps(3)
    for mine, theirs in zip(state["signals"], before["signals"], strict=True):
        np.testing.assert_array_equal(mine, theirs)  # nobody else writes to it
    json.dumps(state, default=np.ndarray.tolist)


def test_engines_take_each_others_states():
    states, futures = {}, {}
    for engine in ENGINES:
        with simulator(network(), engine) as sim:
            sim.run_steps(20)
            states[engine] = sim.state()
    for each in states.values():
        assert each.keys() == states["reference"].keys()
        assert each["generators"].keys() == states["reference"]["generators"].keys()
    for engine in ENGINES:
        with simulator(network(), engine) as sim:
            sim.load_state(states["reference"])
            sim.run_steps(20)
            futures[engine] = data(sim)
    for each in futures.values():
        for mine, theirs in zip(each, futures["reference"], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


@each_engine
def test_what_is_put_off_is_in_the_state(engine):
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(20, 3)
        nengo.Connection(nengo.Node(nengo.processes.WhiteNoise(), size_out=3), array.input)
    with simulator(net, engine) as sim:
        output = sim.model.sig[array.output]["out"]
        sim.run_steps(30)
        state = sim.state()
        expected = sim.signals[output].copy()
        assert expected.any()
        sim.reset()
        sim.load_state(state)
        np.testing.assert_array_equal(sim.signals[output], expected)


@each_engine
def test_signals_that_somebody_has_written_to_are_in_the_state(engine):
    with nengo.Network() as net:
        node = nengo.Node([1.0])
        probe = nengo.Probe(node)
    with simulator(net, engine) as sim:
        sim.run_steps(2)
        sim.signals[sim.model.sig[node]["out"]] = 5.0
        state = sim.state()
    with simulator(net, engine) as sim:
        sim.load_state(state)
        sim.run_steps(2)
        assert sim.data[probe].ravel().tolist() == [5.0, 5.0]


class Drawing(nengo.Process):
    """Draws from its own generator, of NumPy's newer kind, and keeps nothing else."""

    def get_rng(self, rng):
        return np.random.default_rng(rng.randint(1000))

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: rng.standard_normal(shape_out)


class Summing(nengo.Process):
    """Draws from nengo's generator, and sums up in its state."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"total": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        total = state["total"]

        def step(t):
            total[...] += rng.uniform(size=shape_out)
            return total

        return step


@each_engine
def test_generators_of_other_peoples_processes(engine):
    with nengo.Network(seed=0) as net:
        probes = [nengo.Probe(nengo.Node(kind(), size_out=2)) for kind in (Drawing, Summing)]
    with simulator(net, engine) as sim:
        sim.run_steps(700)  # until the generator makes new words
        state = sim.state()
        assert state["hidden"] == []  # closures have nothing but signals and generators
        sim.clear_probes()
        sim.run_steps(10)
        expected = data(sim)
    with simulator(net, engine, seed=5) as sim:
        sim.load_state(state)
        sim.run_steps(10)
        assert_same([sim.data[probe] for probe in probes], expected)


class FromTheSimulator(NengoOperator):
    """Draws in each step from the generator that the simulator has given it, into a buffer."""

    def __init__(self, signal):
        super().__init__(tag="from the simulator")
        self.sets, self.incs, self.reads, self.updates = [], [], [], [signal]
        self.buffer = Signal(np.zeros(2), name="buffer")

    def init_signals(self, signals):
        super().init_signals(signals)
        signals.init(self.buffer)

    def make_step(self, signals, dt, rng):
        target, buffer = signals[self.updates[0]], signals[self.buffer]

        def step():
            buffer[...] += rng.uniform(size=2)
            target[...] = buffer

        return step


@each_engine
def test_the_simulators_generator_and_buffers_of_operators(engine):
    def model():
        made, signal = Model(), Signal(np.zeros(2), name="target")
        made.add_op(FromTheSimulator(signal))
        return made, signal

    (first, signal), (second, other_signal) = model(), model()
    whole, other = compiled(first, engine), compiled(second, engine)
    whole.reset(3)
    whole.run(7)
    state = whole.state()
    assert state["hidden"] == []
    whole.run(5)
    whole.settle()
    other.load_state(state)
    other.run(5)
    other.settle()
    np.testing.assert_array_equal(other.signals[other_signal], whole.signals[signal])


@each_engine
def test_models_that_nengo_has_built(engine):
    net = network()

    def model():
        made = nengo.builder.Model(dt=0.001)
        nengo.builder.Builder.build(made, net)
        return made

    with nengo_jit.Simulator(None, model=model(), seed=1, engine=engine) as sim:
        sim.run_steps(20)
        state = sim.state()
        assert state["hidden"] == []
        sim.clear_probes()
        sim.run_steps(20)
        expected = data(sim)
    with nengo_jit.Simulator(None, model=model(), seed=2, engine=engine) as sim:
        sim.load_state(state)
        sim.run_steps(20)
        assert_same(data(sim), expected)


@each_engine
def test_the_state_of_another_model_is_refused_and_nothing_has_changed(engine):
    with simulator(network(n_neurons=21), engine) as sim:
        state = sim.state()
    with simulator(network(), engine) as sim:
        sim.run_steps(5)
        before = data(sim)
        with pytest.raises(ValidationError, match=r"state: .*another model: .* operator number"):
            sim.load_state(state)
        for nothing in (None, {}, {"format": 1}, [1]):
            with pytest.raises(ValidationError, match="not the state of a simulator"):
                sim.load_state(nothing)
        with pytest.raises(ValidationError, match="format 99"):
            sim.load_state({**sim.state(), "format": 99})
        cut = sim.state()
        cut["signals"].pop()
        with pytest.raises(ValidationError, match="signals of other shapes"):
            sim.load_state(cut)
        assert sim.n_steps == 5
        assert_same(data(sim), before)
        sim.run_steps(5)


@each_engine
@pytest.mark.parametrize("what", ["state", "load_state"])
def test_within_a_step_it_is_refused(engine, what):
    states = []

    def function(t):
        getattr(sim, what)(*states)
        return t

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(function, size_out=1))
    with simulator(net, engine) as sim:
        if what == "load_state":
            states.append(sim.state())
        with pytest.raises(SimulationError, match="between runs only"):
            sim.run_steps(3)
        assert (sim.n_steps, len(sim.data[probe])) == (0, 0)


@each_engine
def test_a_closed_simulator_has_no_state(engine):
    with simulator(network(), engine) as sim:
        state = sim.state()
    for call in (sim.state, lambda: sim.load_state(state)):
        with pytest.raises(SimulatorClosed):
            call()


@each_engine
def test_a_state_that_was_loaded_in_part_cannot_be_gone_on_from(engine):
    with simulator(network(), engine) as sim:
        sim.run_steps(3)
        state = sim.state()
        broken = {**state, "rng": {"bit_generator": "none"}}
        with pytest.raises((ValueError, KeyError)):
            sim.load_state(broken)
        with pytest.raises(SimulationError, match="loaded in part"):
            sim.run_steps(1)
        sim.load_state(state)
        sim.run_steps(1)
        assert sim.n_steps == 4


@each_engine
def test_a_simulator_that_records_by_itself(engine):
    class Own(nengo_jit.Simulator):
        def _probe(self):
            self._probe_step_time()
            for probe in self.model.probes:
                self._sim_data[probe].append(self.signals[self.model.sig[probe]["in"]].copy())

    with Own(network(), engine=engine, progress_bar=False) as sim:
        sim.run_steps(5)
        state = sim.state()
        sim.clear_probes()
        sim.run_steps(5)
        expected = data(sim)
        sim.load_state(state)
        assert sim.n_steps == 5
        sim.run_steps(5)
        assert_same(data(sim), expected)
