"""Signals describe blocks of memory; a SignalDict holds the memory itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import nengo.builder.signal as reference
import nengo.utils.numpy as npext
import numpy as np
from nengo.exceptions import SignalError
from nengo.transforms import SparseMatrix

from nengo_jit.ir.memory import hold
from nengo_jit.settings import settings
from nengo_jit.regions import CHECKED, REGIONS, pointer

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register of today's CPUs
MOST_SHARED = 4096  # zeros that signals have in common as their initial value


def is_sparse(value: Any) -> bool:
    """Whether ``value`` is a sparse matrix, of nengo's kind or of SciPy's."""
    return isinstance(value, SparseMatrix) or npext.is_spmatrix(value)


def is_index(value: Any) -> bool:
    """Whether ``value`` is an integer; for NumPy, unlike Python, booleans are not."""
    return npext.is_integer(value) and not isinstance(value, bool)


def address(array: np.ndarray) -> int:
    """Memory address of the first element of ``array``, in bytes.

    Whoever asks may tell a kernel: see `nengo_jit.regions`.
    """
    if CHECKED:
        REGIONS.add(array)
    return pointer(array)


def byte_span(signal: reference.Signal) -> tuple[int, int]:
    """First byte, and the one after the last, that a signal touches in its base's memory."""
    if signal.size == 0:
        return signal.offset, signal.offset
    steps = [(n - 1) * stride for n, stride in zip(signal.shape, signal.strides)]
    start = signal.offset + sum(step for step in steps if step < 0)
    return start, signal.offset + sum(step for step in steps if step > 0) + signal.itemsize


