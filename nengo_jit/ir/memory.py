"""The memory of signals, and functions that pin memory while its address is in use."""

from __future__ import annotations

import array
import mmap
import weakref
from collections.abc import Container, ItemsView, Iterable, Iterator, Mapping
from typing import Any

import nengo.builder.signal as reference
import nengo.utils.numpy as npext
import numpy as np
from nengo.exceptions import SignalError
from nengo.transforms import SparseMatrix

from nengo_jit.ir.signal import is_sparse
from nengo_jit.regions import CHECKED, REGIONS, pointer

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register of today's CPUs
LARGE = 1 << 18  # bytes

# buffers that cannot be resized or closed while a memoryview of them exists
EXPORTING = (bytes, bytearray, array.array, mmap.mmap)


def owner_of(array: np.ndarray) -> np.ndarray:
    """Return the outermost base of a view that is an array."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def hold(owner: Any) -> list[object] | None:
    """Pin memory: keep its owner from moving or freeing it.

    NumPy does not resize an array with a weak reference, even without its reference check.
    Bytearrays and memory maps cannot be resized or closed while a memoryview of them exists.

    Parameters
    ----------
    owner : object
        An array or buffer; if it is a view, its bases are pinned, too.

    Returns
    -------
    list or None
        The memory is pinned as long as this object lives. None if the memory cannot be pinned, as
        for the buffers of `ctypes` and other libraries.
    """
    held: list[object] = []
    while isinstance(owner, np.ndarray):
        if owner.flags.owndata:
            return [*held, weakref.ref(owner), owner]
        owner = owner.base
    while type(owner) is memoryview:
        try:
            held.append(memoryview(owner))
        except ValueError:  # it has been released
            return None
        owner = owner.obj
        if isinstance(owner, np.ndarray):
            below = hold(owner)
            return None if below is None else held + below
    return [*held, memoryview(owner)] if type(owner) in EXPORTING else None


def address(array: np.ndarray) -> int:
    """Return the address of the first element of ``array``, which may be given to kernels.

    With bounds checks, kernels may then touch the array; see `nengo_jit.regions`.
    """
    if CHECKED:
        REGIONS.add(array)
    return pointer(array)


def align(position: int, alignment: int) -> int:
    """Round ``position`` up to a multiple of ``alignment``."""
    return -(-position // alignment) * alignment


def aligned_block(size: int) -> np.ndarray:
    """Allocate ``size`` bytes, all zero, that start on a cache line.

    The operating system provides memory for a large block only as it is written to.
    """
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -pointer(raw) % ALIGNMENT
    block = raw[start : start + size]
    if CHECKED:
        REGIONS.add(raw, block)
    return block


def _assign(array: np.ndarray, value: np.ndarray) -> None:
    """Write to an array, unless it is large and has these bits: it may not have memory yet."""
    if array.nbytes >= LARGE and array.itemsize <= 8:
        bits = f"u{array.itemsize}"
        if np.array_equal(array.view(bits), value.view(bits)):
            return
    array[...] = value


class SignalDict(Mapping[reference.Signal, Any]):
    """Memory for signals: a mapping from each signal to its live array.

    Writable signals that are allocated together lie in one block, each on a cache line of its
    own. The array of a view is a view of its base's array. The array of a read-only signal is its
    initial value, which is pinned. Assigning to a key writes to the memory.
    """

    def __init__(self, signals: Iterable[reference.Signal] = ()):
        self._arrays: dict[reference.Signal, Any] = {}
        self._blocks: list[np.ndarray] = []
        self._saved: list[np.ndarray] = []
        self._held: list[object] = []
        self.allocate(signals)

    def __getitem__(self, signal: reference.Signal) -> Any:
        """Return the live array of ``signal`` (a SciPy matrix, if sparse); KeyError if none."""
        try:
            return self._arrays[signal]
        except KeyError:
            if isinstance(signal, reference.Signal) and signal.base in self._arrays:
                self._add_view(signal)
                return self._arrays[signal]
            raise KeyError(f"{signal} has no memory here: allocate it first") from None

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

    def items(self) -> ItemsView[reference.Signal, Any]:
        """Return all signals that have memory, with their arrays."""
        return self._arrays.items()

    def __str__(self) -> str:
        return "".join(f"{signal!r} {array!r}\n" for signal, array in self.items())

    def init(self, signal: reference.Signal) -> None:
        """Allocate memory for ``signal``; SignalError if it has some already."""
        if signal in self._arrays:
            raise SignalError(f"Cannot add signal twice: {signal}")
        self.allocate([signal])

    def allocate(self, signals: Iterable[reference.Signal]) -> None:
        """Allocate memory for those of ``signals`` that have none, each on a cache line of its own.

        Parameters
        ----------
        signals : iterable of Signal
            Signals of any kind. The bases of views are allocated, too.
        """
        signals = list(dict.fromkeys(signals))
        self.allocate_runs([base] for base in dict.fromkeys(signal.base for signal in signals))
        for signal in signals:
            if signal not in self._arrays:
                self._add_view(signal)

    def allocate_runs(self, runs: Iterable[Iterable[reference.Signal]]) -> None:
        """Allocate one block for all signals of ``runs`` that have no memory.

        Parameters
        ----------
        runs : iterable of iterable of Signal
            Signals that are not views. The writable signals of a run are contiguous, and each
            run starts on a cache line.
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
                self._arrays[base] = np.ndarray(base.shape, base.dtype, block, start, base.strides)
            _assign(self._arrays[base], base.initial_value)

    def _hold(self, value: np.ndarray) -> np.ndarray:
        """Return a read-only array that is aligned and pinned: the value itself, or a copy."""
        held = hold(value) if value.flags.aligned else None
        if held is None:  # not aligned, or memory of a library that cannot be pinned
            value = value.copy()
            value.setflags(write=False)
        else:
            self._held.extend(held)
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
            matrix = matrix.allocate()  # a dense array without SciPy
        if not signal.readonly:
            matrix = matrix.copy()
            self._add_block(matrix.data if npext.is_spmatrix(matrix) else matrix)
        self._arrays[signal] = matrix

    def _add_block(self, block: np.ndarray) -> None:
        self._blocks.append(block)
        self._saved.append(np.empty_like(block))

    def reset(self, signal: reference.Signal) -> None:
        """Write the initial value of ``signal`` to its memory, unless it is read-only."""
        if not signal.readonly:
            value = signal.initial_value
            if signal.sparse:
                self[signal] = value.allocate() if isinstance(value, SparseMatrix) else value
            else:
                _assign(self[signal], value)

    def reset_all(self, spared: Container[reference.Signal] = ()) -> None:
        """Write the initial values of all signals to memory, except those to spare.

        Parameters
        ----------
        spared : container of Signal
            Bases, not views.
        """
        for signal, memory in self._arrays.items():
            if signal.is_view or signal.readonly or signal in spared:
                continue
            if signal.sparse:
                self.reset(signal)
            else:
                memory[...] = signal.initial_value

    @property
    def blocks(self) -> list[np.ndarray]:
        """List of numpy.ndarray of uint8: all writable memory; it grows as signals are added."""
        return [block.reshape(-1).view(np.uint8) for block in self._blocks]

    def save(self) -> None:
        """Save the contents of all writable memory, in place of what was saved before."""
        for block, saved in zip(self._blocks, self._saved):
            np.copyto(saved, block)

    def restore(self) -> None:
        """Restore the contents that `save` saved."""
        for block, saved in zip(self._blocks, self._saved):
            np.copyto(block, saved)
