"""Formulas whose random numbers a function of the user's draws, next to nengo and the reference."""

import logging
import pickle
import traceback
from functools import partial

import nengo
import numpy as np
import pytest
from nengo.dists import Choice

import nengo_jit
from nengo_jit.engines.cpu.kernels.needed import likely
from nengo_jit.engines.cpu.kernels.neurons import kernel_of
from nengo_jit.engines.cpu.python.call import run_functions
from nengo_jit.neurons import Formula, register
from nengo_jit.neurons.base import _formulas, uniform
from nengo_jit.scalar import maximum, where

SIMULATORS = {
    "nengo": lambda net: nengo.Simulator(net, optimize=False, progress_bar=False),
    "reference": lambda net: nengo_jit.Simulator(net, engine="reference"),
    "one thread": lambda net: nengo_jit.Simulator(net, engine="cpu", threads=1),
    "two threads": lambda net: nengo_jit.Simulator(net, engine="cpu", threads=2),
}
OURS = [name for name in SIMULATORS if name != "nengo"]
CPU = ["one thread", "two threads"]
SHARED = np.random.RandomState(0)
calls = []
draws = {"how": None}


def draw(rng, J, dt, *parameters):
    """What tests choose in `draws`; notes who has called."""
    calls.append(J.size)
    return draws["how"](rng, J)


def step(J, level, drawn, dt):
    """Exact operations, so that all that is computed can be equal bit for bit."""
    level = where(drawn > 0.5, level + drawn, 0.5 * level)
    return maximum(0.0, J) + level, level


def stepped(J, level, drawn):
    """The same in NumPy, for arrays."""
    level = np.where(drawn > 0.5, level + drawn, 0.5 * level)
    return np.maximum(0.0, J) + level, level


class Noisy(nengo.RectifiedLinear):
    """Rates with noise that is added up, halved now and then."""

    state = {"level": Choice([0.0])}
    probeable = ("output", "input", "level")
    shares = False

    def make_state(self, n_neurons, rng=np.random, dtype=None):
        own = SHARED if self.shares else np.random.RandomState(rng.randint(1 << 30))
        return {**super().make_state(n_neurons, rng=rng, dtype=dtype), "rng": own}

    def rates(self, x, gain, bias):
        return nengo.RectifiedLinear().rates(x, gain, bias)

    def step(self, dt, J, output, level, rng):
        output[...], level[...] = stepped(J, level, draw(rng, J, dt))


class Sharing(Noisy):
    """The same, with one generator for all populations."""

    shares = True


class SharingUniform(Sharing):
    """Neurons that draw from one generator what kernels could draw, too."""

    def step(self, dt, J, output, level, rng):
        output[...], level[...] = stepped(J, level, rng.random_sample(size=J.shape))


class Spiking(Noisy):
    """Neurons that spike at random."""

    spiking = True

    def step(self, dt, J, output, level, rng):
        drawn = draw(rng, J, dt)
        output[...], level[...] = np.where(drawn * 200.0 < J, 1.0 / dt, 0.0), drawn


def spiking_step(J, level, drawn, dt):
    return where(drawn * 200.0 < J, 1.0 / dt, 0.0), drawn


def normal(rng, J):
    return rng.normal(size=J.shape)


def formula_for(neuron_type, step=step, random=draw, **options):
    name = neuron_type.__name__.lower()
    return Formula(name, neuron_type, step, ("level",), random=random, contract=False, **options)


@pytest.fixture(autouse=True)
def registered():
    """Register formulas for as long as a test takes."""
    before = dict(_formulas)
    register(formula_for(Noisy))
    register(formula_for(Sharing))
    register(formula_for(SharingUniform, random=uniform))
    register(formula_for(Spiking, spiking_step, spiking=True))
    SHARED.seed(0)
    calls.clear()
    draws["how"] = normal
    yield
    _formulas.clear()
    _formulas.update(before)


def stimulus(t):
    return 1.0 if t < 0.02 else -0.5


def network(neuron_type=Noisy, notes=False):
    """Populations of different sizes without decoders, so that all is computed exactly."""

    def note(t):
        calls.append("node")
        return t

    with nengo.Network(seed=1) as net:
        stim = nengo.Node(stimulus)
        for n in (3, 11, 1, 70):
            ens = nengo.Ensemble(
                n, 1, neuron_type=neuron_type(), gain=Choice([1]), bias=Choice([0.25])
            )
            nengo.Connection(stim, ens.neurons, transform=np.ones((n, 1)), synapse=None)
            for name in neuron_type.probeable:
                nengo.Probe(ens.neurons, name)
            if notes:
                nengo.Node(note)
    return net


