"""Each engine against the reference engine, on random networks and on every benchmark model."""

from __future__ import annotations

import copy
import logging
import sys
from pathlib import Path
from typing import Any

import nengo
import numpy as np
import pytest
from compiling import compiled
from hypothesis import HealthCheck, assume, given, settings
from nengo.exceptions import BuildError

from nengo_jit.builder import Model, Signal
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy, DotInc, ElementwiseInc, Operator
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.jax.backend import JaxBackend
from nengo_jit.engines.reference import ReferenceBackend

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from models import MODELS
from random_networks import Recipe, recipes

each_backend = pytest.mark.parametrize("backend", [CpuBackend, JaxBackend], ids=lambda b: b.name)

RTOL = 1e-9
N_STEPS = 60
EXPLODED = 1e6  # nothing in a network that is of any use is as large as this


def build(network: nengo.Network) -> Model:
    model = Model()
    model.build(network)
    return model


def make_engine(model: Model, backend: Any, seed: int = 1) -> Any:
    made = compiled(model, backend)
    made.reset(seed)
    return made


def samples(engine: Any, probe: nengo.Probe) -> np.ndarray:
    return np.array(engine.samples[probe])


def all_samples(engine: Any) -> list[np.ndarray]:
    """What was recorded, in the order of the probes."""
    return [samples(engine, planned.probe) for planned in engine.plan.probes]


def numbers(array: Any) -> np.ndarray:
    """The elements of a dense or sparse array."""
    return array if isinstance(array, np.ndarray) else array.data


def state(engine: Any) -> dict[Any, np.ndarray]:
    """A copy of everything writable."""
    return {
        signal: numbers(array).copy()
        for signal, array in engine.signals.items()
        if not signal.readonly
    }


def assert_same_samples(engine: Any, other: Any) -> None:
    for mine, theirs in zip(all_samples(engine), all_samples(other)):
        assert np.array_equal(mine, theirs)


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).max(initial=0) / (np.abs(b).max(initial=0) or 1))


class PartingError(AssertionError):
    """Signals differ by more than rounding, unless the model has amplified it."""


