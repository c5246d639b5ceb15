"""What operators compute, by any array library, is what their steps do in NumPy."""

from copy import deepcopy

import nengo
import numpy as np
import pytest
import scipy.sparse
from libraries import Library, every_library
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import Alpha, LinearFilter, Lowpass, Triangle

from nengo_jit.ir.base import Operator
from nengo_jit.ir.compute import computation, to_library
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset, SparseDotInc, TimeUpdate
from nengo_jit.ir.probe import SimProbe
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc

DT = 0.002
N_STEPS = 4
N = 6

# Operators that have no `compute`: users' functions are called in Python.
EXEMPT = {"SimPyFunc", "GivenRows"}  # the latter is in no plan


def random(*shape, seed=0):
    return Signal(np.random.RandomState(seed).uniform(-1.0, 1.0, shape), name=f"random{shape}")


def sixteenths(*shape, seed=0):
    """Numbers whose products and sums are exact, in whatever order they are added up."""
    return Signal(np.random.RandomState(seed).randint(-16, 16, shape) / 16.0, name="exact")


def a_clock():
    return TimeUpdate(Signal(np.array(3), name="step"), Signal(np.array(0.0), name="time"))


def a_copy(src=(N,), dst=(N,), **options):
    return lambda: Copy(random(*src), random(*dst, seed=1), **options)


def a_product(a, x, y, **options):
    return lambda: DotInc(random(*a), random(*x, seed=1), random(*y, seed=2), **options)


def a_sparse_product(form):
    def make():
        matrix = scipy.sparse.random(5, N, 0.5, form, random_state=np.random.RandomState(0))
        matrix.data[:] = np.random.RandomState(1).randn(matrix.nnz)
        return SparseDotInc(Signal(matrix, name="A"), random(N), random(5, seed=1))

    return make


def neurons(neuron_type, scale=1.0):
    def make():
        J = Signal(scale * np.linspace(-1.0, 9.0, N), name="J")
        if isinstance(neuron_type, nengo.PoissonSpiking) and not neuron_type.negative:
            J = Signal(np.abs(J.initial_value), name="J")
        state = neuron_type.make_state(N, rng=np.random.RandomState(0))
        state = {
            name: value if isinstance(value, np.random.RandomState) else Signal(value, name=name)
            for name, value in state.items()
        }
        return SimNeurons(neuron_type, J, Signal(shape=N, name="output"), state)

    return make


def a_process(process, mode="set", shape=(N,), has_input=False):
    def make():
        state = process.make_state(shape if has_input else (0,), shape, DT)
        return SimProcess(
            process,
            random(*shape) if has_input else None,
            random(*shape, seed=1),
            Signal(np.array(DT), name="t"),
            mode,
            {name: Signal(np.asarray(value, float), name=name) for name, value in state.items()},
        )

    return make


def a_filter(synapse, mode="update", shape=(N,)):
    return a_process(synapse, mode, shape, has_input=True)


def a_convolution(kind, shape, is_exact=False, **options):
    def make():
        operator, transform = {
            "convolution": (ConvInc, nengo.Convolution),
            "transposed": (ConvTransposeInc, nengo.ConvolutionTranspose),
            "general": (GeneralConvInc, nengo.Convolution),
        }[kind]
        numbers = sixteenths if is_exact else random
        conv = transform(4, shape, **options)
        return operator(
            numbers(*conv.kernel_shape), numbers(conv.size_in, seed=1), numbers(conv.size_out), conv
        )

    return make


def a_rule(kind, *arguments):
    def make():
        pre, post, delta = random(5), random(N, seed=1), Signal(shape=(N, 5), name="delta")
        return {
            SimPES: lambda: SimPES(pre, post, delta, *arguments),
            SimBCM: lambda: SimBCM(pre, post, random(N, seed=2), delta, *arguments),
            SimOja: lambda: SimOja(pre, post, random(N, 5, seed=2), delta, *arguments),
            SimVoja: lambda: SimVoja(
                pre, post, random(N, 5, seed=2), delta, np.arange(1.0, N + 1), random(1), 0.3
            ),
            SimRLS: lambda: SimRLS(pre, post, delta, random(5, 5, seed=3)),
        }[kind]()

    return make