def run(name, net, n_steps=40):
    SHARED.seed(0)
    with SIMULATORS[name](net) as sim:
        calls.clear()
        sim.run_steps(n_steps)
        return [sim.data[probe] for probe in net.all_probes], list(calls)


def assert_equal(found, expected):
    for got, want in zip(found, expected, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("bits", ["64", "32"])
@pytest.mark.parametrize("neuron_type", [Noisy, Sharing, SharingUniform])
@pytest.mark.parametrize("name", OURS)
def test_samples_and_calls_are_nengos(name, neuron_type, bits, always_shared):
    nengo.rc.set("precision", "bits", bits)
    net = network(neuron_type, notes=True)
    expected, expected_calls = run("nengo", net)
    found, found_calls = run(name, net)
    assert_equal(found, expected)
    assert found_calls == expected_calls
    assert np.ptp(found[2]) > 1.0


@pytest.mark.parametrize("name", CPU)
def test_neurons_are_compiled(name):
    with SIMULATORS[name](network()) as sim:
        plan, text = sim.plan, str(sim.plan)
    assert not plan.in_python
    neurons = {type(op.neurons) for op, _ in plan.compiled if hasattr(op, "neurons")}
    assert neurons == {Noisy}
    assert "SimNeurons Noisy: run_neurons; random numbers from Python" in text
    assert "except where it draws random numbers by 'draw'" in text


def test_a_generator_that_known_draws_share_keeps_them_in_python():
    with SIMULATORS["one thread"](network(SharingUniform)) as sim:
        in_python = [op for op, _ in sim.plan.in_python if hasattr(op, "neurons")]
    assert len(in_python) == 4


def test_nothing_is_logged_of_neurons_whose_numbers_are_drawn_in_python(caplog):
    with caplog.at_level(logging.WARNING), SIMULATORS["one thread"](network()) as sim:
        sim.run_steps(300)
    assert not caplog.records


@pytest.mark.parametrize("bits", ["64", "32"])
@pytest.mark.parametrize("name", CPU)
def test_spikes_are_decoded(name, bits, always_shared):
    nengo.rc.set("precision", "bits", bits)
    draws["how"] = lambda rng, J: rng.random_sample(size=J.shape)
    with nengo.Network(seed=3) as net:
        ens = nengo.Ensemble(80, 2, neuron_type=Spiking(), max_rates=Choice([100]))
        out = nengo.Node(size_in=1)
        nengo.Connection(nengo.Node([0.5, -0.5]), ens)
        nengo.Connection(ens, out, function=lambda x: x[0] * x[1])
        nengo.Probe(ens.neurons)
        nengo.Probe(out)
    want, found = run("reference", net)[0], run(name, net)[0]
    assert np.count_nonzero(want[0]) > 100
    np.testing.assert_allclose(found[0], want[0], rtol=1e-6)  # 1 / dt in single precision
    np.testing.assert_allclose(found[1], want[1], rtol=1e-4, atol=1e-5)


RETURNED = {
    "single precision": lambda rng, J: rng.normal(size=J.shape).astype(np.float32),
    "like the currents": lambda rng, J: rng.normal(size=J.shape).astype(J.dtype),
    "half precision": lambda rng, J: rng.normal(size=J.shape).astype(np.float16),
    "int64": lambda rng, J: rng.poisson(1.0, size=J.shape),
    "int32": lambda rng, J: rng.poisson(1.0, size=J.shape).astype(np.int32),
    "int8": lambda rng, J: rng.poisson(1.0, size=J.shape).astype(np.int8),
    "bool": lambda rng, J: rng.random_sample(size=J.shape) < 0.5,
    "one for all": lambda rng, J: rng.normal(),
    "a number of NumPy": lambda rng, J: np.float64(rng.normal()),
    "an integer": lambda rng, J: int(rng.randint(3)),
    "an array of one": lambda rng, J: rng.normal(size=1),
    "every other of an array": lambda rng, J: rng.normal(size=2 * J.size)[::2],
    "backwards": lambda rng, J: rng.normal(size=J.shape)[::-1],
    "alternating": lambda rng, J: rng.normal(size=J.shape).astype(["f4", "f8"][rng.randint(2)]),
    "not a number": lambda rng, J: np.where(rng.normal(size=J.shape) > 1, np.nan, 0.75),
    "infinite": lambda rng, J: np.where(rng.normal(size=J.shape) > 1, np.inf, 0.75),
    "negative zero": lambda rng, J: np.full(J.shape, -0.0),
    "read-only": lambda rng, J: np.broadcast_to(rng.normal(), J.shape),
    "what it got": lambda rng, J: J,
}


@pytest.mark.parametrize("bits", ["64", "32"])
@pytest.mark.parametrize("how", RETURNED)
def test_whatever_numbers_are_returned(how, bits):
    nengo.rc.set("precision", "bits", bits)
    draws["how"] = RETURNED[how]
    net = network()
    expected = run("reference", net)[0]
    assert_equal(run("one thread", net)[0], expected)


def rectify(rng, J):
    """Changes the currents, as a type's own step may do."""
    J[...] = np.abs(J)
    return rng.normal(size=J.shape)


@pytest.mark.parametrize("how", [lambda rng, J: 0.25 * J, rectify])
@pytest.mark.parametrize("name", CPU)
def test_functions_get_the_currents_of_the_step_and_may_change_them(name, how, always_shared):
    draws["how"] = how
    with nengo.Network(seed=3) as net:
        ensembles = [nengo.Ensemble(n, 2, neuron_type=Noisy()) for n in (40, 20)]
        nengo.Connection(nengo.Node(lambda t: [np.sin(30 * t), 0.5]), ensembles[0])
        nengo.Connection(*ensembles, function=lambda x: x**2, synapse=0.005)
        nengo.Probe(ensembles[1].neurons, "input")
        nengo.Probe(ensembles[1], synapse=0.01)
        nengo.Probe(ensembles[0].neurons)
    expected = run("reference", net, 100)[0]
    for got, want in zip(run(name, net, 100)[0], expected):
        assert np.ptp(want) > 0.1
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * np.abs(want).max())