class Comparison:
    """An engine and the reference engine, step by step, on models that were built alike.

    Every writable signal is compared after every step. It agrees if it differs by no more than
    ``rtol`` of the largest value that it has had so far. Signals may part only where rounding
    decides whether a neuron spikes; see `is_rounding`. What follows an explosion is not compared,
    since states such as the rest of a large number, modulo 1, have few digits then.

    Parameters
    ----------
    model, other : Model
        For the engine and for the reference engine.
    backend : type[Backend]
        Makes the engine.
    rtol : float
        Which relative error is rounding.
    from_same : bool
        Whether the engine begins each step in the state of the reference engine. Then no model,
        not even a chaotic one, can amplify the rounding of one step in the next ones.
    """

    def __init__(
        self,
        model: Model,
        other: Model,
        backend: Any,
        rtol: float = RTOL,
        from_same: bool = False,
    ):
        self.rtol, self.from_same = rtol, from_same
        self.engine = make_engine(model, backend)
        self.oracle = make_engine(other, ReferenceBackend)
        self.ours = {
            theirs: mine
            for operator, other_operator in zip(model.operators, other.operators)
            for mine, theirs in zip(operator.all_signals, other_operator.all_signals)
            if theirs.size and not theirs.readonly
        }
        self.largest = dict.fromkeys(self.ours, 1e-6)
        self.neurons = [op for op in other.operators if isinstance(op, SimNeurons)]
        self.before: dict[Any, Any] = {}

    def run(self, n_steps: int) -> int:
        """Run to the end, or to an error of both, a parting or an explosion.

        Returns the number of steps before.
        """
        for number in range(n_steps):
            self.remember()
            errors = [error for error in map(run_step, (self.engine, self.oracle)) if error]
            if errors:
                assert len({type(error) for error in errors}) == 1, errors
                assert len(errors) == 2, errors
                return number
            parted = [signal for signal in self.ours if self.error(signal) > self.rtol]
            if max(self.largest.values(), default=0) > EXPLODED:
                return number
            if parted:
                if not self.is_rounding(parted):
                    raise PartingError(f"in step {number + 1}\n{self.describe(parted)}")
                return number
            if self.from_same:
                for theirs, mine in self.ours.items():
                    numbers(self.engine.signals[mine])[...] = numbers(self.oracle.signals[theirs])
        for mine, theirs in zip(all_samples(self.engine), all_samples(self.oracle)):
            assert mine.shape == theirs.shape
            assert relative_error(mine, theirs) < 1e-6  # of its own, not of its largest value
        return n_steps

    def remember(self) -> None:
        """Keep the state that neurons of the reference engine have before a step."""
        for op in self.neurons:
            arrays = {name: self.oracle.signals[signal] for name, signal in op.state.items()}
            self.before[op] = copy.deepcopy({**arrays, **op.state_extra})

    def error(self, theirs: Signal) -> float:
        a = numbers(self.engine.signals[self.ours[theirs]])
        b = numbers(self.oracle.signals[theirs])
        self.largest[theirs] = max(self.largest[theirs], float(np.abs(b).max()))
        return float(np.abs(a - b).max()) / self.largest[theirs]

    def is_rounding(self, parted: list[Signal]) -> bool:
        """Whether rounding can be the reason why signals part that agreed in the step before.

        There must be a population whose currents still agree and whose spikes do not. NumPy's
        own step, from the state before, must give those very spikes if it is given currents
        that are larger or smaller by ``rtol``.
        """
        for op in self.neurons:
            if op.output in parted and op.J not in parted and op.neurons.spiking:
                J, theirs = self.oracle.signals[op.J], self.oracle.signals[op.output]
                mine = self.engine.signals[self.ours[op.output]]
                possible = np.zeros(J.shape, bool)
                for factor in (1 - self.rtol, 1 + self.rtol):
                    output = np.zeros_like(J)
                    state = copy.deepcopy(self.before[op])
                    op.neurons.step(self.oracle.plan.dt, J * factor, output, **state)
                    possible |= np.isclose(output, mine)
                return bool(np.all(possible[~np.isclose(mine, theirs)]))
        return False

    def describe(self, parted: list[Signal]) -> str:
        lines = [f"{signal.name}: relative error {self.error(signal):.3g}" for signal in parted]
        return "\n".join(lines[:10])


def run_step(engine: Any) -> Exception | None:
    """Run one step; returns what it raised."""
    try:
        engine.run(1)
    except Exception as error:
        return error
    return None


@each_backend
@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(recipe=recipes())
def test_random_networks_agree(backend: Any, recipe: Recipe):
    models = [build(recipe.build()) for _ in range(2)]
    try:
        comparison = Comparison(*models, backend)
    except BuildError as error:
        assume("cycles" not in str(error))
        raise
    try:
        n_equal = comparison.run(N_STEPS)
    except PartingError:  # a single step must be right in any case
        models = [build(recipe.build()) for _ in range(2)]
        Comparison(*models, backend, from_same=True).run(N_STEPS)
        return
    if recipe.repeatable and n_equal == N_STEPS:
        engine = comparison.engine
        stepwise = all_samples(engine)
        engine.reset(1)
        engine.run(N_STEPS)
        for mine, before in zip(all_samples(engine), stepwise):
            assert np.array_equal(mine, before)


@each_backend
def test_a_model_that_amplifies_rounding(backend):
    """The upstroke of a spike multiplies errors by ten in a step."""
    with nengo.Network(seed=1) as net:
        ensemble = nengo.Ensemble(20, 1, neuron_type=nengo.Izhikevich())
        nengo.Connection(nengo.Node(0.5), ensemble)
        nengo.Connection(ensemble, ensemble, synapse=0.1)
    Comparison(build(net), build(net), backend, 1e-13, from_same=True).run(100)

    def perturbed(from_same: bool) -> Comparison:
        made = Comparison(build(net), build(net), backend, 1e-11, from_same)
        (neurons,) = made.neurons
        made.engine.signals[made.ours[neurons.state["voltage"]]][...] *= 1 + 1e-13
        return made

    with pytest.raises(PartingError):
        perturbed(False).run(100)
    perturbed(True).run(100)