CASES = {
    "clock": a_clock,
    "reset": lambda: Reset(random(2, 3), 1.5),
    "copy": a_copy(),
    "copy of one element": a_copy(src=(1,)),
    "copy added": a_copy(inc=True),
    "selected": a_copy(src_slice=[4, 0, -1], dst=(3,)),
    "to selected": a_copy(src=(3,), dst_slice=[4, 0, -1]),
    "added to selected": a_copy(src=(3,), dst_slice=[4, 0, -1], inc=True),
    "added repeatedly": a_copy(src_slice=[0, 1, 2, 3], dst_slice=[2, -1, 2, 5], inc=True),
    "masked": a_copy(src_slice=np.arange(N) % 2 == 0, dst_slice=np.arange(N) < 3),
    "a slice": a_copy(src_slice=slice(None, None, -2), dst_slice=slice(3, None)),
    "rows": a_copy(src=(N, 2), dst=(N, 2), src_slice=[1, 0], dst_slice=[2, 3]),
    "elementwise": lambda: ElementwiseInc(random(N), random(N, seed=1), random(N, seed=2)),
    "by a number": lambda: ElementwiseInc(random(), random(N, seed=1), random(N, seed=2)),
    "by rows": lambda: ElementwiseInc(random(N), random(2, N, seed=1), random(2, N, seed=2)),
    "matrix and vector": a_product((5, N), (N,), (5,)),
    "one row": a_product((1, N), (N,), (1,)),
    "one column": a_product((5, 1), (1,), (5,)),
    "two vectors": a_product((N,), (N,), ()),
    "two vectors to one element": a_product((N,), (N,), (1,)),
    "matrix and column": a_product((5, N), (N, 1), (5, 1)),
    "number and vector": a_product((), (N,), (N,)),
    "vector and number": a_product((N,), (), (N,)),
    "sparse rows": a_sparse_product("csr"),
    "sparse columns": a_sparse_product("csc"),
    "sparse elements": a_sparse_product("coo"),
    "LIF": neurons(nengo.LIF()),
    "LIFRate": neurons(nengo.LIFRate()),
    "AdaptiveLIF": neurons(nengo.AdaptiveLIF()),
    "AdaptiveLIFRate": neurons(nengo.AdaptiveLIFRate()),
    "Izhikevich": neurons(nengo.Izhikevich()),
    "RectifiedLinear": neurons(nengo.RectifiedLinear(), 200.0),
    "SpikingRectifiedLinear": neurons(nengo.SpikingRectifiedLinear(), 200.0),
    "Sigmoid": neurons(nengo.Sigmoid()),
    "Tanh": neurons(nengo.Tanh()),
    "RegularSpiking": neurons(nengo.RegularSpiking(nengo.Tanh()), 200.0),
    "StochasticSpiking": neurons(nengo.StochasticSpiking(nengo.Tanh()), 200.0),
    "PoissonSpiking": neurons(nengo.PoissonSpiking(nengo.Tanh()), 200.0),
    "PoissonSpiking of LIF": neurons(nengo.PoissonSpiking(nengo.LIFRate()), 200.0),
    "Lowpass": a_filter(Lowpass(0.01)),
    "Lowpass, one element": a_filter(Lowpass(0.01), shape=(1,)),
    "Lowpass, set": a_filter(Lowpass(0.01), "set"),
    "Lowpass, inc": a_filter(Lowpass(0.01), "inc"),
    "Lowpass of a matrix": a_filter(Lowpass(0.01), shape=(2, 3)),
    "Lowpass without a constant": a_filter(Lowpass(0.0)),
    "Alpha": a_filter(Alpha(0.01)),
    "Alpha of a matrix": a_filter(Alpha(0.01), shape=(2, 3)),
    "third order": a_filter(LinearFilter([1], [1e-6, 3e-4, 3e-2, 1])),
    "passing on": a_filter(LinearFilter([1, 0.5], [1, -0.25], analog=False)),
    "Triangle": a_filter(Triangle(0.006)),
    "Triangle of a matrix": a_filter(Triangle(0.004), shape=(2, 3)),
    "WhiteNoise": a_process(WhiteNoise(seed=1)),
    "WhiteNoise, inc": a_process(WhiteNoise(scale=False), "inc"),
    "FilteredNoise": a_process(FilteredNoise(seed=1)),
    "FilteredNoise by Alpha": a_process(FilteredNoise(Alpha(0.01), scale=False)),
    "BrownNoise": a_process(nengo.processes.BrownNoise()),
    "WhiteSignal": a_process(WhiteSignal(0.1, 50.0, seed=1)),
    "PresentInput": a_process(PresentInput(np.arange(12.0).reshape(2, N), DT)),
    "Piecewise": a_process(Piecewise({0.001: np.arange(6.0), 0.004: np.ones(6)})),
    "PES": a_rule(SimPES, 0.3),
    "BCM": a_rule(SimBCM, 0.3),
    "Oja": a_rule(SimOja, 0.3, 0.7),
    "Voja": a_rule(SimVoja),
    "RLS": a_rule(SimRLS),
    "convolution": a_convolution("convolution", (6, 5, 3)),
    "same padding": a_convolution(
        "general", (6, 5, 3), padding="same", strides=(2, 1), kernel_size=(3, 2)
    ),
    "channels first": a_convolution("convolution", (3, 6, 5), channels_last=False),
    "one dimension": a_convolution("convolution", (6, 3), kernel_size=(2,), strides=(1,)),
    "groups": a_convolution("convolution", (6, 5, 4), is_exact=True, groups=2),
    "transposed": a_convolution("transposed", (3, 4, 2), strides=(2, 2)),
    "transposed, same padding": a_convolution(
        "transposed", (2, 3, 4), padding="same", strides=(2, 1), channels_last=False
    ),
    "probe": lambda: SimProbe(random(3)),
}


