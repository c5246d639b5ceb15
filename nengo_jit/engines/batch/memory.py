"""The memory of a batch: a row for each member, with all that its steps may write to."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import SignalError

from nengo_jit.ir.memory import ALIGNMENT, SignalDict, align, aligned_block
from nengo_jit.ir.signal import Signal, is_sparse
from nengo_jit.regions import pointer


class BatchMemory(SignalDict):
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
        super().__init__()
        self._signals, self._n = signals, n_members
        self._of_engine = signals.blocks
        self._sizes = [block.size for block in self._of_engine]
        for size in self._sizes:
            self._add_block(self._allocate(size))

    def _allocate(self, size: int) -> np.ndarray:
        stride = align(max(size, 1), ALIGNMENT)
        return aligned_block(self._n * stride).reshape(self._n, stride)

    @property
    def n_bytes(self) -> int:
        """int: size of all rows together."""
        return sum(rows.nbytes for rows in self._blocks)

    def empty_like(self) -> list[np.ndarray]:
        """Return memory for another copy of all rows."""
        return [np.empty_like(rows) for rows in self._blocks]

    def load(self, member: int, blocks: Sequence[np.ndarray]) -> None:
        """Copy the row of a member to the blocks of an engine."""
        for rows, block, size in zip(self._blocks, blocks, self._sizes):
            np.copyto(block, rows[member, :size])

    def store(self, member: int, blocks: Sequence[np.ndarray]) -> None:
        """Copy the blocks of an engine to the row of a member."""
        for rows, block, size in zip(self._blocks, blocks, self._sizes):
            np.copyto(rows[member, :size], block)

    def commit(self, rows: Sequence[np.ndarray]) -> None:
        """Copy all rows from `empty_like` memory."""
        for own, other in zip(self._blocks, rows):
            np.copyto(own, other)

    def __getitem__(self, signal: Signal) -> np.ndarray:
        """Return the live array of a signal; KeyError if it has no memory."""
        array: np.ndarray | None = self._arrays.get(signal)
        if array is None:
            live = self._signals[signal]
            array = self._arrays[signal] = self.rows_of(live.data if is_sparse(live) else live)
        return array

    def rows_of(self, array: np.ndarray) -> np.ndarray:
        """Return the arrays of all members that correspond to one in an engine's memory."""
        shape = (self._n, *array.shape)
        for block, rows in zip(self._of_engine, self._blocks):
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

    def items(self) -> ItemsView[Signal, np.ndarray]:
        """Return all signals that have memory, with their arrays."""
        return {signal: self[signal] for signal in self}.items()

    def init(self, signal: Signal) -> None:
        """Raise a SignalError: members have memory for the signals of operators only."""
        raise SignalError(f"{signal} has no memory in a batch")

    def reset(self, signal: Signal) -> None:
        """Write the initial value of a signal to the memory of all members."""
        if not signal.readonly and not signal.sparse:
            self[signal] = signal.initial_value
