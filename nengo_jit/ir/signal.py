"""Signals describe blocks of memory; the memory itself is in `nengo_jit.ir.memory`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import nengo.builder.signal as reference
import nengo.utils.numpy as npext
import numpy as np
from nengo.exceptions import SignalError
from nengo.transforms import SparseMatrix
from numpy.typing import ArrayLike

from nengo_jit.regions import pointer
from nengo_jit.settings import settings

Order: TypeAlias = Literal["C", "F"]

MOST_SHARED = 4096  # elements: signals share initial values of zeros up to this size


def is_sparse(value: object) -> bool:
    """Whether ``value`` is a sparse matrix of nengo's or SciPy's."""
    if isinstance(value, np.ndarray):  # the most common, and the others are slow to tell
        return False
    return isinstance(value, SparseMatrix) or npext.is_spmatrix(value)


def is_index(value: object) -> bool:
    """Whether ``value`` is an integer. Booleans do not count, as in indices of NumPy."""
    return npext.is_integer(value) and not isinstance(value, bool)


def byte_span(signal: reference.Signal) -> tuple[int, int]:
    """Return the first byte of a signal in its base's memory, and the one after the last."""
    if signal.size == 0:
        return signal.offset, signal.offset
    steps = [(n - 1) * stride for n, stride in zip(signal.shape, signal.strides)]
    start = signal.offset + sum(step for step in steps if step < 0)
    return start, signal.offset + sum(step for step in steps if step > 0) + signal.itemsize


