"""Contracts: what operands must be like for kernels to get their addresses.

Kernels trust what they are told. So an operator is lowered only if its operands have the shapes,
types and places in memory that its kernels are written for. Whatever does not runs its
``make_step`` in Python instead: NumPy then broadcasts, or raises the error that nengo would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nengo.utils.numpy as npext
import numpy as np
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import LinearFilter, Triangle

from nengo_jit.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import (
    Copy,
    DotInc,
    ElementwiseInc,
    Reset,
    SparseDotInc,
    TimeUpdate,
    as_selection,
    broadcasts,
    has_valid_indices,
)
from nengo_jit.builder.probe import SimProbe
from nengo_jit.builder.processes import SimProcess
from nengo_jit.builder.signal import Signal, SignalDict
from nengo_jit.builder.transforms import ConvInc, ConvTransposeInc, GeneralConvInc, same_padding
from nengo_jit.planner.graph import overlap

Shape = tuple[int, ...]
Arrays = dict[Signal, Any]
Contract = Callable[[Any, Arrays], bool]

CONTRACTS: dict[type, Contract] = {}
EXEMPT: dict[type, str] = {}  # the operand that need not have the engine's type of numbers
COLUMN: tuple[Shape, ...] = ((), (1,))  # what a vector's shape may end with


def requires(*operator_types: type, exempt: str | None = None) -> Callable[[Contract], Contract]:
    """Decorator that makes a function the contract of operators of exactly some types.

    The function gets an operator and the live arrays, and tells whether shapes and parameters
    are what kernels expect. It is asked only if nothing that the operator writes to is read-only
    or overlaps with its other operands, and if all signals, but the one that is ``exempt``, are
    dense and have the engine's type of numbers.
    """

    def register(contract: Contract) -> Contract:
        CONTRACTS.update(dict.fromkeys(operator_types, contract))
        if exempt is not None:
            EXEMPT.update(dict.fromkeys(operator_types, exempt))
        return contract

    return register


class Contracts:
    """Tells which operators may be lowered.

    Parameters
    ----------
    signals : SignalDict
        The engine's memory.
    dtype : numpy.dtype
        The engine's type of numbers.
    """

    def __init__(self, signals: SignalDict, dtype: np.dtype):
        self._arrays = dict(signals)
        self._dtype = dtype
        self._others = {signal for signal in signals if not self._has_numbers(signal)}
        self._protected = {signal for signal, array in signals.items() if not _is_writable(array)}

    def _has_numbers(self, signal: Signal) -> bool:
        return not signal.sparse and signal.dtype == self._dtype

    def are_met(self, operator: Any) -> bool:
        """Whether kernels may work on the operands of an operator."""
        kind = type(operator)
        written = [*operator.sets, *operator.incs, *operator.updates]
        if not self._protected.isdisjoint(written) or not _are_apart(written, operator.reads):
            return False
        signals = [*written, *operator.reads]
        if kind in EXEMPT:
            signals.remove(getattr(operator, EXEMPT[kind]))
        if not self._others.isdisjoint(signals):
            return False
        return kind not in CONTRACTS or CONTRACTS[kind](operator, self._arrays)


def _is_writable(array: Any) -> bool:
    return bool((array.data if npext.is_spmatrix(array) else array).flags.writeable)


def _are_apart(written: Sequence[Signal], read: Sequence[Signal]) -> bool:
    """Whether no written signal shares memory with another operand."""
    for i, signal in enumerate(written):
        base = signal.base
        for other in (*read, *written[i + 1 :]):
            if other.base is base and overlap([signal], [other]):
                return False
    return True


def contiguous(array: np.ndarray) -> bool:
    """Whether the elements follow each other in memory, in C order."""
    return bool(array.flags.c_contiguous)


def reaches(shape: Shape, target: Shape) -> bool:
    """Whether one shape broadcasts to another."""
    return shape == target or (
        len(shape) <= len(target)
        and all(n in (1, m) for n, m in zip(reversed(shape), reversed(target)))
    )


def are_numbers(*values: Any) -> bool:
    """Whether parameters are single real numbers."""
    return all(isinstance(value, (int, float, np.integer, np.floating)) for value in values)


# Operators of ``builder/operator.py``


@requires(TimeUpdate, exempt="step")
def _time_update(operator: TimeUpdate, signals: Arrays) -> bool:
    step, time = signals[operator.step], signals[operator.time]
    return step.shape == time.shape == () and step.dtype in (np.int64, np.int32)


@requires(Reset)
def _reset(operator: Reset, signals: Arrays) -> bool:
    return are_numbers(operator.value)


@requires(Copy)
def _copy(operator: Copy, signals: Arrays) -> bool:
    src, dst = signals[operator.src].shape, signals[operator.dst].shape
    if operator.src_slice is None and operator.dst_slice is None:
        return reaches(src, dst)
    return _selects(operator.src_slice, src) and _selects(operator.dst_slice, dst)


def _selects(selection: Any, shape: Shape) -> bool:
    """Whether something is a list of indices; those out of range are found when it is used."""
    selection = as_selection(selection)
    return selection is Ellipsis or (
        isinstance(selection, np.ndarray) and selection.dtype.kind in "biu" and len(shape) > 0
    )


@requires(ElementwiseInc)
def _elementwise_inc(operator: ElementwiseInc, signals: Arrays) -> bool:
    a, x, y = (signals[signal].shape for signal in (*operator.reads, operator.Y))
    return (x == y and a in ((), x)) or broadcasts(a, x, y)


@requires(DotInc)
def _dot_inc(operator: DotInc, signals: Arrays) -> bool:
    a, x, y = (signals[signal].shape for signal in (*operator.reads, operator.Y))
    return multiplies(a, x, y, operator.reshape)


def multiplies(a: Shape, x: Shape, y: Shape, reshape: bool) -> bool:
    """Whether a product of a matrix and a vector can be added to a vector.

    Parameters
    ----------
    a, x, y : tuple of int
        Shapes of the matrix (or a vector or scalar), and of the vectors (or columns or scalars).
    reshape : bool
        Whether the product takes the shape of the result.
    """
    if len(a) == 2 and len(x) == len(y) == 1:  # the usual case
        return a == (y[0], x[0])
    if x[1:] not in COLUMN or any(n != 1 for n in y[1:]) or len(a) > 2:
        return False
    size = y[0] if y else 1
    if not a or not x:
        product = a + x
        return product in ((), (1,), (1, 1)) and size == 1 if reshape else product in ((), y)
    product = a[:-1] + x[1:]
    if a[-1] != x[0]:
        return False
    return (product[0] if product else 1) == size if reshape else product in ((), y)


@requires(SparseDotInc, exempt="A")
def _sparse_dot_inc(operator: SparseDotInc, signals: Arrays) -> bool:
    matrix, x, y = signals[operator.A], signals[operator.X], signals[operator.Y]
    if matrix.dtype != x.dtype or matrix.ndim != 2 or x.ndim == 0:
        return False
    if not npext.is_spmatrix(matrix):  # SciPy is not installed
        return multiplies(matrix.shape, x.shape, y.shape, operator.reshape)
    return (
        x.shape[1:] in COLUMN
        and (matrix.shape[1], y.shape) == (x.shape[0], (matrix.shape[0], *x.shape[1:]))
        and contiguous(matrix.data)
        and has_valid_indices(matrix)
    )


@requires(SimProbe)
def _sim_probe(operator: SimProbe, signals: Arrays) -> bool:
    return True


# Neurons and processes


@requires(SimNeurons)
def _sim_neurons(operator: SimNeurons, signals: Arrays) -> bool:
    """Currents, output and states are vectors of one length."""
    arrays = [signals[signal] for signal in (operator.J, *operator.sets)]
    shape = arrays[0].shape
    return (
        len(shape) == 1
        and shape[0] > 0
        and all(array.shape == shape and array.flags.c_contiguous for array in arrays)
    )


@requires(SimProcess)
def _sim_process(operator: SimProcess, signals: Arrays) -> bool:
    make_step = getattr(operator.process.make_step, "__func__", None)
    shape = signals[operator.output].shape
    state = {name: signals[signal] for name, signal in operator.state.items()}
    if not all(map(contiguous, state.values())) or signals[operator.t].size != 1:
        return False
    if make_step in FILTERS:
        if operator.input is None or signals[operator.input].shape != shape:
            return False
    elif operator.input is not None:
        return False
    contract = PROCESSES.get(make_step)
    return contract is None or contract(operator.process, shape, state)


State = dict[str, np.ndarray]


def _linear_filter(process: Any, shape: Shape, state: State) -> bool:
    return list(state) == ["X"] and state["X"].ndim > 0 and state["X"].shape[1:] == shape


def _triangle(process: Any, shape: Shape, state: State) -> bool:
    if list(state) != ["Y", "X", "Xi"]:
        return False
    total, recent, place = state.values()
    return total.shape == recent.shape[1:] == shape and recent.size > 0 and place.shape == (1,)


def _noise(process: Any, shape: Shape, state: State) -> bool:
    return not state and len(shape) == 1


def _filtered_noise(process: Any, shape: Shape, state: State) -> bool:
    return len(shape) == 1 and _linear_filter(process, shape, state)


def _without_state(process: Any, shape: Shape, state: State) -> bool:
    return not state


def _present_input(process: Any, shape: Shape, state: State) -> bool:
    inputs = process.inputs
    return not state and inputs.size > 0 and shape == (inputs.size // len(inputs),)


def _piecewise(process: Any, shape: Shape, state: State) -> bool:
    values = process.data.values()
    return not state and len(values) > 0 and all(np.shape(value) == shape for value in values)


FILTERS = (LinearFilter.make_step, Triangle.make_step)  # what has an input, of the output's shape
# For the function that makes a process's step, given the process, the output's shape and states
PROCESSES: dict[Any, Callable[[Any, Shape, State], bool]] = {
    LinearFilter.make_step: _linear_filter,
    Triangle.make_step: _triangle,
    WhiteNoise.make_step: _noise,
    FilteredNoise.make_step: _filtered_noise,
    WhiteSignal.make_step: _without_state,
    PresentInput.make_step: _present_input,
    Piecewise.make_step: _piecewise,
}


# Learning rules


@requires(SimPES, SimRLS)
def _supervised(operator: SimPES | SimRLS, signals: Arrays) -> bool:
    pre, error = signals[operator.pre_filtered], signals[operator.error]
    if not _has_factors(signals[operator.delta], error, pre):
        return False
    if isinstance(operator, SimPES):
        return are_numbers(operator.learning_rate)
    return _has_factors(signals[operator.inv_gamma], pre, pre)


@requires(SimBCM)
def _bcm(operator: SimBCM, signals: Arrays) -> bool:
    pre, post = signals[operator.pre_filtered], signals[operator.post_filtered]
    theta, delta = signals[operator.theta], signals[operator.delta]
    return (
        _has_factors(delta, post, pre)
        and _has_factors(delta, theta, pre)
        and are_numbers(operator.learning_rate)
    )


@requires(SimOja)
def _oja(operator: SimOja, signals: Arrays) -> bool:
    pre, post = signals[operator.pre_filtered], signals[operator.post_filtered]
    weights, delta = signals[operator.weights], signals[operator.delta]
    return (
        _has_factors(delta, post, pre)
        and _has_factors(weights, post, pre)
        and are_numbers(operator.learning_rate, operator.beta)
    )


@requires(SimVoja)
def _voja(operator: SimVoja, signals: Arrays) -> bool:
    pre, post = signals[operator.pre_decoded], signals[operator.post_filtered]
    encoders, delta = signals[operator.scaled_encoders], signals[operator.delta]
    learning = signals[operator.learning_signal]
    return (
        _has_factors(delta, post, pre)
        and _has_factors(encoders, post, pre)
        and learning.shape in ((), (1,), (1, 1))
        and isinstance(operator.scale, np.ndarray)
        and operator.scale.shape == post.shape
        and operator.scale.dtype.kind in "fiu"
        and are_numbers(operator.learning_rate)
    )


def _has_factors(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether a matrix has an element for each pair of elements of two vectors, without gaps."""
    return (
        rows.ndim == columns.ndim == 1
        and matrix.shape == (rows.size, columns.size)
        and matrix.size > 0
        and all(map(contiguous, (matrix, rows, columns)))
    )


