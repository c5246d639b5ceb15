"""Operators that keep time, assign, copy and multiply."""

from __future__ import annotations

import math

import nengo.builder.operator as reference
import nengo.utils.numpy as npext
import numpy as np
from nengo.builder.signal import Signal
from nengo.exceptions import BuildError
from numpy.typing import ArrayLike

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, operand
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.products import dot, has_valid_indices
from nengo_jit.ir.selection import (
    Place,
    as_selection,
    is_list_of_indices,
    selects_twice,
    without_mask,
)


class TimeUpdate(Operator, reference.TimeUpdate):
    """Advance the step counter and the time.

    Implements ``step += 1`` and ``time = step * dt``: in the first step, t is dt.

    Parameters
    ----------
    step : Signal
        Number of steps, an integer of shape ``()``.
    time : Signal
        Simulated time of shape ``()`` (seconds).
    tag : str, optional
        The purpose of the operator.

    Notes
    -----
    sets ``[step, time]``, incs ``[]``, reads ``[]``, updates ``[]``
    """

    step = operand("sets", 0)
    time = operand("sets", 1)

    def __init__(self, step: Signal, time: Signal, tag: str | None = None):
        Operator.__init__(self, tag, sets=[step, time], incs=[], reads=[], updates=[])

    def inputs(self) -> list[Signal]:
        return [self.step]

    def parameters(self, dt: float) -> tuple[object, ...]:
        return (dt,)

    @staticmethod
    def compute(xp: Namespace, dt: float, step: Array) -> tuple[Array, ...]:
        step = step + 1
        return step, xp.asarray(step, dtype=xp.float64) * dt


class Reset(Operator, reference.Reset):
    """Assign a constant to a signal.

    Implements ``dst[...] = value``.

    Parameters
    ----------
    dst : Signal
        The signal to assign to.
    value : float
        The constant.
    tag : str, optional
        The purpose of the operator.

    Notes
    -----
    sets ``[dst]``, incs ``[]``, reads ``[]``, updates ``[]``
    """

    dst = operand("sets")

    def __init__(self, dst: Signal, value: float = 0, tag: str | None = None):
        Operator.__init__(self, tag, sets=[dst], incs=[], reads=[], updates=[])
        self.value = float(value)

    @property
    def _descstr(self) -> str:
        return str(self.dst)

    def parameters(self, dt: float) -> tuple[object, ...]:
        return (self.value,)

    @staticmethod
    def compute(xp: Namespace, value: Array) -> tuple[Array, ...]:
        return (value,)


class Copy(Operator, reference.Copy):
    """Assign a signal to another, or add it, with optional indices on both sides.

    Implements ``dst[dst_slice] = src[src_slice]`` or, with ``inc``,
    ``dst[dst_slice] += src[src_slice]``, where repeated indices add repeatedly.

    Parameters
    ----------
    src, dst : Signal
        Source and destination.
    src_slice, dst_slice : slice or list of int, optional
        Elements to select. A slice becomes a view of the signal; a list stays an attribute.
    inc : bool
        Add instead of assigning.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    BuildError
        By `make_step`, if ``dst_slice`` has repeated indices and ``inc`` is false.

    Notes
    -----
    sets ``[] if inc else [dst]``, incs ``[dst] if inc else []``, reads ``[src]``, updates ``[]``
    """

    src = operand("reads")

    def __init__(
        self,
        src: Signal,
        dst: Signal,
        src_slice: slice | ArrayLike | None = None,
        dst_slice: slice | ArrayLike | None = None,
        inc: bool = False,
        tag: str | None = None,
    ):
        if isinstance(src_slice, slice):
            src, src_slice = src[src_slice], None
        if isinstance(dst_slice, slice):
            dst, dst_slice = dst[dst_slice], None
        Operator.__init__(
            self,
            tag,
            sets=[] if inc else [dst],
            incs=[dst] if inc else [],
            reads=[src],
            updates=[],
        )
        self.src_slice = src_slice
        self.dst_slice = dst_slice
        self.inc = inc

    @property
    def dst(self) -> Signal:
        """Signal: the destination."""
        return (self.incs if self.inc else self.sets)[0]

    @property
    def _descstr(self) -> str:
        def selected(signal: Signal, selection: ArrayLike | None) -> str:
            return f"{signal}" if selection is None else f"{signal}[{selection}]"

        source = selected(self.src, self.src_slice)
        return f"{source} -> {selected(self.dst, self.dst_slice)}, inc={self.inc}"

    def place(self) -> Place:
        return as_selection(self.dst_slice)

    def parameters(self, dt: float) -> tuple[object, ...]:
        if self.src_slice is None:
            return False, None
        selection = without_mask(as_selection(self.src_slice), self.src.shape)
        return len(self.src.shape) > 1 and is_list_of_indices(selection), selection

    def check(self, signals: SignalDict) -> None:
        if not self.inc and selects_twice(self.place(), self.dst.shape):
            raise BuildError(
                f"{self}: Cannot have repeated indices in ``dst_slice`` "
                "when copy is not an increment"
            )

    @staticmethod
    def compute(
        xp: Namespace, has_rows: bool, selection: Array | None, src: Array
    ) -> tuple[Array, ...]:
        if selection is None:
            return (src,)
        return (xp.take(src, selection, axis=0) if has_rows else src[selection],)


