"""Python functions on the JAX engine: on the device, ahead of a chunk, or called in their step."""

import math
import sys

import jax
import nengo
import numpy as np
import pytest
from compiling import compiled

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.engines.jax.backend import JaxBackend
from nengo_jit.engines.jax.compilation import as_given

WEIGHTS = np.random.RandomState(0).uniform(-1, 1, (2, 2))
LARGE = np.random.RandomState(1).uniform(-1, 1, (90, 90))
N_STEPS = 150


@pytest.fixture(params=[64, 32])
def tolerance(request):
    """Both precisions, with the rounding errors that are allowed."""
    nengo.rc.set("precision", "bits", str(request.param))
    return 1e-9 if request.param == 64 else 5e-4


def network(*functions, stimulus=lambda t: [math.sin(15 * t), math.cos(9 * t)]):
    """Nodes of x, one after the other, with a probe at each."""
    with nengo.Network(seed=1) as net:
        pre = nengo.Node(stimulus, size_out=2)
        for function in functions:
            node = nengo.Node(function, size_in=2, size_out=2)
            nengo.Connection(pre, node, synapse=0.005)
            nengo.Probe(node)
            pre = node
    return net


class Run:
    """A run of a network: the samples of all probes, the error, and who was compiled."""

    def __init__(self, net, engine="jax", n_steps=(N_STEPS,), between=lambda: None, **options):
        self.error = None
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False, **options) as sim:
            for n in n_steps:
                try:
                    sim.run_steps(n)
                except Exception as error:
                    self.error = error
                between()
            plan = sim.plan
        self.in_python = [operator for operator, _ in plan.in_python]
        self.compiled = [operator for operator, _ in plan.compiled]
        self.reasons = [reason for _, reason in plan.in_python]
        self.samples = [sim.data[probe] for probe in net.all_probes]

    def assert_same(self, other, tolerance=1e-9):
        assert len(self.samples) == len(other.samples)
        for ours, theirs in zip(self.samples, other.samples, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def assert_on_device(make, tolerance=1e-9, **options):
    """Check that no function is called in its step, and that values are the reference engine's."""
    ours = Run(make(), **options)
    assert not ours.in_python, ours.reasons
    ours.assert_same(Run(make(), "reference", **options), tolerance)


def branches(t, x):
    if t > 0.05 and x[0] > 0.2:
        return np.tanh(WEIGHTS @ x)
    if x[1] < 0:
        return [x[0] ** 2, abs(x[1])]
    return x / (1 + np.abs(x))


def selects(t, x):
    y = x.copy()
    y[y < 0] = 0
    y[x > 0.5] = np.exp(x[x > 0.5])
    return y - x[x > 0].sum()


def counts(t, x):
    total = 0
    for i in range(3):
        total += int(10 * x[0]) // (i + 1) - (i if x[1] > i / 5 else -i) % 2
    return total, math.floor(t * 100) % 7


def looks_up(t, x):
    return LARGE[int(t * 1000 + 0.5) % 90][:2] * x + LARGE[int(abs(x[0]) * 80)].sum()


def of_numpy(t, x):
    long = np.concatenate([x, np.zeros(88)])
    return (LARGE @ long)[:2] + np.linalg.norm(x) + np.cumsum(x) + LARGE.sum(axis=0)[:2] / 50


def of_math(t, x):
    first = math.atan2(x[0], x[1]) + math.log1p(x[1] * x[1])
    return first, math.exp(x[0]) * math.sqrt(abs(x[1])) ** 1.5


@pytest.mark.parametrize(
    "function",
    [branches, selects, counts, looks_up, of_numpy, of_math, lambda t, x: np.roll(x, 1) % 0.3],
    ids=lambda function: function.__name__,
)
def test_functions_run_on_the_device(function, tolerance):
    if function is counts and tolerance > 1e-6:
        pytest.skip("jumps wherever rounding moves it over an integer")
    assert_on_device(lambda: network(function), tolerance)


def test_functions_of_each_other(tolerance):
    assert_on_device(lambda: network(branches, of_numpy, lambda t, x: 0.5 * x), tolerance)


@pytest.mark.parametrize("n_steps", [(1, 2, 3, 50), (2100,)])
def test_runs_of_any_length(n_steps):
    assert_on_device(lambda: network(branches, selects), n_steps=n_steps)


def test_processes_are_called_ahead_of_their_steps():
    calls = []

    class Counting(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            def step(t):
                calls.append(t)
                return rng.normal(size=shape_out)

            return step

    assert_on_device(lambda: network(branches, stimulus=Counting(seed=3)), n_steps=(7, 30))
    np.testing.assert_array_equal(calls[:37], calls[37:])  # once in each step, with the same times
    assert len(calls) == 74


def test_processes_that_share_a_state_with_a_function():
    def make():
        count = []

        class Counting(nengo.Process):
            def make_step(self, shape_in, shape_out, dt, rng, state):
                def step(t):
                    count.append(t)
                    return rng.normal(size=shape_out)

                return step

        return network(lambda t, x: x + len(count), stimulus=Counting(seed=3))

    ours = Run(make())
    assert len(ours.in_python) == 2
    ours.assert_same(Run(make(), "reference"))


def test_two_processes_with_a_common_state():
    def make():
        count = [0]

        class Counting(nengo.Process):
            def make_step(self, shape_in, shape_out, dt, rng, state):
                def step(t):
                    count[0] += 1
                    return count[0] * np.ones(shape_out)

                return step

        with nengo.Network() as net:
            for _ in range(2):
                nengo.Probe(nengo.Node(Counting(), size_out=1))
        return net

    assert_on_device(make)


def test_states_in_arrays_of_the_user(tolerance):
    class Leaky(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            memory, number = np.zeros(shape_out), np.zeros(1, int)

            def step(t, x):
                number[0] += 1
                memory[...] = 0.9 * memory + x * (number[0] % 3)
                return memory

            return step

    assert_on_device(lambda: network(Leaky(), Leaky(), branches), tolerance, n_steps=(20, 50))


def test_states_in_arrays_begin_again_after_a_reset():
    class Counting(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            number = np.zeros(shape_out)

            def step(t, x):
                number[...] += 1 + x
                return number

            return step

    net = network(Counting(), branches)
    with nengo_jit.Simulator(net, engine="jax", progress_bar=False) as sim:
        sim.run_steps(30)
        before = [sim.data[probe].copy() for probe in net.all_probes]
        sim.reset()
        for n in (10, 20):
            sim.run_steps(n)
        for probe, samples in zip(net.all_probes, before, strict=True):
            np.testing.assert_array_equal(sim.data[probe], samples)


def test_warnings_say_why_python_is_called(caplog):
    calls = []
    net = network(branches, lambda t, x: calls.append(t) or x)
    with nengo_jit.Simulator(net, engine="jax", progress_bar=False) as sim:
        sim.run_steps(2)
        sim.reset()
    (message,) = [each for each in caplog.messages if "calls Python in each step" in each]
    assert "a list" in message or "function of time" in message


def test_arrays_that_users_read_and_change_between_runs():
    def run(engine):
        factors, total = np.ones(2), np.zeros(2)

        def node(t, x):
            total[...] += 1
            return factors * x

        seen = []

        def between():
            seen.append(total.copy())
            factors[...] *= -2

        return Run(network(node), engine, (10, 10, 10), between), seen

    (ours, seen), (theirs, expected) = run("jax"), run("reference")
    assert not ours.in_python
    ours.assert_same(theirs)
    np.testing.assert_array_equal(seen, expected)


def test_functions_that_share_an_array_are_called_in_order():
    def make():
        shared = np.zeros(2)

        def writes(t, x):
            shared[...] = x + t
            return x

        return network(writes, lambda t, x: x + shared)

    ours = Run(make())
    assert len(ours.in_python) == 3  # with the function of time
    ours.assert_same(Run(make(), "reference"))


def test_functions_in_between_calls_of_python():
    def make():
        calls = []

        def impure(t, x):
            calls.append(t)
            return 0.5 * x

        return network(branches, impure, of_numpy, impure, selects), calls

    (net, calls), (reference, expected) = make(), make()
    ours = Run(net)
    assert len(ours.in_python) == 3  # with the function of time
    assert len(ours.compiled) == 3
    ours.assert_same(Run(reference, "reference"))
    assert calls == expected


def test_arrays_that_python_changes_in_mid_run():
    def make():
        factor, log = np.ones(2), []

        def impure(t, x):
            log.append(t)
            factor[...] += t
            return x

        return network(lambda t, x: factor * x, impure, lambda t, x: x - factor)

    Run(make()).assert_same(Run(make(), "reference"))


@pytest.mark.parametrize("is_impure", [False, True])
def test_steps_that_a_tape_cannot_compute(is_impure):
    """They are called in Python, and all others run on the device, in the middle of a chunk."""

    def make():
        log, others = [], []

        def sometimes(t, x):
            if x[0] > 0.9 and t > 0.02:
                log.append(t)
                return [len(log), 0]
            return x

        def impure(t, x):
            others.append(t)
            return x

        return network(sometimes, *([impure] if is_impure else []), branches), log, others

    (net, *calls), (reference, *expected) = make(), make()
    ours = Run(net, n_steps=(500,))
    ours.assert_same(Run(reference, "reference", (500,)))
    assert calls == expected
    assert 10 < len(calls[0]) < 300
    assert len(ours.compiled) == 2 + (not is_impure)  # with the function of time


def raises(t, x):
    return [math.sqrt(0.8 - x[0]), 0]


def divides(t, x):
    return [1 / int(10 - 11 * x[0]), 0]


def returns_infinity(t, x):
    return x / np.where(x[0] > 0.8, 0.0, 1.0)


def raises_ahead(t):
    if t > 0.0805:
        raise KeyError("none")
    return [t, t]


class RaisesAhead(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: raises_ahead(t) + rng.uniform(size=2)


@pytest.mark.parametrize("is_impure", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        *(lambda impure, f=f: network(f, *impure) for f in (raises, divides, returns_infinity)),
        lambda impure: network(branches, *impure, stimulus=raises_ahead),
        lambda impure: network(branches, *impure, stimulus=RaisesAhead(seed=0)),
    ],
    ids=["sqrt", "division", "infinity", "of time", "process"],
)
def test_errors_are_those_of_the_function(make, is_impure):
    log = []

    def impure(t, x):
        log.append(t)
        return x

    impure = [impure] if is_impure else []
    ours, theirs = (Run(make(impure), engine) for engine in ("jax", "reference"))
    assert theirs.error is not None
    assert type(ours.error) is type(theirs.error)
    assert str(ours.error) == str(theirs.error)
    (note,), (expected,) = ours.error.__notes__, theirs.error.__notes__
    assert note.split(" in ")[1] == expected.split(" in ")[1]  # "step 81 (t = 0.081 s)"
    assert note.split(" in ")[2].split("{")[0] == expected.split(" in ")[2].split("{")[0]
    ours.assert_same(theirs)
    assert 0 <= 2 * len(set(log)) - len(log) <= 1  # nengo may call it in the last step, or not


def test_runs_go_on_after_an_error():
    def make():
        failures = []

        class Fails(nengo.Process):
            def make_step(self, shape_in, shape_out, dt, rng, state):
                def step(t):
                    if 0.0495 < t < 0.0505 and not failures:
                        failures.append(t)
                        raise ValueError(str(t))
                    return rng.normal(size=2)

                return step

        return network(branches, stimulus=Fails(seed=0))

    ours, theirs = (Run(make(), engine, (100, 70)) for engine in ("jax", "reference"))
    assert str(ours.error) == str(theirs.error) == "0.05"
    ours.assert_same(theirs)


def test_names_that_are_rebound_between_runs():
    def run(engine):
        factor = 2.0
        net = network(lambda t, x: factor * x)

        def between():
            nonlocal factor
            factor += 1

        return Run(net, engine, (10, 10, 10), between)

    ours = run("jax")
    assert not ours.in_python
    ours.assert_same(run("reference"))


def test_names_that_are_rebound_too_often():
    def run(engine):
        factor = 2.0
        net = network(lambda t, x: factor * x)

        def between():
            nonlocal factor
            factor += 1

        return Run(net, engine, 15 * (3,), between)

    ours = run("jax")
    assert "reads names that are rebound again and again" in ours.reasons
    ours.assert_same(run("reference"))


def test_names_that_python_rebinds_in_mid_run():
    def make():
        factor, log = 2.0, []

        def impure(t, x):
            nonlocal factor
            log.append(t)
            if t > 0.02:
                factor = 3.0
            return x

        return network(impure, lambda t, x: factor * x)

    Run(make()).assert_same(Run(make(), "reference"))


def test_neuron_types_of_the_user(tolerance):
    class Squaring(nengo.neurons.NeuronType):
        negative = False
        spiking = False

        def rates(self, x, gain, bias):
            return np.maximum(gain * np.atleast_1d(x).reshape(np.size(x), -1) + bias, 0) ** 2

        def step(self, dt, J, output):
            output[...] = np.maximum(J, 0) ** 2

    def make():
        with nengo.Network(seed=2) as net:
            stimulus = nengo.Node(lambda t: math.sin(9 * t))
            for n in (10, 20, 10):
                rng = np.random.RandomState(n)
                parts = {"gain": rng.uniform(1, 2, n), "bias": rng.uniform(-1, 1, n)}
                ens = nengo.Ensemble(n, 1, neuron_type=Squaring(), **parts)
                nengo.Connection(stimulus, ens)
                nengo.Probe(ens.neurons)
        return net

    assert_on_device(make, tolerance)


def test_the_program_does_not_grow_with_the_number_of_like_functions():
    def size(n):
        with nengo.Network(seed=1) as net:
            stimulus = nengo.Node(lambda t: [t, t])
            for i in range(n):
                node = nengo.Node(lambda t, x, i=i: np.tanh((3 + i) * x), size_in=2)
                nengo.Connection(stimulus, node)
                nengo.Probe(node)
        model = Model()
        model.build(net)
        engine = compiled(model, JaxBackend)
        engine.reset(0)
        with as_given():
            engine._draws.prepare(engine._loop._lowered.drawn, 1, 1)
            arguments = engine._loop.arguments(engine._memory, 1, 1)
            text = engine._loop._call.lower(*arguments).as_text()
        return text.count("tanh"), len(engine._placement.taped)

    assert size(5) == (1, 5)
    assert size(20) == (1, 20)


def test_a_reset_does_not_compile_again(monkeypatch):
    net = network(branches, selects)
    with nengo_jit.Simulator(net, engine="jax", progress_bar=False) as sim:
        sim.run_steps(20)
        first = sim.data[net.all_probes[0]].copy()
        compiles = []
        monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_, **__: compiles.append(1))
        sim.reset()
        sim.run_steps(20)
        assert not compiles
        np.testing.assert_array_equal(sim.data[net.all_probes[0]], first)


def test_compile_python_is_off():
    calls = []

    def node(t, x):
        sys.intern("")  # something harmless
        calls.append(t)
        return x

    ours = Run(network(branches, node), compile_python=False)
    assert set(ours.reasons) == {"is not compiled because `compile_python` is off"}
    assert len(ours.in_python) == 3


def test_tools_that_observe_python_see_every_call():
    seen = []

    def observe(frame, event, argument):
        if event == "call" and frame.f_code is branches.__code__:
            seen.append(frame.f_locals["t"])

    net = network(branches)
    with nengo_jit.Simulator(net, engine="jax", progress_bar=False) as sim:
        sim.run_steps(10)
        before = sys.getprofile()
        sys.setprofile(observe)
        try:
            sim.run_steps(5)
        finally:
            sys.setprofile(before)
        sim.run_steps(10)
        samples = sim.data[net.all_probes[0]].copy()
    np.testing.assert_allclose(seen, [0.011, 0.012, 0.013, 0.014, 0.015])
    np.testing.assert_allclose(samples, Run(network(branches), "reference", (25,)).samples[0])


def test_states_are_saved_and_restored():
    net = network(branches, selects, stimulus=nengo.processes.WhiteSignal(1.0, high=9, seed=1))
    with nengo_jit.Simulator(net, engine="jax", progress_bar=False) as sim:
        sim.run_steps(30)
        state = sim.state()
        sim.run_steps(30)
        expected = sim.data[net.all_probes[1]][-30:]
        sim.load_state(state)
        sim.run_steps(30)
        np.testing.assert_array_equal(sim.data[net.all_probes[1]][-30:], expected)
