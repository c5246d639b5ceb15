"""Blocks: where each signal lies in the flat arrays that a step takes and returns.

A block holds the writable signals of one run of the plan, see `nengo_jit.planner.layout`. On the
device it is a one-dimensional array; on the host it is a view of the engine's memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nengo_jit.ir.memory import SignalDict, owner_of
from nengo_jit.ir.signal import Signal
from nengo_jit.regions import pointer


class Region(NamedTuple):
    """Elements of a block.

    Attributes
    ----------
    block : int
        Number of the block.
    elements : numpy.ndarray of int
        Their numbers in the block, in the shape of a signal.
    """

    block: int
    elements: np.ndarray


class Blocks:
    """The blocks of a plan.

    Parameters
    ----------
    runs : iterable of iterable of Signal
        Signals that are contiguous in memory, each run of one type of numbers.
    signals : SignalDict
        The engine's memory. Writable signals outside of all runs get a block of their own.

    Attributes
    ----------
    host : list of numpy.ndarray
        A flat view of the engine's memory for each block.
    """

    def __init__(self, runs: Iterable[Iterable[Signal]], signals: SignalDict):
        self.host: list[np.ndarray] = []
        self._start: dict[Signal, tuple[int, int]] = {}  # by base: block and first element
        for run in _all_runs(runs, signals):
            self._add(run, signals)
        self._n_own = len(self.host)
        addresses = [pointer(each) for each in self.host]
        self._in_order = sorted(range(self._n_own), key=addresses.__getitem__)
        self._addresses = [addresses[number] for number in self._in_order]

    def _add(self, run: list[Signal], signals: SignalDict) -> None:
        position = 0
        for base in run:
            self._start[base] = len(self.host), position
            position += base.size
        first = signals[run[0]]
        owner = owner_of(first)
        offset = pointer(first) - pointer(owner)
        self.host.append(np.ndarray((position,), first.dtype, owner, offset))

    def add_flags(self, n: int) -> int:
        """Add flags, which are no signal's; returns the number of their block."""
        return self.attach(np.zeros(n, bool))

    def attach(self, array: np.ndarray) -> int:
        """Add a contiguous array that is no signal's; returns the number of its block."""
        self.host.append((array if array.flags.c_contiguous else array.T).reshape(-1))
        return len(self.host) - 1

    def detach(self) -> None:
        """Remove all blocks from `attach`."""
        del self.host[self._n_own :]

    def locate(self, address: int, size: int) -> Region | None:
        """Return where some contiguous elements lie; None if they are in no signal's block."""
        place = bisect_right(self._addresses, address) - 1
        if place < 0:
            return None
        number = self._in_order[place]
        block = self.host[number]
        start = (address - self._addresses[place]) // block.itemsize
        return Region(number, np.arange(start, start + size)) if start < block.shape[-1] else None

    def __len__(self) -> int:
        return len(self.host)

    def __contains__(self, signal: Signal) -> bool:
        return signal.base in self._start

    def block_of(self, signal: Signal) -> int:
        """Return the number of a signal's block."""
        return self._start[signal.base][0]

    def region_of(self, signal: Signal) -> Region:
        """Return the elements of a signal or a view; KeyError if it is in no block."""
        if not signal.size:
            return Region(0, np.empty(signal.shape, int))
        block, start = self._start[signal.base]
        return Region(block, start + elements_of(signal))


def elements_of(signal: Signal) -> np.ndarray:
    """Return the places of a dense signal's elements in the memory of its base, in its shape."""
    assert signal.strides is not None, "a sparse signal has no elements"
    elements = np.array(signal.elemoffset)
    for n, stride in zip(signal.shape, signal.strides):
        elements = elements[..., np.newaxis] + np.arange(n) * (stride // signal.itemsize)
    return elements


def _all_runs(runs: Iterable[Iterable[Signal]], signals: SignalDict) -> Iterator[list[Signal]]:
    """Runs without empty signals, then a run for each other writable base."""
    known: set[Signal] = set()
    for run in runs:
        kept = [base for base in run if base.size]
        known.update(kept)
        if kept:
            yield kept
    for signal in signals:
        is_ours = not (signal.is_view or signal.readonly or signal.sparse)
        if is_ours and signal.size and signal not in known:
            yield [signal]