def memory_of(operator):
    signals = SignalDict()
    operator.init_signals(signals)
    return signals


def by_steps(operator):
    """Memory after some steps of NumPy, the time going on."""
    signals = memory_of(operator)
    step = operator.make_step(signals, DT, np.random.RandomState(5))
    with np.errstate(invalid="raise", divide="ignore"):
        for k in range(N_STEPS):
            if isinstance(operator, SimProcess):
                signals[operator.t] = (k + 1) * DT
            step()
    return signals


def by_computing(operator, library):
    """The same by what the operator computes."""
    signals = memory_of(operator)
    computed = computation(operator, DT)
    draw = operator.draws(DT, np.random.RandomState(5))
    parameters = [to_library(library.xp, each) for each in computed.parameters]
    for k in range(N_STEPS):
        inputs = [signals[signal] for signal in computed.inputs]
        if isinstance(operator, SimProcess):
            signals[operator.t] = (k + 1) * DT
        drawn = [] if draw is None else [np.asarray(draw((k + 1) * DT, *inputs), float)]
        before = [to_library(library.xp, deepcopy(each)) for each in (*inputs, *drawn)]
        with np.errstate(all="ignore"):
            values = library.call(
                lambda *each: computed.function(library.xp, *each), [*parameters, *before]
            )
        assert len(values) == len(computed.outputs)
        for signal, value in zip(computed.outputs, values):
            if signal in operator.incs:
                np.add.at(signals[signal], computed.place, np.asarray(value))
            else:
                signals[signal][computed.place] = np.asarray(value)
    return signals


@every_library
@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_what_is_computed_is_what_steps_do(make, name):
    library = Library(name)
    expected, actual = by_steps(make()), by_computing(make(), library)
    for value, other in zip(actual.values(), expected.values()):
        if isinstance(other, np.ndarray):
            library.assert_equal(value, other, scale=1.0 + np.abs(other).max(initial=0.0))


def all_operators(base=Operator):
    for cls in base.__subclasses__():
        if cls.__module__.startswith("nengo_jit."):
            yield cls
            yield from all_operators(cls)


def test_every_operator_is_tried():
    tried = {type(make()) for make in CASES.values()}
    assert tried == {each for each in all_operators() if each.__name__ not in EXEMPT}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_nothing_that_is_given_is_written_to(make):
    operator = make()
    signals, computed = memory_of(operator), computation(operator, DT)
    inputs = [signals[signal] for signal in computed.inputs]
    draw = operator.draws(DT, np.random.RandomState(0))
    drawn = [] if draw is None else [draw(DT, *inputs)]
    arrays = [each for each in (*inputs, *drawn, *computed.parameters) if hasattr(each, "flags")]
    for array in arrays:
        array.setflags(write=False)
    with np.errstate(all="ignore"):
        computed.function(np, *computed.parameters, *inputs, *drawn)


class Own(Copy):
    def make_step(self, signals, dt, rng):
        return lambda: None


class Halving(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: x / 2


class Custom(nengo.LIF):
    pass


@pytest.mark.parametrize(
    "make",
    [
        lambda: SimPyFunc(random(2), lambda t: t, Signal(0.0), None),
        lambda: Own(random(2), random(2)),
        lambda: nengo.builder.operator.Reset(random(2)),
        lambda: Operator(),
        a_process(Halving(), has_input=True),
        a_process(Piecewise({0.0: lambda t: np.full(N, t)})),
        a_process(FilteredNoise(Triangle(0.004))),
        neurons(Custom()),
    ],
    ids=[
        "function",
        "step of its own",
        "nengo's",
        "none at all",
        "process",
        "piecewise function",
        "noise by a triangle",
        "neurons",
    ],
)
def test_what_only_python_knows_is_not_computed(make):
    assert computation(make(), DT) is None


def test_a_step_that_is_replaced_is_not_computed():
    operator = Copy(random(2), random(2))
    assert computation(operator, DT) is not None
    operator.make_step = lambda signals, dt, rng: lambda: None
    assert computation(operator, DT) is None