class Signal(reference.Signal):
    """A block of memory, or a view onto another signal's block: its layout and initial value.

    A signal never holds live data. An engine lays signals out in memory that it owns and lends
    that memory to the operators (see `SignalDict`). A view shares the memory of its ``base``.

    The class derives from nengo's so that third-party code which checks for nengo's type
    accepts it; it inherits nothing else.

    Parameters
    ----------
    initial_value : array_like or SparseMatrix or scipy.sparse matrix, optional
        Value before the first step. Zeros of nengo's default precision where not given.
    shape : int or sequence of int, optional
        Shape of those zeros. If both are given they must agree.
    name : str, optional
        What the signal is called in messages; the object's id where not given.
    base : Signal, optional
        The signal whose memory this one is a view of; ``initial_value`` must then be a view of
        the base's initial value. Slicing and reshaping a signal make such views.
    readonly : bool
        Whether operators are kept from writing to the memory.
    offset : int
        Distance in bytes from the start of the base's memory to the start of this view.

    Raises
    ------
    SignalError
        If the value contains NaNs or is not numeric, if neither value nor shape is given, or
        if value and base do not share memory.
    """

    assert_named_signals = False  # set to True to find the code that makes unnamed signals

    def __init__(
        self,
        initial_value: Any = None,
        shape: int | Sequence[int] | None = None,
        name: str | None = None,
        base: reference.Signal | None = None,
        readonly: bool = False,
        offset: int = 0,
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
        self._initial_value = self._freeze(initial_value)
        if shape is not None and self.shape != npext.as_shape(shape):
            raise SignalError(
                f"Signal '{self.name}': the initial value has shape {self.shape}, not {shape}"
            )
        self._check_base()

    def _freeze(self, value: Any) -> Any:
        """Check ``value`` and return it as something that nobody can write to."""
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
                array = np.ascontiguousarray(array)
            numbers = value = array.view()
            value.setflags(write=False)
        if numbers.dtype.kind not in "biuf":
            raise SignalError(
                f"Signal '{self.name}' has values of type '{numbers.dtype}'; "
                "only real numbers, integers and booleans can be simulated"
            )
        if np.isnan(numbers).any():
            raise SignalError(f"Signal '{self.name}' contains NaNs")
        return value

    def _check_base(self) -> None:
        """Check that a view lies in its base's memory, where its offset says."""
        if self._base is None:
            return
        if self._base.is_view:
            raise SignalError(f"Signal '{self.name}': the base of a view cannot be a view")
        distance = address(self._initial_value) - address(self._base.initial_value)
        start, stop = byte_span(self)
        if self.size and (distance != self._offset or start < 0 or stop > self._base.nbytes):
            raise SignalError(
                f"Signal '{self.name}' does not lie {self._offset} bytes into the memory of its "
                f"base '{self._base.name}'"
            )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if self._base is not None:  # stored as a layout, to be laid onto the base again
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
        """View of a part of the signal.

        Parameters
        ----------
        item : int or slice or tuple of these, or Ellipsis
            What to look at. Where all are integers, the last one selects a slice of length
            one: ``signal[2]`` of a vector has shape ``(1,)``, of a matrix ``(1, columns)``.

        Raises
        ------
        SignalError
            If the signal is sparse, or for lists, arrays and indices out of range.
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
        """Signal of a view of this one's initial value, of which nothing is to be checked."""
        view = Signal.__new__(Signal)
        view._name = name
        view._base = base = self.base
        view._offset = address(array) - address(base.initial_value) if array.size else 0
        view._readonly = self._readonly
        view._sparse = False
        view._initial_value = array
        return view

    def _check_dense(self, what: str) -> None:
        if self.sparse:
            raise SignalError(f"A sparse Signal cannot be {what} (Signal '{self.name}')")

    @property
    def base(self) -> reference.Signal:
        """Signal: the signal that this one is a view of; itself where it is not a view."""
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
        """Tuple of int or None: distances between neighbours, in elements; None if sparse."""
        return None if self.strides is None else tuple(s // self.itemsize for s in self.strides)

    @property
    def initial_value(self) -> Any:
        """numpy.ndarray or sparse matrix: value before the first step, not writeable."""
        return self._initial_value

    @initial_value.setter
    def initial_value(self, value: Any) -> None:
        raise SignalError("Cannot change initial value after initialization")

    @property
    def is_view(self) -> bool:
        """bool: whether the signal looks at another signal's memory."""
        return self._base is not None

    @property
    def itemsize(self) -> int:
        """int: size of an element in bytes."""
        return self.dtype.itemsize

    @property
    def name(self) -> str:
        """str: what the signal is called in messages."""
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
        """bool: whether operators are kept from writing to the memory."""
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
        """Tuple of int or None: distances between neighbours, in bytes; None if sparse."""
        return None if self._sparse else self._initial_value.strides

    def may_share_memory(self, other: reference.Signal) -> bool:
        """Whether the byte ranges that two signals span overlap (`numpy.may_share_memory`)."""
        if self is other:
            return True
        return self.base is other.base and bool(
            np.may_share_memory(self.initial_value, other.initial_value)
        )

    def reshape(self, *shape: Any) -> Signal:
        """View of the whole signal in another shape.

        Parameters
        ----------
        *shape : int or tuple of int
            The new shape, as numbers or as one tuple; one of them may be -1.

        Raises
        ------
        SignalError
            If the sizes differ, or if the elements do not lie in such an order that the new
            shape can be had without copying them.
        """
        self._check_dense("reshaped")
        new_shape = shape[0] if len(shape) == 1 else shape
        try:
            array = self._initial_value.reshape(new_shape)
        except ValueError as error:
            raise SignalError(f"Signal '{self.name}': {error}") from error
        if array.size and address(array) != address(self._initial_value):
            raise SignalError(
                f"Reshaping {self} to {new_shape} would require the array to be copied "
                "(because it is not contiguous), which is not supported"
            )
        return self._view(array, f"{self.name}.reshape({new_shape})")

    def row(self) -> Signal:
        """View of the signal as a row vector, of shape ``(1, size)``."""
        return self.reshape((1, self.size))

    def column(self) -> Signal:
        """View of the signal as a column vector, of shape ``(size, 1)``."""
        return self.reshape((self.size, 1))


class SignalDict(Mapping[reference.Signal, Any]):
    """Memory for signals: a mapping from each signal to its live array.

    Writable signals that are allocated together lie in one block, each on a cache line of its
    own; a view's array is a view of its base's array; a read-only signal's array is its initial
    value itself, which nobody can resize meanwhile. Assigning to a key writes through into that
    memory.
    """

    def __init__(self, signals: Iterable[reference.Signal] = ()):
        self._arrays: dict[reference.Signal, Any] = {}
        self._blocks: list[np.ndarray] = []
        self._saved: list[np.ndarray] = []
        self._held: list[Any] = []
        self.allocate(signals)

    def __getitem__(self, signal: reference.Signal) -> Any:
        """Live array of ``signal`` (a SciPy matrix, if sparse); KeyError if it has none."""
        try:
            return self._arrays[signal]
        except KeyError:
            if isinstance(signal, reference.Signal) and signal.base in self._arrays:
                self._add_view(signal)
                return self._arrays[signal]
            raise KeyError(f"{signal} has no memory here") from None

    def __setitem__(self, signal: reference.Signal, value: Any) -> None:
        """Write ``value`` into the memory of ``signal``; a read-only signal raises ValueError."""
        array = self[signal]
        if npext.is_spmatrix(array):
            array.data[...] = value.data if is_sparse(value) else value
        else:
            array[...] = value

    def __contains__(self, signal: object) -> bool:
        return signal in self._arrays

    def __iter__(self) -> Iterator[reference.Signal]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __str__(self) -> str:
        return "".join(f"{signal!r} {array!r}\n" for signal, array in self.items())

    def init(self, signal: reference.Signal) -> None:
        """Give ``signal`` memory; SignalError if it has some already."""
        if signal in self._arrays:
            raise SignalError(f"Cannot add signal twice: {signal}")
        self.allocate([signal])

    def allocate(self, signals: Iterable[reference.Signal]) -> None:
        """Give memory to all of ``signals`` that have none yet, each on a cache line of its own.

        Parameters
        ----------
        signals : iterable of Signal
            Signals of any kind; the bases of views are added as needed.
        """
        signals = list(signals)
        self.allocate_runs([base] for base in dict.fromkeys(signal.base for signal in signals))
        for signal in signals:
            if signal not in self._arrays:
                self._add_view(signal)

    def allocate_runs(self, runs: Iterable[Iterable[reference.Signal]]) -> None:
        """Give memory, in one block, to all signals of ``runs`` that have none yet.

        Parameters
        ----------
        runs : iterable of iterable of Signal
            Signals that are not views. The writable ones of a run follow each other without
            gaps, and each run starts on a cache line.
        """
        starts: dict[reference.Signal, int] = {}  # in the new block
        size = 0
        for run in runs:
            size = align(size, ALIGNMENT)
            for base in run:
                if base in self._arrays:
                    continue
                if base.sparse:
                    self._add_sparse(base)
                elif base.readonly:
                    self._arrays[base] = self._hold(base.initial_value)
                else:
                    starts[base] = align(size, base.itemsize)
                    size = starts[base] + base.nbytes
        if size:
            block = aligned_block(size)
            self._add_block(block)
        for base, start in starts.items():
            if base.size == 0:
                self._arrays[base] = np.empty(base.shape, base.dtype)
            else:
                self._arrays[base] = np.ndarray(base.shape, base.dtype, block, start)
            self._arrays[base][...] = base.initial_value

    def _hold(self, value: np.ndarray) -> np.ndarray:
        """A read-only array with memory that stays where it is, aligned: itself, if possible."""
        held = hold(value) if value.flags.aligned else None
        if held is None:  # or it belongs to a library that may do with it what it likes
            value = value.copy()
            value.setflags(write=False)
        else:
            self._held.append(held)
        return value

    def _add_view(self, view: reference.Signal) -> None:
        array = np.ndarray(
            view.shape, view.dtype, self._arrays[view.base], view.offset, view.strides
        )
        if view.readonly:
            array.setflags(write=False)
        self._arrays[view] = array

    def _add_sparse(self, signal: reference.Signal) -> None:
        matrix = signal.initial_value
        if isinstance(matrix, SparseMatrix):
            matrix = matrix.allocate()  # a dense array where SciPy is not installed
        if not signal.readonly:
            matrix = matrix.copy()
            self._add_block(matrix.data if npext.is_spmatrix(matrix) else matrix)
        self._arrays[signal] = matrix

    def _add_block(self, block: np.ndarray) -> None:
        self._blocks.append(block)
        self._saved.append(np.empty_like(block))

    def reset(self, signal: reference.Signal) -> None:
        """Write the initial value of ``signal`` back, unless it is read-only."""
        if not signal.readonly:
            value = signal.initial_value
            self[signal] = value.allocate() if isinstance(value, SparseMatrix) else value

    def save(self) -> None:
        """Remember everything that can be written to, in place of what was remembered before."""
        for block, saved in zip(self._blocks, self._saved):
            np.copyto(saved, block)

    def restore(self) -> None:
        """Put back what `save` remembered."""
        for block, saved in zip(self._blocks, self._saved):
            np.copyto(block, saved)


def _read_only_zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    zeros = np.zeros(shape, dtype)
    zeros.setflags(write=False)
    return zeros


_shared_zeros = lru_cache(maxsize=256)(_read_only_zeros)


def align(position: int, alignment: int) -> int:
    """The first multiple of ``alignment`` that is not before ``position``."""
    return -(-position // alignment) * alignment


def aligned_block(size: int) -> np.ndarray:
    """Uninitialised memory of ``size`` bytes that starts on a cache line."""
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -pointer(raw) % ALIGNMENT
    block = raw[start : start + size]
    if CHECKED:
        REGIONS.add(raw, block)
    return block