def draw_scaled(rng, J, dt, scale):
    return scale * rng.normal(size=J.shape)


class Drawing:
    """A callable that cannot be hashed."""

    def __eq__(self, other):
        return True

    def __call__(self, rng, J, dt):
        return rng.normal(size=J.shape)

    method = __call__


@pytest.mark.parametrize(
    "random",
    [Drawing(), Drawing().method, partial(draw_scaled, scale=2.0), lambda *given: 0.75],
)
def test_any_callable_draws(random):
    register(formula_for(Noisy, random=random))
    with SIMULATORS["one thread"](network()) as sim:
        sim.run_steps(3)
        assert not sim.plan.in_python
        assert "draws random numbers by" in str(sim.plan)


class TwoGenerators(Noisy):
    """Neurons of which a formula does not know where to draw from."""

    def make_state(self, n_neurons, rng=np.random, dtype=None):
        state = super().make_state(n_neurons, rng=rng, dtype=dtype)
        return {**state, "other": np.random.RandomState(1)}

    def step(self, dt, J, output, level, rng, other):
        super().step(dt, J, output, level, other)


def test_neurons_with_two_generators_stay_in_python():
    register(formula_for(TwoGenerators))
    net = network(TwoGenerators)
    with SIMULATORS["one thread"](net) as sim:
        assert len(sim.plan.in_python) == 4
    assert_equal(run("one thread", net)[0], run("nengo", net)[0])


@pytest.mark.parametrize("name", CPU)
def test_resets_go_on_with_the_generators_as_nengo_does(name):
    net = network()

    def again(simulator):
        with SIMULATORS[simulator](net) as sim:
            sim.run_steps(5)
            sim.reset()
            sim.run_steps(7)
            return [sim.data[probe] for probe in net.all_probes]

    assert_equal(again(name), again("nengo"))


@pytest.mark.parametrize("name", CPU)
def test_a_run_can_be_interrupted_where_numbers_are_drawn(name):
    def interrupt(rng, J):
        if len(calls) == 14:
            raise KeyboardInterrupt
        return 0.75

    net = network()
    draws["how"] = interrupt
    with SIMULATORS[name](net) as sim:
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(10)
        assert sim.n_steps == 3
        sim.run_steps(7)
        found = [sim.data[probe] for probe in net.all_probes]
    draws["how"] = lambda rng, J: 0.75
    assert_equal(found, run("nengo", net, 10)[0])


