"""Operands that do not fit: on each engine the same results, or the same errors."""

import nengo
import numpy as np
import pytest
import scipy.sparse
from compiling import compiled
from nengo.exceptions import BuildError, NengoException, SignalError
from random_operators import KINDS, RandomOperators

import nengo_jit
from nengo_jit.builder import Model, Operator, Signal
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy, DotInc, ElementwiseInc, SimPyFunc, SparseDotInc
from nengo_jit.builder.processes import SimProcess
from nengo_jit.engines import Engine
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.program.lowering import lowers
from nengo_jit.engines.jax.backend import JaxBackend
from nengo_jit.engines.reference import ReferenceBackend

ENGINES = ReferenceBackend, CpuBackend, JaxBackend
N_MODELS = {CpuBackend: 120, JaxBackend: 40}  # the latter are compiled


def memory(engine):
    """All that operators could write to, and what is next to it."""
    signals = [signal for op in engine.plan.operators for signal in op.all_signals]
    arrays = [engine.signals[base] for base in dict.fromkeys(signal.base for signal in signals)]
    return [np.array(each.data if scipy.sparse.issparse(each) else each) for each in arrays]


def outcome(engine_class, kind, seed, bits):
    """How a model of random operators ends: the error, if any, and what is in memory then."""
    nengo.rc.set("precision", "bits", str(bits))
    model = Model(dt=0.001)
    made = getattr(RandomOperators(seed, model.time), kind)()
    for operator in made if isinstance(made, list) else [made]:
        model.add_op(operator)
    try:
        engine = compiled(model, engine_class, threads=1)
        engine.reset(0)
    except Exception as error:
        return "not made", error, []
    error = None
    for _ in range(3):
        try:
            engine.run(1)
        except Exception as raised:
            error = raised
    return "made", error, memory(engine)


