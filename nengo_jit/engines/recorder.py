"""Recorders: the memory that samples of probes are written to, and how many of them count.

A step counts when the clock says that it is complete, and so do its samples. The clock is one
number: whatever interrupts a run, and whoever looks at it from where, all probes and the number of
steps agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nengo_jit.ir.signal import is_sparse

TICKS, OFFSET, CALLS = range(3)  # what stands where in the memory of a clock
NEVER = np.iinfo(np.int64).max
LEAST, MOST = 1 << 12, 1 << 24  # bytes of a block, if nobody needs a larger one


class Clock:
    """Counts the steps that an engine has completed.

    Ticks are never taken back. They are what samples are counted by, and differ from the number
    of steps by what was reset. Kernels write to the same memory.

    Attributes
    ----------
    words : (3,) numpy.ndarray
        The number of ticks; what is to be added to have the number of steps; and whether Python
        wants to be called after each step.
    view : memoryview
        The same memory, which is quicker to read so.
    """

    def __init__(self) -> None:
        self.words = np.zeros(3, np.int64)
        self.view = self.words.data

    @property
    def ticks(self) -> int:
        """int: number of steps completed ever."""
        return self.view[TICKS]

    @property
    def n_steps(self) -> int:
        """int: number of steps completed since the last reset."""
        return self.view[TICKS] + self.view[OFFSET]

    @n_steps.setter
    def n_steps(self, value: int) -> None:
        self.view[OFFSET] = value - self.view[TICKS]

    @property
    def calls(self) -> int:
        """int: one if Python is to be called after each step, else zero."""
        return self.view[CALLS]

    @calls.setter
    def calls(self, value: int) -> None:
        self.view[CALLS] = value

    def complete(self, n_steps: int) -> None:
        """Let a step count, which makes ``n_steps``."""
        offset = n_steps - self.view[TICKS] - 1
        if self.view[OFFSET] != offset:
            self.view[OFFSET] = offset
        self.view[TICKS] += 1


class Block:
    """Room for samples.

    It is never moved, and a sample that counts is never written to again.

    Attributes
    ----------
    first : int
        The number of the first sample, counted from zero.
    rows : (n, *shape) numpy.ndarray
        The samples.
    ticks : (n,) numpy.ndarray or None
        The tick at which each of them counts; None if there is one for each tick.
    next : Block or None
        Where the samples go on, which need not be when this one is full.
    """

    __slots__ = ("first", "next", "rows", "ticks")

    def __init__(self, first: int, rows: np.ndarray, ticks: np.ndarray | None):
        self.first, self.rows, self.ticks = first, rows, ticks
        self.next: Block | None = None


class Recorder:
    """Owns the memory for the samples of one probe.

    Parameters
    ----------
    source : numpy.ndarray or scipy.sparse matrix
        Live memory of what is recorded.
    period : float
        Steps from one sample to the next, see `nengo_jit.planner.plan.ProbePlan`.
    clock : Clock
        Which samples count.

    Attributes
    ----------
    period : float
        As given.
    always : bool
        Whether there is a sample for each step.
    source : numpy.ndarray
        Live memory of the numbers that are recorded; of a sparse matrix, those that are stored.
    copy : callable
        Makes of a row what a list gets: an array, or a matrix.
    is_sparse : bool
        Whether samples are sparse matrices.
    """

    def __init__(self, source: Any, period: float, clock: Clock):
        self.clock = clock
        self.period = period
        self.always = period <= 1
        self.is_sparse = is_sparse(source)  # of which only the stored numbers can change
        self.source: np.ndarray = source.data if self.is_sparse else source
        self.copy: Callable[[Any], Any] = _matrix_like(source) if self.is_sparse else np.array
        self._block = self._make_block(0, 0)

    def _make_block(self, first: int, n: int) -> Block:
        rows: np.ndarray = np.empty((n, *self.source.shape), self.source.dtype)
        return Block(first, rows, None if self.always else np.full(n, NEVER))

    @property
    def block(self) -> Block:
        """Block: where the next sample goes."""
        while self._block.next is not None:
            self._block = self._block.next
        return self._block

    def count(self) -> int:
        """How many samples there have been, up to now."""
        return self.find(self.block, self.clock.ticks)[0]

    def find(self, block: Block, ticks: int) -> tuple[int, Block]:
        """How many samples there had been at a tick, and where the next one is.

        Parameters
        ----------
        block : Block
            Where to begin: one in which samples went at that tick, or before.
        ticks : int
            The tick.
        """
        while True:
            count = ticks
            if block.ticks is not None:
                count = block.first + int(np.searchsorted(block.ticks, ticks, side="right"))
            if block.next is None or count < block.next.first:
                return count, block
            block = block.next

    def reserve(self, n: int) -> tuple[Block, int]:
        """Make room for ``n`` more samples.

        Blocks grow as there are more samples, so that room is made seldom.

        Returns
        -------
        Block, int
            Where the next sample goes: a block, and a row of it.
        """
        block, count = self.block, self.count()
        used = count - block.first
        if used + n > len(block.rows):
            n_bytes = max(1, math.prod(self.source.shape) * self.source.itemsize)
            size = min(max(2 * used, LEAST // n_bytes), MOST // n_bytes)
            block.next, used = self._make_block(count, max(n, size)), 0
            block = block.next
        return block, used

    def write(self) -> None:
        """Record a sample for the step that is to be completed next."""
        block, row = self.reserve(1)
        block.rows[row] = self.source
        if block.ticks is not None:
            block.ticks[row] = self.clock.ticks + 1

    def skip(self) -> None:
        """Forget what `write` has recorded for a step that was not completed."""
        block = self.block
        row = self.count() - block.first
        if block.ticks is not None and row < len(block.ticks):
            block.ticks[row] = NEVER


def _matrix_like(matrix: Any) -> Callable[[Any], Any]:
    def copy(numbers: Any) -> Any:
        made = matrix.copy()
        made.data[...] = numbers
        return made

    return copy


class Span:
    """The samples of a recorder from one on, until another span takes over.

    Attributes
    ----------
    recorder : Recorder
        Whose samples they are.
    first : int
        The number of the first one.
    next : dict
        What takes over, once something does: it is set once, by `dict.setdefault`, which nothing
        can interrupt and of which all threads see the same.
    """

    __slots__ = ("first", "next", "recorder")

    def __init__(self, recorder: Recorder, first: int):
        self.recorder, self.first = recorder, first
        self.next: dict[int, Any] = {}

    def end(self) -> int:
        """The number of the sample after the last, up to now."""
        return self.next[0].span.first if self.next else self.recorder.count()