# Convolutions


@requires(ConvInc, ConvTransposeInc, GeneralConvInc)
def _conv_inc(operator: GeneralConvInc, signals: Arrays) -> bool:
    """Images and kernel fit; selecting their parts and joining dimensions copies nothing."""
    conv = operator.conv
    n = conv.dimensions
    weights, images = signals[operator.W], [signals[operator.X], signals[operator.Y]]
    shapes = [conv.input_shape.shape, conv.output_shape.shape]
    if n not in (1, 2) or weights.ndim != n + 2 or not contiguous(weights) or weights.size == 0:
        return False
    if not all(
        image.size == np.prod(shape) > 0 and (image.ndim == 1 or contiguous(image))
        for image, shape in zip(images, shapes)
    ):
        return False
    small, large = conv.output_shape, conv.input_shape
    inputs, outputs = large.n_channels, small.n_channels
    size, (group, filters) = weights.shape[:n], weights.shape[n:]
    if operator.is_transpose:
        small, large = large, small
        if (group, filters) != (inputs, outputs):
            return False
    elif filters != outputs or inputs % group or filters % (inputs // group):
        return False
    fits = _can_be_spread if operator.is_transpose else _can_be_moved
    return all(
        fits(*sizes, conv.padding == "same")
        for sizes in zip(small.spatial_shape, large.spatial_shape, size, conv.strides)
    )


def _can_be_moved(small: int, large: int, kernel: int, stride: int, is_padded: bool) -> bool:
    """Whether there are ``small`` places for a kernel among ``large`` pixels."""
    padding = sum(same_padding(large, small, kernel, stride)) if is_padded else 0
    return (large + padding - kernel) // stride + 1 == small


def _can_be_spread(small: int, large: int, kernel: int, stride: int, is_padded: bool) -> bool:
    """Whether ``small`` pixels, spread out, contribute to no more than ``large`` of them."""
    crop = same_padding(large, small, kernel, stride)[0] if is_padded else 0
    return crop < kernel and (small - 1) * stride - crop < large