@pytest.mark.parametrize(
    "backend, bits", [*((CpuBackend, n) for n in (64, 32, 16)), (JaxBackend, 64), (JaxBackend, 32)]
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_random_operators(kind, backend, bits):
    tolerance = {64: 1e-9, 32: 1e-4, 16: 0.0}[bits]
    n_made = 0
    for seed in range(N_MODELS[backend]):
        try:
            expected = outcome(ReferenceBackend, kind, seed, bits)
        except (BuildError, SignalError):  # by the operator itself
            continue
        n_made += 1
        stage, error, arrays = outcome(backend, kind, seed, bits)
        assert (stage, error is None) == (expected[0], expected[1] is None), seed
        if kind != "circuit":  # of which several parts may be wrong
            assert type(error) is type(expected[1]), seed
        for actual, right in zip(arrays, expected[2], strict=True):
            scale = np.abs(right.astype(float)).max(initial=1e-30)
            np.testing.assert_allclose(actual, right, tolerance, tolerance * scale, str(seed))
    assert n_made > N_MODELS[backend] / 4


class Forgetful(Operator):
    """An operator whose ``make_step`` does not return what it should."""

    def __init__(self, time, step):
        super().__init__(sets=[], incs=[], reads=[time], updates=[])
        self.step = step

    def make_step(self, signals, dt, rng):
        return self.step


@pytest.mark.parametrize("step", [None, 3, "step", np.zeros(2), lambda x: None])
@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_steps_that_cannot_be_called(step, engine):
    for make in (lambda time: Forgetful(time, step), lambda _: SimPyFunc(None, step, None, None)):
        model = Model(dt=0.001)
        operator = make(model.time)
        model.add_op(operator)
        with nengo_jit.Simulator(None, model=model, engine=engine) as sim:
            for _ in range(2):
                with pytest.raises(TypeError, match=r"not callable|missing 1") as caught:
                    sim.run_steps(150)
                assert "in step 1 " in caught.value.__notes__[0]
                assert str(operator) in caught.value.__notes__[0]
                assert sim.n_steps == 0


def broken(how, format):
    matrix = scipy.sparse.random(4, 5, 0.5, format=format, random_state=0)
    how(matrix)
    return matrix


def set_first(name, value):
    return lambda matrix: getattr(matrix, name).__setitem__(0, value)


def set_last(name, value):
    return lambda matrix: getattr(matrix, name).__setitem__(-1, value)


@pytest.mark.parametrize(
    "how, format",
    [
        (set_first("indices", 5), "csr"),
        (set_first("indices", -1), "csr"),
        (set_first("indptr", 1), "csr"),
        (set_last("indptr", 99), "csr"),
        (set_last("indptr", 1), "csr"),
        (set_first("indices", 4), "csc"),
        (set_first("row", 4), "coo"),
        (set_last("col", -2), "coo"),
    ],
)
@pytest.mark.parametrize("engine_class", ENGINES)
def test_indices_of_sparse_matrices(engine_class, how, format):
    """SciPy does not look at them."""
    model = Model()
    weights = Signal(broken(how, format), readonly=True)
    model.add_op(SparseDotInc(weights, Signal(np.ones(5)), Signal(np.zeros(4))))
    with pytest.raises(BuildError, match="indices") as caught:
        compiled(model, engine_class).reset(0)
    assert "SparseDotInc" in caught.value.__notes__[0]


def test_sparse_matrices_whose_indices_are_not_sorted(run_both):
    matrix = scipy.sparse.random(4, 5, 0.5, format="csr", random_state=0)
    matrix.indices[:3] = matrix.indices[:3][::-1].copy()
    model, y = Model(), Signal(np.zeros(4))
    model.add_op(SparseDotInc(Signal(matrix, readonly=True), Signal(np.arange(5.0)), y))
    cpu, reference = run_both(model, 1)
    assert cpu.callbacks == []
    np.testing.assert_allclose(cpu.signals[y], reference.signals[y])
    np.testing.assert_allclose(cpu.signals[y], matrix.toarray().dot(np.arange(5.0)))


@pytest.mark.parametrize("engine_class", ENGINES)
def test_errors_before_the_first_step_say_whose_they_are(engine_class):
    model = Model()
    operator = ElementwiseInc(Signal(np.ones(2)), Signal(np.ones(3)), Signal(np.ones(3)))
    model.add_op(operator)
    with pytest.raises(BuildError, match="shapes") as caught:
        compiled(model, engine_class).reset(0)
    assert caught.value.__notes__ == [Engine.not_ready(operator)]


def test_what_is_read_only_is_not_written_to(run_both):
    values = np.arange(3.0)
    signal = Signal(values, readonly=True)
    for operator in (
        Copy(Signal(np.ones(3)), signal),
        DotInc(Signal(np.eye(3)), Signal(np.ones(3)), signal),
        SimPyFunc(signal, lambda: [3.0, 4.0, 5.0], None, None),
        SimNeurons(nengo.RectifiedLinear(), Signal(np.ones(3)), signal),
        SimProcess(nengo.processes.WhiteNoise(), None, signal, Model().time),
    ):
        model = Model()
        model.add_op(operator)
        for engine_class in ENGINES:
            engine = compiled(model, engine_class)
            engine.reset(0)
            with pytest.raises((ValueError, NengoException), match=r"read-only|invalid type"):
                engine.run(1)
            assert values.tolist() == [0.0, 1.0, 2.0]


def test_spikes_that_something_else_is_added_to(run_both):
    """What is listed as spikes would not have it."""
    model = Model()
    J, spikes, y = Signal(np.full(4, 3.0)), Signal(np.zeros(4)), Signal(np.zeros(2))
    state = {"voltage": Signal(np.zeros(4)), "refractory_time": Signal(np.zeros(4))}
    model.add_op(SimNeurons(nengo.LIF(), J, spikes, state))
    model.add_op(Copy(Signal(np.arange(4.0)), spikes, inc=True))
    model.add_op(DotInc(Signal(np.ones((2, 4)), readonly=True), spikes, y))
    cpu, reference = run_both(model, 20)
    assert reference.signals[y].tolist() != [0.0, 0.0]
    np.testing.assert_allclose(cpu.signals[y], reference.signals[y])


def test_rates_that_are_negative(run_both):
    """NumPy refuses to draw Poisson numbers for them."""
    model = Model()
    neurons = nengo.PoissonSpiking(nengo.RectifiedLinear())
    state = {"rng": np.random.RandomState(0)}
    model.add_op(SimNeurons(neurons, Signal(np.full(3, -5.0)), Signal(np.zeros(3)), state))
    with pytest.raises(ValueError, match="lam"):
        run_both(model, 1)


@pytest.mark.parametrize("inc", [False, True])
def test_signals_whose_elements_share_memory(inc, run_both):
    base = Signal(np.zeros(4))
    windows = np.lib.stride_tricks.sliding_window_view(base.initial_value, 2)
    repeated = np.broadcast_to(base.initial_value[:3], (3, 3))
    for view in (windows, repeated):
        model = Model()
        source = Signal(np.arange(float(view.size)).reshape(view.shape))
        model.add_op(Copy(source, Signal(view, base=base), inc=inc))
        cpu, reference = run_both(model, 2, threads=3)
        assert len(cpu.callbacks) == 1
        assert cpu.signals[base].tolist() == reference.signals[base].tolist()


def test_types_without_a_contract_cannot_be_lowered():
    with pytest.raises(TypeError, match="contract"):
        lowers(Forgetful)