@each_backend
def test_steps_from_the_same_state_show_errors(backend):
    def model(factor: float) -> Model:
        with nengo.Network(seed=1) as net:
            node = nengo.Node(size_in=1)
            nengo.Connection(nengo.Node(1.0), node, transform=factor, synapse=0.01)
        return build(net)

    with pytest.raises(PartingError, match="in step 1"):
        Comparison(model(1 + 1e-8), model(1.0), backend, from_same=True).run(10)


# These have objects of their own for each engine, since a reset does not rewind all of them.
KEEPS_STATE = ("closed_loop", "noisy_mix")


@each_backend
@pytest.mark.parametrize("name", MODELS)
def test_benchmark_models_agree(name, backend):
    options = {"n_neurons": 100} if name == "noisy_mix" else {}  # twelve slow builds, twice
    model = build(MODELS[name](**options))
    other = build(MODELS[name](**options)) if name in KEEPS_STATE else model
    engine, oracle = make_engine(model, backend), make_engine(other, ReferenceBackend)
    engine.run(200)
    oracle.run(200)
    for mine, theirs in zip(all_samples(engine), all_samples(oracle)):
        assert relative_error(mine, theirs) < RTOL
    for operator, other_operator in zip(model.operators, other.operators):
        for signal, other_signal in zip(operator.all_signals, other_operator.all_signals):
            if not signal.readonly:
                a, b = engine.signals[signal], oracle.signals[other_signal]
                assert relative_error(numbers(a), numbers(b)) < 1e-6, signal


def pes_or_rls(rule):
    with nengo.Network(seed=3) as net:
        stim = nengo.Node(lambda t: [np.sin(5 * t), np.cos(3 * t)])
        pre, post = nengo.Ensemble(60, 2), nengo.Ensemble(60, 2)
        error = nengo.Node(size_in=2)
        nengo.Connection(stim, pre)
        learned = nengo.Connection(
            pre, post, function=lambda x: [0, 0], learning_rule_type=rule, seed=1
        )
        nengo.Connection(post, error)
        nengo.Connection(stim, error, transform=-1)
        nengo.Connection(error, learned.learning_rule)
        net.out, net.error = nengo.Probe(post, synapse=0.02), nengo.Probe(error, synapse=0.02)
        net.weights = nengo.Probe(learned, "weights", sample_every=0.1)
    return net


def bcm_or_oja(rule):
    with nengo.Network(seed=3) as net:
        stim = nengo.Node(lambda t: [np.sin(5 * t), np.cos(3 * t)])
        pre, post = nengo.Ensemble(30, 2), nengo.Ensemble(25, 2)
        nengo.Connection(stim, pre)
        learned = nengo.Connection(
            pre, post, solver=nengo.solvers.LstsqL2(weights=True), learning_rule_type=rule
        )
        net.out = nengo.Probe(post, synapse=0.02)
        net.weights = nengo.Probe(learned, "weights", sample_every=0.1)
    return net


def voja(rule):
    with nengo.Network(seed=3) as net:
        stim = nengo.Node(lambda t: [np.sin(5 * t), np.cos(3 * t)])
        pre, post = nengo.Ensemble(30, 2), nengo.Ensemble(25, 2)
        nengo.Connection(stim, pre)
        learned = nengo.Connection(pre, post, learning_rule_type=rule)
        net.out = nengo.Probe(post, synapse=0.02)
        net.weights = nengo.Probe(learned.learning_rule, "scaled_encoders", sample_every=0.1)
    return net


LEARNING = {
    "PES": (pes_or_rls, nengo.PES(1e-4)),
    "RLS": (pes_or_rls, nengo.RLS(1e-3)),
    "BCM": (bcm_or_oja, nengo.BCM(1e-9)),
    "Oja": (bcm_or_oja, nengo.Oja(1e-7)),
    "Voja": (voja, nengo.Voja(1e-2, post_synapse=0.005)),
}