class ElementwiseInc(Operator, reference.ElementwiseInc):
    """Add a product, element by element.

    Implements ``Y[...] += A * X``, with broadcasting.

    Parameters
    ----------
    A, X : Signal
        The factors.
    Y : Signal
        The signal that is incremented.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    BuildError
        By `make_step`, if the shapes do not broadcast to that of ``Y``.

    Notes
    -----
    sets ``[]``, incs ``[Y]``, reads ``[A, X]``, updates ``[]``
    """

    A = operand("reads", 0)
    X = operand("reads", 1)
    Y = operand("incs")

    def __init__(self, A: Signal, X: Signal, Y: Signal, tag: str | None = None):
        Operator.__init__(self, tag, sets=[], incs=[Y], reads=[A, X], updates=[])

    @property
    def _descstr(self) -> str:
        return f"{self.A}, {self.X} -> {self.Y}"

    def check(self, signals: SignalDict) -> None:
        A, X, Y = self.A.shape, self.X.shape, self.Y.shape
        if not broadcasts(A, X, Y):
            raise BuildError(f"Incompatible shapes in {self}: Trying to do {Y} += {A} * {X}")

    @staticmethod
    def compute(xp: Namespace, A: Array, X: Array) -> tuple[Array, ...]:
        return (A * X,)


def broadcasts(a: tuple[int, ...], x: tuple[int, ...], y: tuple[int, ...]) -> bool:
    """Whether shapes ``a`` and ``x`` broadcast to ``y``, up to leading ones."""
    try:
        product = np.broadcast_shapes(a, x)
    except ValueError:
        return False
    return (1,) * (len(y) - len(product)) + product == y


class DotInc(Operator, reference.DotInc):
    """Add a matrix-vector product.

    Implements ``Y[...] += A.dot(X)``.

    Parameters
    ----------
    A : Signal
        The matrix, or a vector or scalar.
    X : Signal
        The vector, or a column vector.
    Y : Signal
        The signal that is incremented.
    reshape : bool, optional
        Whether to reshape a product of one element to the shape of ``Y``; by default, whether that
        is needed.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    BuildError
        If ``X`` or ``Y`` is a matrix, or if the shapes do not match.

    Notes
    -----
    sets ``[]``, incs ``[Y]``, reads ``[A, X]``, updates ``[]``
    """

    A = operand("reads", 0)
    X = operand("reads", 1)
    Y = operand("incs")

    def __init__(
        self,
        A: Signal,
        X: Signal,
        Y: Signal,
        reshape: bool | None = None,
        tag: str | None = None,
    ):
        for name, signal in (("X", X), ("Y", Y)):
            if any(n > 1 for n in signal.shape[1:]):
                raise BuildError(f"{tag or 'DotInc'}: {name} must be a column vector, not {signal}")
        Operator.__init__(self, tag, sets=[], incs=[Y], reads=[A, X], updates=[])
        self.reshape = needs_reshape(A, X, Y, tag) if reshape is None else reshape

    @property
    def _descstr(self) -> str:
        return f"{self.A}, {self.X} -> {self.Y}"

    def parameters(self, dt: float) -> tuple[object, ...]:
        return (self.Y.shape if self.reshape else None,)

    @staticmethod
    def compute(
        xp: Namespace, shape: tuple[int, ...] | None, A: Array, X: Array
    ) -> tuple[Array, ...]:
        product = dot(A, X)
        if shape is None or product.shape == shape:
            return (product,)
        return (xp.reshape(product, shape),)


def needs_reshape(A: Signal, X: Signal, Y: Signal, tag: str | None = None) -> bool:
    """Whether ``A.dot(X)`` is one element that must be reshaped to be added to ``Y``.

    Raises
    ------
    BuildError
        If ``A.dot(X)`` does not exist or cannot be added to ``Y``.
    """
    product: tuple[int, ...] | None
    if A.shape == () or X.shape == ():
        product = A.shape + X.shape
    elif A.shape[-1] != X.shape[0]:
        product = None
    else:
        product = A.shape[:-1] + X.shape[1:]
    if product is None or product not in ((), Y.shape):
        raise BuildError(f"shape mismatch in {tag}: {A.shape} x {X.shape} -> {Y.shape}")
    return Y.size == 1 and math.prod(product) == 1


class SparseDotInc(DotInc, reference.SparseDotInc):
    """Add the product of a sparse matrix and a vector.

    Implements ``Y[...] += A.dot(X)``.

    Parameters
    ----------
    A : Signal
        The sparse matrix.
    X : Signal
        The vector.
    Y : Signal
        The signal that is incremented.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    BuildError
        If ``A`` is not sparse, or ``X`` or ``Y`` is a matrix.

    Notes
    -----
    sets ``[]``, incs ``[Y]``, reads ``[A, X]``, updates ``[]``
    """

    def __init__(self, A: Signal, X: Signal, Y: Signal, tag: str | None = None):
        if not A.sparse:
            raise BuildError(f"{tag or 'SparseDotInc'}: A must be a sparse Signal, not {A}")
        DotInc.__init__(self, A, X, Y, reshape=False, tag=tag)

    def check(self, signals: SignalDict) -> None:
        matrix = signals[self.A]
        if npext.is_spmatrix(matrix) and not has_valid_indices(matrix):
            raise BuildError(f"{self}: the sparse matrix {self.A} has indices outside its shape")