WRONG = {
    "too many": lambda rng, J: np.zeros(J.size + 1),
    "too few": lambda rng, J: np.zeros(2),
    "a matrix": lambda rng, J: np.zeros((2, J.size)),
    "nothing": lambda rng, J: None,
    "a word": lambda rng, J: "normal",
    "an array of words": lambda rng, J: np.full(J.shape, "normal"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_does_not_fit_is_an_error_as_it_is_in_numpy(how):
    raised = {}
    for name in ("reference", *CPU):
        draws["how"] = lambda rng, J: WRONG[how](rng, J) if len(calls) > 12 else normal(rng, J)
        with SIMULATORS[name](network()) as sim:
            calls.clear()
            with pytest.raises((TypeError, ValueError)) as info:
                sim.run_steps(10)
            assert sim.n_steps == 3
            assert "step 4" in info.value.__notes__[0] and "Noisy" in info.value.__notes__[0]
            draws["how"] = normal
            sim.run_steps(7)
            assert sim.n_steps == 10
        raised[name] = {base for base in (TypeError, ValueError) if isinstance(info.value, base)}
    assert raised["one thread"] == raised["two threads"] == raised["reference"]


class MistakeError(Exception):
    """A user's own error."""


@pytest.mark.parametrize("name", OURS)
def test_errors_are_the_users_own_and_a_run_can_go_on(name):
    def fail(rng, J):
        raise MistakeError("of my own")

    net = network()
    draws["how"] = lambda rng, J: 0.75 if len(calls) != 14 else fail(rng, J)
    with SIMULATORS[name](net) as sim:
        calls.clear()
        with pytest.raises(MistakeError, match="of my own") as info:
            sim.run_steps(10)
        assert "fail" in [frame.name for frame in traceback.extract_tb(info.value.__traceback__)]
        assert "step 4" in info.value.__notes__[0]
        assert (sim.n_steps, calls) == (3, [3, 11, 1, 70] * 3 + [3, 11])
        sim.run_steps(7)
        found = [sim.data[probe] for probe in net.all_probes]
    draws["how"] = lambda rng, J: 0.75
    assert_equal(found, run("nengo", net, 10)[0])


@pytest.mark.parametrize("name", CPU)
def test_states_and_pickles_go_on_from_where_the_generators_are(name):
    net = network()
    with SIMULATORS[name](net) as sim:
        sim.run_steps(20)
        state, pickled = sim.state(), pickle.dumps((sim, net.all_probes))
        sim.run_steps(20)
        expected = [sim.data[probe][20:] for probe in net.all_probes]
        sim.load_state(state)
        sim.run_steps(20)
        assert_equal([sim.data[probe] for probe in net.all_probes], expected)
    with SIMULATORS["reference"](net) as sim:
        sim.load_state(state)
        sim.run_steps(20)
        assert_equal([sim.data[probe] for probe in net.all_probes], expected)
    copy, probes = pickle.loads(pickled)
    with copy:
        copy.run_steps(20)
        assert_equal([copy.data[probe][-20:] for probe in probes], expected)


def test_neurons_that_are_replaced_draw_as_their_type_does():
    net = network()
    with SIMULATORS["one thread"](net) as sim:
        sim.run_steps(5)
        operators = [op for op in sim.model.operators if hasattr(op, "neurons")]
        operators[0].neurons = nengo.RectifiedLinear()
        operators[1].neurons = Noisy()
        calls.clear()
        with pytest.raises(TypeError):
            sim.run_steps(1)  # it has states that rectified linear neurons do not take
        operators[0].neurons = Noisy()
        calls.clear()
        sim.run_steps(3)
        assert calls == [3, 11, 1, 70] * 3


def test_steps_by_hand_are_the_types_own():
    net = network()
    expected = run("nengo", net, 9)[0]
    with SIMULATORS["one thread"](net) as sim:
        sim.run_steps(4)
        for _ in range(5):
            for each in sim._steps:
                each()
            sim._probe()
        assert_equal([sim.data[probe] for probe in net.all_probes], expected)


def looked_at(name):
    """What a function that draws numbers finds in a signal, each time that it is called."""
    net, seen = network(), []

    def look(rng, J):
        seen.append(sim.signals[sim.model.sig[net.all_ensembles[0].neurons]["out"]].copy())
        return rng.normal(size=J.shape)

    draws["how"] = look
    with SIMULATORS[name](net) as sim:
        sim.run_steps(6)
    return seen


def test_a_function_that_looks_at_signals_sees_what_it_sees_in_the_reference():
    seen = {}
    for name in ("reference", "one thread"):
        seen[name] = looked_at(name)
    np.testing.assert_array_equal(seen["one thread"], seen["reference"])


def test_what_a_function_refers_to_is_hidden_from_states():
    kept = []

    def keep(rng, J, dt):
        kept.append(1)
        return np.zeros(J.shape)

    register(formula_for(Noisy, random=keep))
    with SIMULATORS["one thread"](network()) as sim:
        assert sum("Noisy" in each for each in sim.state()["hidden"]) == 4
    register(formula_for(Noisy, random=lambda rng, J, dt: rng.normal(size=J.shape)))
    with SIMULATORS["one thread"](network()) as sim:
        assert not any("Noisy" in each for each in sim.state()["hidden"])


def test_kernels_that_will_be_needed_are_known_before():
    used = {kernel for kernel, _ in likely(network(), np.dtype(np.float64))}
    assert {run_functions, kernel_of(_formulas[Noisy][0])} <= used