@each_backend
@pytest.mark.parametrize("rule", LEARNING)
def test_learning_in_the_long_run_is_statistically_the_same(rule, backend):
    make, rule_type = LEARNING[rule]
    net = make(rule_type)
    model = build(net)
    engine, oracle = make_engine(model, backend), make_engine(model, ReferenceBackend)
    for each in (engine, oracle):
        each.run(10_000)
    mine, theirs = samples(engine, net.weights), samples(oracle, net.weights)
    norms = [np.sqrt((weights**2).sum(axis=(1, 2))) for weights in (mine, theirs)]
    assert not np.isclose(norms[1][0], norms[1][-1], rtol=1e-3)  # something was learned
    np.testing.assert_allclose(*norms, rtol=0.05, atol=0.01 * norms[1].max())
    assert relative_error(mine[-1], theirs[-1]) < 0.1
    out, expected = samples(engine, net.out), samples(oracle, net.out)
    rms = np.sqrt(np.mean(expected**2))
    assert np.sqrt(np.mean((out - expected)[-2000:] ** 2)) < 0.1 * rms
    if rule in ("PES", "RLS"):
        errors = [
            np.sqrt(np.mean(samples(each, net.error)[-2000:] ** 2)) for each in (engine, oracle)
        ]
        assert errors[1] < 0.2
        np.testing.assert_allclose(*errors, rtol=0.05)


@pytest.fixture(autouse=True)
def quiet(caplog):
    """Do not tell about every operator without a kernel."""
    caplog.set_level(logging.ERROR, logger="nengo_jit")


@pytest.fixture(scope="module")
def everything():
    """A model with something of each kind; nothing in it keeps state that a reset leaves."""
    with nengo.Network(seed=5) as net:
        noise = nengo.Node(nengo.processes.WhiteNoise(), size_out=2)
        stim = nengo.Node(lambda t: [np.sin(9 * t), 0.5])
        middle = nengo.Node(lambda t, x: x[::-1] * np.cos(t), size_in=2)
        array = nengo.networks.EnsembleArray(20, 6)
        ens = nengo.Ensemble(30, 2, noise=nengo.processes.WhiteNoise(nengo.dists.Gaussian(0, 0.1)))
        rate = nengo.Ensemble(25, 2, neuron_type=nengo.LIFRate())
        direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        nengo.Connection(noise, middle, synapse=nengo.Alpha(0.01))
        nengo.Connection(stim, ens)
        nengo.Connection(middle, array.input[::3], transform=0.5)
        nengo.Connection(array.output[[4, 1]], rate)
        nengo.Connection(ens, ens, synapse=0.05)
        nengo.Connection(ens, direct, function=lambda x: x**2)
        nengo.Connection(rate.neurons, ens.neurons, transform=np.full((30, 25), 1e-3))
        learned = nengo.Connection(ens, rate, learning_rule_type=[nengo.PES(), nengo.RLS()])
        for rule in learned.learning_rule:
            nengo.Connection(direct, rule)
        nengo.Connection(
            ens, rate, solver=nengo.solvers.LstsqL2(weights=True), learning_rule_type=nengo.BCM()
        )
        nengo.Connection(rate, ens, learning_rule_type=nengo.Voja())
        nengo.Connection(
            stim,
            array.input[:2],
            transform=nengo.Convolution(1, (2, 1), kernel_size=(1,), strides=(1,)),
        )
        nengo.Probe(array.output, synapse=0.01)
        nengo.Probe(ens.neurons)
        nengo.Probe(rate.neurons[::2], sample_every=0.003)
        nengo.Probe(learned, "weights", sample_every=0.0025)
        nengo.Probe(direct)
        nengo.Probe(middle)
    return build(net)