class Signal(reference.Signal):
    """A block of memory, or a view onto another signal's block: its layout and initial value.

    A signal never holds live data. An engine allocates the memory of signals and lends it to the
    operators (see `SignalDict`). A view shares the memory of its ``base``.

    The class derives from nengo's, so that third-party code that checks for nengo's type accepts
    it. It inherits nothing else.

    Parameters
    ----------
    initial_value : array_like or SparseMatrix or scipy.sparse matrix, optional
        Value before the first step; by default, zeros of nengo's default precision.
    shape : int or sequence of int, optional
        Shape of those zeros. If both are given they must agree.
    name : str, optional
        Name for messages; by default, the object's id.
    base : Signal, optional
        The signal whose memory this one is a view of. Then ``initial_value`` must be a view of the
        base's initial value. Slicing and reshaping a signal make such views.
    readonly : bool
        Whether operators cannot write to the memory.
    offset : int
        Distance in bytes from the start of the base's memory to the start of this view.
    order : str
        Memory order of a signal that is no view: "C" for row by row, "F" for column by column.

    Raises
    ------
    SignalError
        If the value contains NaNs or is not numeric, if neither value nor shape is given, or
        if value and base do not share memory.
    """

    assert_named_signals = False  # set to True to find code that makes unnamed signals

    def __init__(
        self,
        initial_value: ArrayLike | SparseMatrix | None = None,
        shape: int | Sequence[int] | None = None,
        name: str | None = None,
        base: reference.Signal | None = None,
        readonly: bool = False,
        offset: int = 0,
        order: Order = "C",
    ):
        if self.assert_named_signals:
            assert name is not None, "a signal was made without a name"
        self._name = name
        self._base: Any = base
        self._offset = int(offset)
        self._readonly = bool(readonly)

        self._sparse = False
        if initial_value is None:
            if shape is None:
                raise SignalError(f"Signal '{name}' needs an initial value or a shape")
            sizes: tuple[int, ...] = npext.as_shape(shape)
            zeros = _shared_zeros if math.prod(sizes) <= MOST_SHARED else _read_only_zeros
            self._initial_value: Any = zeros(sizes, settings().float_dtype)
            self._check_base()
            return
        self._initial_value = self._freeze(initial_value, order)
        if shape is not None and self.shape != npext.as_shape(shape):
            raise SignalError(
                f"Signal '{self.name}': the initial value has shape {self.shape}, not {shape}"
            )
        self._check_base()

    def _freeze(self, value: Any, order: Order) -> Any:
        """Check ``value`` and return a read-only version of it."""
        self._sparse = is_sparse(value)
        if self._sparse:
            if self._base is not None or self._offset:
                raise SignalError(f"Signal '{self.name}': a sparse signal cannot be a view")
            numbers = value.data
            if not isinstance(value, SparseMatrix):
                numbers.setflags(write=False)
        else:
            array = np.asarray(value)
            if array.ndim > 0 and self._base is None:
                array = np.asarray(array, order=order)
            numbers = value = array.view()
            value.setflags(write=False)
        if numbers.dtype.kind not in "biuf":
            raise SignalError(
                f"Signal '{self.name}' has values of type '{numbers.dtype}'; "
                "only real numbers, integers and booleans can be simulated"
            )
        if numbers.dtype.kind == "f" and numbers.size and np.isnan(numbers.min()):
            raise SignalError(f"Signal '{self.name}' contains NaNs")
        return value

    def _check_base(self) -> None:
        """Check that a view lies in its base's memory, at its offset."""
        if self._base is None:
            return
        if self._base.is_view:
            raise SignalError(f"Signal '{self.name}': the base of a view cannot be a view")
        distance = pointer(self._initial_value) - pointer(self._base.initial_value)
        start, stop = byte_span(self)
        if self.size and (distance != self._offset or start < 0 or stop > self._base.nbytes):
            raise SignalError(
                f"Signal '{self.name}' does not lie {self._offset} bytes into the memory of its "
                f"base '{self._base.name}'"
            )

    def __getstate__(self) -> dict[str, object]:
        state = dict(self.__dict__)
        if self._base is not None:  # stored as a layout; `__setstate__` makes the view again
            array = state.pop("_initial_value")
            state["_layout"] = (array.shape, array.dtype, array.strides)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        layout = state.pop("_layout", None)
        self.__dict__.update(state)
        if layout is not None:
            shape, dtype, strides = layout
            self._initial_value = np.ndarray(
                shape, dtype, self._base.initial_value, self._offset, strides
            )
        if not self.sparse:
            self._initial_value.setflags(write=False)

    def __repr__(self) -> str:
        return f"Signal(name={self._name}, shape={self.shape})"

    __str__ = __repr__

    def __getitem__(self, item: Any) -> Signal:
        """Return a view of a part of the signal.

        Parameters
        ----------
        item : int or slice or tuple of these, or Ellipsis
            The index. If all are integers, the last one selects a slice of length one:
            ``signal[2]`` of a vector has shape ``(1,)``, of a matrix ``(1, columns)``.

        Raises
        ------
        SignalError
            If the signal is sparse, for lists and arrays, and if an index is out of range.
        """
        self._check_dense("sliced")
        if item is Ellipsis or (isinstance(item, slice) and item == slice(None)):
            return self
        items = item if isinstance(item, tuple) else (item,)
        if not all(is_index(i) or isinstance(i, slice) for i in items):
            raise SignalError(
                f"Signal '{self.name}' can only be indexed by integers and slices (got {item!r})"
            )
        try:
            view = self._initial_value[items]
            if all(map(is_index, items)):  # keep the last dimension, to have a view
                last = items[-1] % self.shape[len(items) - 1]
                view = self._initial_value[(*items[:-1], slice(last, last + 1))]
        except IndexError as error:
            raise SignalError(f"Signal '{self.name}' of shape {self.shape}: {error}") from error
        return self._view(view, f"{self.name}[{item}]")

    def _view(self, array: np.ndarray, name: str) -> Signal:
        """Make a signal from a view of this one's initial value, without checks."""
        view = Signal.__new__(Signal)
        view._name = name
        view._base = base = self.base
        view._offset = pointer(array) - pointer(base.initial_value) if array.size else 0
        view._readonly = self._readonly
        view._sparse = False
        view._initial_value = array
        return view

    def _check_dense(self, what: str) -> None:
        if self.sparse:
            raise SignalError(f"A sparse Signal cannot be {what} (Signal '{self.name}')")

    @property
    def base(self) -> reference.Signal:
        """Signal: the signal that this one is a view of; the signal itself if it is not a view."""
        return self if self._base is None else self._base

    @property
    def dtype(self) -> np.dtype:
        """numpy.dtype: type of the elements."""
        return self._initial_value.dtype

    @property
    def elemoffset(self) -> int:
        """int: distance from the start of the base's memory, in elements."""
        return self.offset // self.itemsize

    @property
    def elemstrides(self) -> tuple[int, ...] | None:
        """Tuple of int or None: strides in elements; None if sparse."""
        return None if self.strides is None else tuple(s // self.itemsize for s in self.strides)

    @property
    def initial_value(self) -> Any:
        """numpy.ndarray or sparse matrix: value before the first step, not writeable."""
        return self._initial_value

    @initial_value.setter
    def initial_value(self, value: object) -> None:
        raise SignalError("Cannot change initial value after initialization")

    @property
    def is_view(self) -> bool:
        """bool: whether the signal is a view of another signal's memory."""
        return self._base is not None

    @property
    def itemsize(self) -> int:
        """int: size of an element in bytes."""
        return self.dtype.itemsize

    @property
    def name(self) -> str:
        """str: the name for messages."""
        return f"0x{id(self):x}" if self._name is None else self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name

    @property
    def nbytes(self) -> int:
        """int: size of the signal in bytes."""
        return self.itemsize * self.size

    @property
    def ndim(self) -> int:
        """int: number of dimensions."""
        return self._initial_value.ndim

    @property
    def offset(self) -> int:
        """int: distance from the start of the base's memory, in bytes."""
        return self._offset

    @property
    def readonly(self) -> bool:
        """bool: whether operators cannot write to the memory."""
        return self._readonly

    @readonly.setter
    def readonly(self, readonly: bool) -> None:
        self._readonly = bool(readonly)

    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple of int: number of elements along each dimension."""
        shape: tuple[int, ...] = self._initial_value.shape
        return shape

    @property
    def size(self) -> int:
        """int: number of elements (of stored elements, if sparse)."""
        return int(self._initial_value.size)

    @property
    def sparse(self) -> bool:
        """bool: whether the value is a sparse matrix."""
        return self._sparse

    @property
    def strides(self) -> tuple[int, ...] | None:
        """Tuple of int or None: strides in bytes; None if sparse."""
        return None if self._sparse else self._initial_value.strides

    def may_share_memory(self, other: reference.Signal) -> bool:
        """Whether the byte ranges that two signals span overlap (`numpy.may_share_memory`)."""
        if self is other:
            return True
        return self.base is other.base and bool(
            np.may_share_memory(self.initial_value, other.initial_value)
        )

    def reshape(self, *shape: int | tuple[int, ...]) -> Signal:
        """Return a view of the signal in another shape.

        Parameters
        ----------
        *shape : int or tuple of int
            The new shape, as numbers or as one tuple; one of them may be -1.

        Raises
        ------
        SignalError
            If the sizes differ, or if the new shape would require a copy.
        """
        self._check_dense("reshaped")
        new_shape = shape[0] if len(shape) == 1 else shape
        try:
            array = self._initial_value.reshape(new_shape)
        except ValueError as error:
            raise SignalError(f"Signal '{self.name}': {error}") from error
        if array.size and pointer(array) != pointer(self._initial_value):
            raise SignalError(
                f"Reshaping {self} to {new_shape} would require the array to be copied "
                "(because it is not contiguous), which is not supported"
            )
        return self._view(array, f"{self.name}.reshape({new_shape})")

    def row(self) -> Signal:
        """Return a view of the signal as a row vector, of shape ``(1, size)``."""
        return self.reshape((1, self.size))

    def column(self) -> Signal:
        """Return a view of the signal as a column vector, of shape ``(size, 1)``."""
        return self.reshape((self.size, 1))


def _read_only_zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    zeros = np.zeros(shape, dtype)
    zeros.setflags(write=False)
    return zeros


_shared_zeros = lru_cache(maxsize=256)(_read_only_zeros)


def shared_if_zero(value: np.ndarray) -> np.ndarray:
    """Return zeros that signals share if a small array has just their bits, or else the array."""
    if value.size > MOST_SHARED:
        return value
    zeros = _shared_zeros(value.shape, value.dtype)
    return zeros if zeros.tobytes() == value.tobytes() else value
