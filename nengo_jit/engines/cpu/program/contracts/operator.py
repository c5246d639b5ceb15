"""Contracts of copies, products, clocks and probes."""

from __future__ import annotations

import nengo.utils.numpy as npext
import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT16, FLOAT64
from nengo_jit.engines.cpu.program.contracts.contract import (
    Arrays,
    Shape,
    are_numbers,
    contiguous,
    reaches,
    requires,
)
from nengo_jit.ir.operator import (
    Copy,
    DotInc,
    ElementwiseInc,
    Reset,
    SparseDotInc,
    TimeUpdate,
    broadcasts,
    has_valid_indices,
)
from nengo_jit.ir.probe import SimProbe
from nengo_jit.ir.selection import as_selection

COLUMN: tuple[Shape, ...] = ((), (1,))  # the shape of a vector, after its first dimension


@requires(TimeUpdate, exempt=["step"])
def _time_update(operator: TimeUpdate, signals: Arrays) -> bool:
    step, time = signals[operator.step], signals[operator.time]
    return step.shape == time.shape == () and step.dtype in (np.int64, np.int32, np.int16)


@requires(Reset)
def _reset(operator: Reset, signals: Arrays) -> bool:
    return are_numbers(operator.value)


@requires(Copy)
def _copy(operator: Copy, signals: Arrays) -> bool:
    src, dst = signals[operator.src].shape, signals[operator.dst].shape
    if operator.src_slice is None and operator.dst_slice is None:
        return reaches(src, dst)
    return _selects(operator.src_slice, src) and _selects(operator.dst_slice, dst)


def _selects(selection: object, shape: Shape) -> bool:
    """Whether an object is a list of indices; lowering checks their range."""
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
    """Whether the product of a matrix and a vector can be added to a vector.

    Parameters
    ----------
    a, x, y : tuple of int
        Shapes of the matrix (or a vector or scalar), and of the vectors (or columns or scalars).
    reshape : bool
        Whether the product is reshaped to the shape of the result.
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


@requires(SparseDotInc, exempt=["A"])
def _sparse_dot_inc(operator: SparseDotInc, signals: Arrays) -> bool:
    matrix, x, y = signals[operator.A], signals[operator.X], signals[operator.Y]
    is_double = matrix.dtype == FLOAT64 and npext.is_spmatrix(matrix)  # in half precision
    has_precision = is_double if x.dtype == FLOAT16 else matrix.dtype == x.dtype
    if not has_precision or matrix.ndim != 2 or x.ndim == 0:
        return False
    if not npext.is_spmatrix(matrix):  # SciPy is not installed
        return multiplies(matrix.shape, x.shape, y.shape, operator.reshape)
    return (
        x.shape[1:] in COLUMN
        and (matrix.shape[1], y.shape) == (x.shape[0], (matrix.shape[0], *x.shape[1:]))
        and contiguous(matrix.data)
        and matrix.data.flags.aligned
        and has_valid_indices(matrix)
    )


@requires(SimProbe)
def _sim_probe(operator: SimProbe, signals: Arrays) -> bool:
    return True