@each_backend
def test_everything_agrees(everything, backend):
    engine, oracle = make_engine(everything, backend), make_engine(everything, ReferenceBackend)
    engine.run(100)
    oracle.run(100)
    for mine, theirs in zip(all_samples(engine), all_samples(oracle)):
        assert relative_error(mine, theirs) < RTOL


@each_backend
@pytest.mark.parametrize("cuts", [(50, 50), (1, 99), (33, 1, 0, 66)])
def test_runs_in_parts_equal_one_run(everything, cuts, backend):
    whole, parts = make_engine(everything, backend), make_engine(everything, backend)
    whole.run(100)
    for cut in cuts:
        parts.run(cut)
    assert_same_samples(whole, parts)
    before = state(whole)
    for signal, array in state(parts).items():
        assert np.array_equal(array, before[signal])


@each_backend
def test_a_reset_repeats_every_bit(everything, backend):
    engine, other = (make_engine(everything, backend, seed) for seed in (4, 8))
    engine.run(80)
    other.run(23)
    other.reset(4)
    other.run(80)
    assert_same_samples(engine, other)
    first = state(engine)
    engine.reset(4)
    engine.run(80)
    assert_same_samples(engine, other)
    for signal, array in state(engine).items():
        assert np.array_equal(array, first[signal])


@each_backend
def test_two_engines_of_one_plan_do_not_share_memory(everything, backend):
    plan = backend().plan(everything)
    engine, other = backend().compile(plan), backend().compile(plan)
    engine.reset(1)
    other.reset(1)
    engine.run(10)
    before = state(engine)
    other.run(20)
    for signal, array in state(engine).items():
        assert np.array_equal(array, before[signal])


@each_backend
@pytest.mark.parametrize(
    "name, options",
    [("integrator", {}), ("basal_ganglia", {"dimensions": 3}), ("noisy_mix", {"n_neurons": 20})],
)
def test_single_precision_is_close_to_double(name, options, backend):
    engines = []
    for bits in (64, 32):
        nengo.rc.set("precision", "bits", str(bits))
        engines.append(make_engine(build(MODELS[name](**options)), backend))
        engines[-1].run(100)
    double, single = map(all_samples, engines)
    for a, b in zip(single, double):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        assert a.shape == b.shape
    # Spikes part in the course of time: what is compared in full is the beginning.
    errors = [relative_error(a[:10], b[:10]) for a, b in zip(single, double)]
    assert np.median(errors) < 1e-3
    for array in engines[1].signals.values():
        assert array.dtype in (np.float32, np.int32)


@each_backend
def test_single_precision_agrees_with_the_reference_engine(backend):
    nengo.rc.set("precision", "bits", "32")
    model = build(MODELS["integrator"]())
    engine, oracle = make_engine(model, backend), make_engine(model, ReferenceBackend)
    engine.run(50)
    oracle.run(50)
    for a, b in zip(all_samples(engine), all_samples(oracle)):
        assert a.dtype == b.dtype
        assert relative_error(a, b) < 1e-4


class Failure:
    """A function that raises once, at a given time."""

    def __init__(self, time):
        self.time, self.failed = time, False

    def __call__(self, t, x):
        if t > self.time and not self.failed:
            self.failed = True
            raise ZeroDivisionError("once")
        return 2 * x


