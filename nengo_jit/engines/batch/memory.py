"""The memory of a batch: a row for each member, with all that its steps may write to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nengo_jit.ir.memory import ALIGNMENT, SignalDict, align, aligned_block
from nengo_jit.ir.signal import Signal, is_sparse
from nengo_jit.regions import pointer


class BatchMemory(Mapping[Signal, Any]):
    """The live arrays of all members: a mapping from each signal to an array with a leading axis.

    The array of a read-only signal is the one that all members share, repeated and read-only. Of a
    sparse matrix, the array has the stored numbers.

    Parameters
    ----------
    signals : SignalDict
        Memory of an engine that runs members.
    n_members : int
        Number of members.
    """

    def __init__(self, signals: SignalDict, n_members: int):
        self._signals, self._n = signals, n_members
        self._blocks = signals.blocks
        self._sizes = [block.size for block in self._blocks]
        self._rows = [self._allocate(size) for size in self._sizes]
        self._arrays: dict[Signal, np.ndarray] = {}

    def _allocate(self, size: int) -> np.ndarray:
        stride = align(max(size, 1), ALIGNMENT)
        return aligned_block(self._n * stride).reshape(self._n, stride)

    @property
    def n_bytes(self) -> int:
        """int: size of all rows together."""
        return sum(rows.nbytes for rows in self._rows)

    def empty_like(self) -> list[np.ndarray]:
        """Return memory for another copy of all rows."""
        return [np.empty_like(rows) for rows in self._rows]

    def load(self, member: int, blocks: Sequence[np.ndarray]) -> None:
        """Copy the row of a member to the blocks of an engine."""
        for rows, block, size in zip(self._rows, blocks, self._sizes):
            np.copyto(block, rows[member, :size])

    def commit(self, rows: Sequence[np.ndarray]) -> None:
        """Copy all rows from `empty_like` memory."""
        for own, other in zip(self._rows, rows):
            np.copyto(own, other)

    def __getitem__(self, signal: Signal) -> np.ndarray:
        """Return the live array of a signal; KeyError if it has no memory."""
        if signal not in self._arrays:
            self._arrays[signal] = self._array(self._signals[signal])
        return self._arrays[signal]

    def _array(self, live: Any) -> np.ndarray:
        array: np.ndarray = live.data if is_sparse(live) else live
        shape = (self._n, *array.shape)
        for block, rows in zip(self._blocks, self._rows):
            place = pointer(array) - pointer(block)
            if array.size and 0 <= place < block.size:
                strides = (rows.strides[0], *array.strides)
                view = np.ndarray(shape, array.dtype, rows, place, strides)
                view.setflags(write=array.flags.writeable)
                return view
        return np.broadcast_to(array, shape)

    def __setitem__(self, signal: Signal, value: Any) -> None:
        """Write to the memory of a signal; ValueError if it is read-only."""
        self[signal][...] = value

    def __contains__(self, signal: object) -> bool:
        return signal in self._signals

    def __iter__(self) -> Iterator[Signal]:
        return iter(self._signals)

    def __len__(self) -> int:
        return len(self._signals)

    def reset(self, signal: Signal) -> None:
        """Write the initial value of a signal to the memory of all members."""
        if not signal.readonly and not signal.sparse:
            self[signal] = signal.initial_value