def failing_network(failure):
    """Kernels, learning among them, run before and after a node that fails."""
    with nengo.Network(seed=2) as net:
        stim = nengo.Node(nengo.processes.WhiteNoise(seed=3), size_out=1)
        before, after = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
        failing = nengo.Node(failure, size_in=1)
        nengo.Connection(stim, before)
        nengo.Connection(before, failing, synapse=None)  # waits for the neurons before it
        nengo.Connection(failing, after, synapse=None)
        nengo.Connection(after, before)
        learned = nengo.Connection(before, after, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(after, learned.learning_rule, synapse=None)
        nengo.Probe(after.neurons)
        nengo.Probe(before, synapse=0.01)
        nengo.Probe(learned, "weights")
    return net


@each_backend
@pytest.mark.parametrize("n_steps", [1, 10])
def test_a_node_that_fails_leaves_the_last_whole_step(n_steps, backend):
    models = [build(failing_network(Failure(time))) for time in (0.0305, np.inf)]
    engine, whole = (make_engine(model, backend) for model in models)
    (place,) = (
        number
        for number, group in enumerate(engine.plan.groups)
        for op in group.members
        if isinstance(getattr(op, "fn", None), Failure)
    )
    assert 0 < place < len(engine.plan.groups) - 1
    engine.run(30)
    whole.run(30)
    if n_steps == 10:  # fail in the middle of a run
        engine.reset(1)
        with pytest.raises(ZeroDivisionError, match="once"):
            engine.run(60)
    else:
        with pytest.raises(ZeroDivisionError, match="once"):
            engine.run(1)
    assert (engine.n_steps, engine.time) == (30, 0.03)
    for operator, other in zip(models[0].operators, models[1].operators):
        for signal, other_signal in zip(operator.all_signals, other.all_signals):
            assert np.array_equal(engine.signals[signal], whole.signals[other_signal]), signal
    assert_same_samples(engine, whole)


@each_backend
def test_after_a_failure_processes_that_keep_arrays_go_on_as_if_nothing_had_happened(backend):
    models = [build(failing_network(Failure(time))) for time in (0.0105, np.inf)]
    for model in models:  # noise draws from generators, which cannot be taken back
        model.operators[:] = [
            op
            for op in model.operators
            if "WhiteNoise" not in type(getattr(op, "process", 0)).__name__
        ]
    engine, whole = (make_engine(model, backend) for model in models)
    with pytest.raises(ZeroDivisionError):
        engine.run(40)
    engine.run(30)
    whole.run(40)
    assert_same_samples(engine, whole)


@pytest.fixture
def matrix_model():
    """A model with a matrix that changes in every step, and probes of its columns and parts."""

    class Advance(Operator):
        def __init__(self, signal):
            super().__init__("advance", sets=[], incs=[], reads=[], updates=[signal])

        def make_step(self, signals, dt, rng):
            array = signals[self.updates[0]]

            def step():
                array[...] += 1

            return step

    model = Model()
    signal = Signal(np.arange(24.0).reshape(4, 6), name="matrix")
    model.add_op(Advance(signal))
    views = {
        "whole": signal,
        "column": signal[:, 2:3],
        "columns": signal[:, ::2],
        "rows": signal[::2],
        "backwards": signal[::-1, ::-3],
        "row": signal[1],
        "vector": signal.reshape(24)[3::5],
        "empty": signal[:, 2:2],
    }
    for i, (name, view) in enumerate(views.items()):
        for sample_every in (None, 0.002, 0.0025):
            with nengo.Network(add_to_container=False):
                probe = nengo.Probe(
                    nengo.Node([0.0]), label=f"{name} {i}", sample_every=sample_every
                )
            model.sig[probe]["in"] = view
            model.probes.append(probe)
    return model


@each_backend
@pytest.mark.parametrize("cuts", [(11,), (1, 4, 6)])
def test_probes_of_views_take_the_right_elements_at_the_right_times(matrix_model, cuts, backend):
    engine = make_engine(matrix_model, backend)
    for cut in cuts:
        engine.run(cut)
    for planned in engine.plan.probes:
        steps = [n for n in range(1, 12) if n % planned.period < 1]
        expected = np.array([planned.signal.initial_value + n for n in steps])
        recorded = samples(engine, planned.probe)
        assert recorded.shape == expected.shape, planned.probe
        assert np.array_equal(recorded, expected), planned.probe


@each_backend
def test_writing_to_signals_between_runs_acts_as_on_the_reference_engine(everything, backend):
    engine, oracle = make_engine(everything, backend), make_engine(everything, ReferenceBackend)
    rng = np.random.RandomState(0)
    writable = dict.fromkeys(
        signal
        for operator in everything.operators
        for signal in operator.all_signals
        if not signal.readonly and signal.dtype == np.float64 and signal.size
    )
    for _ in range(5):
        for signal in writable:
            change = 1 + 0.01 * rng.uniform(-1, 1, signal.shape)
            value = oracle.signals[signal] * change
            engine.signals[signal] = value
            oracle.signals[signal] = value
        engine.run(5)
        oracle.run(5)
        for signal in writable:
            a, b = engine.signals[signal], oracle.signals[signal]
            assert relative_error(a, b) < 1e-6, signal
    for mine, theirs in zip(all_samples(engine), all_samples(oracle)):
        assert relative_error(mine, theirs) < RTOL


@each_backend
def test_constants_cannot_be_written_to(everything, backend):
    engine = make_engine(everything, backend)
    constants = [signal for signal in engine.signals if signal.readonly and not signal.sparse]
    assert constants
    for signal in constants:
        with pytest.raises(ValueError, match="read-only"):
            engine.signals[signal] = 1.0


REFUSED = {
    "repeated indices": lambda a, b, m: Copy(a, b, dst_slice=[0, 0, 1]),
    "index out of range": lambda a, b, m: Copy(a, b, src_slice=[0, 1, 3]),
    "lengths of a copy": lambda a, b, m: Copy(a, Signal(np.zeros(2), name="short")),
    "shapes of a product": lambda a, b, m: ElementwiseInc(m, a, b),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("engine", [CpuBackend, ReferenceBackend, JaxBackend])
def test_what_cannot_be_carried_out_is_refused(what, engine):
    model = Model()
    a, b, m = (Signal(np.ones(shape), name="x") for shape in (3, 3, (3, 3)))
    model.add_op(REFUSED[what](a, b, m))
    with pytest.raises((BuildError, ValueError, IndexError)):
        make_engine(model, engine).run(1)


@each_backend
def test_products_of_every_shape_agree(backend):
    rng = np.random.RandomState(0)
    model, targets = Model(), []
    for readonly in (True, False):
        for n, m in [(1, 1), (1, 5), (5, 1), (3, 2), (7, 9), (40, 9), (9, 40), (20, 8), (64, 64)]:
            whole = Signal(rng.randn(2 * n, 2 * m), name="A", readonly=readonly)
            for A in (whole[:n, :m], whole[::2, ::2], Signal(rng.randn(n, m), readonly=readonly)):
                X, Y = Signal(rng.randn(m), name="X"), Signal(rng.randn(n), name="Y")
                strided = Signal(rng.randn(2 * m), name="X")[::2]
                targets.append(Y)
                model.add_op(DotInc(A, X, Y))
                model.add_op(DotInc(A, strided, Y))
    for shape in [(), (1,), (4,), (4, 3)]:
        Y = Signal(rng.randn(*shape), name="Y")
        A = Signal(rng.randn(*shape), name="A")
        targets.append(Y)
        model.add_op(ElementwiseInc(A, Signal(rng.randn(*shape), name="X"), Y))
        model.add_op(ElementwiseInc(Signal(rng.randn(1), name="a"), A, Y)) if shape else None
        model.add_op(ElementwiseInc(A, Signal(rng.randn(1), name="x"), Y)) if shape else None
    engine, oracle = make_engine(model, backend), make_engine(model, ReferenceBackend)
    engine.run(3)
    oracle.run(3)
    for signal in targets:
        assert relative_error(engine.signals[signal], oracle.signals[signal]) < 1e-12


@pytest.mark.parametrize("engine", [CpuBackend, ReferenceBackend, JaxBackend])
def test_sparse_weights_can_be_probed(engine):
    pytest.importorskip("scipy.sparse")
    transform = nengo.Sparse((2, 2), indices=[[0, 1], [1, 0]], init=[1.0, 2.0])
    with nengo.Network() as net:
        a, b = nengo.Node([1.0, 2.0]), nengo.Node(size_in=2)
        probe = nengo.Probe(nengo.Connection(a, b, transform=transform), "weights")
    made = make_engine(build(net), engine)
    made.run(2)
    assert [sample.toarray().tolist() for sample in made.samples[probe]] == 2 * [[[0, 1], [2, 0]]]
