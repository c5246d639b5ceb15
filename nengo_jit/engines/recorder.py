"""Recorders: the memory of samples of probes, and the clock that says how many are valid.

A step and its samples are valid once the clock has counted the step. The clock is a single number,
so all probes and the number of steps agree at any time: after an interrupt, and in any thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nengo_jit.ir.signal import is_sparse

TICKS, OFFSET, CALLS = range(3)  # indices in the memory of a clock
NEVER = np.iinfo(np.int64).max
LEAST, MOST = 1 << 12, 1 << 24  # bytes of a block, unless a larger one is needed


class Clock:
    """Counts the steps that an engine has completed.

    Ticks count all steps; a reset does not change them. Samples are counted by ticks. Kernels
    write to the same memory.

    Attributes
    ----------
    words : (3,) numpy.ndarray
        Number of ticks; what to add to it for the number of steps since the last reset; and whether
        Python is called after each step.
    view : memoryview
        View of the same memory, which is faster to access.
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
        """int: one if Python is called after each step, else zero."""
        return self.view[CALLS]

    @calls.setter
    def calls(self, value: int) -> None:
        self.view[CALLS] = value

    def complete(self, n_steps: int) -> None:
        """Count a step, so that ``n_steps`` are complete."""
        offset = n_steps - self.view[TICKS] - 1
        if self.view[OFFSET] != offset:
            self.view[OFFSET] = offset
        self.view[TICKS] += 1

    def set_to(self, other: Clock) -> None:
        """Count steps and ticks as another clock does."""
        self.view[TICKS], self.view[OFFSET] = other.view[TICKS], other.view[OFFSET]

    def advance_to(self, ticks: int) -> None:
        """Count steps, up to a number of ticks."""
        self.view[TICKS] = ticks


class Block:
    """Memory for consecutive samples.

    It never moves, and valid samples are never overwritten.

    Attributes
    ----------
    first : int
        Number of the first sample, counted from zero.
    rows : (n, *shape) numpy.ndarray
        The samples.
    ticks : (n,) numpy.ndarray or None
        The tick at which each sample becomes valid; None if there is a sample for each tick.
    next : Block or None
        The next block. It may begin before this one is full.
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
        Live memory of the signal.
    period : float
        Steps from one sample to the next, see `nengo_jit.planner.plan.ProbePlan`.
    clock : Clock
        Says which samples are valid.

    Attributes
    ----------
    period : float
        As given.
    always : bool
        Whether there is a sample for each step.
    source : numpy.ndarray
        Live memory of the numbers; of a sparse matrix, the stored ones.
    copy : callable
        Converts a row to the object that a list gets: an array, or a matrix.
    is_sparse : bool
        Whether samples are sparse matrices.
    most : int
        Maximum size of a block (bytes), unless a larger one is needed.
    """

    def __init__(self, source: Any, period: float, clock: Clock):
        self.most = MOST
        self.clock = clock
        self.period = period
        self.always = period <= 1
        self.is_sparse = is_sparse(source)  # only the stored numbers can change
        self.source: np.ndarray = source.data if self.is_sparse else source
        self.copy: Callable[[np.ndarray], object] = (
            _matrix_like(source) if self.is_sparse else np.array
        )
        self._block = self._make_block(0, 0)

    def _make_block(self, first: int, n: int) -> Block:
        rows: np.ndarray = np.empty((n, *self.source.shape), self.source.dtype)
        return Block(first, rows, None if self.always else np.full(n, NEVER))

    @property
    def block(self) -> Block:
        """Block: the block of the next sample."""
        while self._block.next is not None:
            self._block = self._block.next
        return self._block

    def count(self) -> int:
        """Number of valid samples."""
        return self.find(self.block, self.clock.ticks)[0]

    def find(self, block: Block, ticks: int) -> tuple[int, Block]:
        """Number of valid samples at a tick, and the block of the next one.

        Parameters
        ----------
        block : Block
            Where to begin: the block of the next sample at that tick, or an earlier one.
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

        Blocks grow with the number of samples, so that this is rarely needed.

        Returns
        -------
        Block, int
            Block and row of the next sample.
        """
        block, count = self.block, self.count()
        used = count - block.first
        if used + n > len(block.rows):
            n_bytes = max(1, math.prod(self.source.shape) * self.source.itemsize)
            size = min(max(2 * used, LEAST // n_bytes), self.most // n_bytes)
            block.next, used = self._make_block(count, max(n, size)), 0
            block = block.next
        return block, used

    def most_in(self, n_steps: int) -> int:
        """Maximum number of samples in a number of steps."""
        return n_steps if self.always else int(n_steps / self.period) + 3

    def record_into(self, rows: np.ndarray) -> None:
        """Record the next samples into other memory, which must have room for all that follow.

        Nobody may read the samples by this recorder.
        """
        if self.always:
            self._block = Block(self.clock.ticks, rows, None)
        else:
            self._block = Block(0, rows, np.full(len(rows), NEVER))

    def recorded(self) -> tuple[int, np.ndarray | None]:
        """Return the number of valid samples in the latest block, and their ticks."""
        block = self.block
        n = self.count() - block.first
        return n, None if block.ticks is None else block.ticks[:n]

    def write(self) -> None:
        """Record a sample for the current step."""
        block, row = self.reserve(1)
        block.rows[row] = self.source
        if block.ticks is not None:
            block.ticks[row] = self.clock.ticks + 1

    def skip(self) -> None:
        """Discard the sample that `write` has recorded for a step that was not completed."""
        block = self.block
        row = self.count() - block.first
        if block.ticks is not None and row < len(block.ticks):
            block.ticks[row] = NEVER


def _matrix_like(matrix: Any) -> Callable[[np.ndarray], object]:
    def copy(numbers: np.ndarray) -> object:
        made = matrix.copy()
        made.data[...] = numbers
        return made

    return copy


class Span:
    """Consecutive samples of a recorder, up to the first sample of the next span.

    Attributes
    ----------
    recorder : Recorder
        The recorder.
    first : int
        Number of the first sample.
    next : dict
        The target with the next span, with the key 0, once there is one. It is set once, by
        `dict.setdefault`, which is atomic.
    """

    __slots__ = ("first", "next", "recorder")

    def __init__(self, recorder: Recorder, first: int):
        self.recorder, self.first = recorder, first
        self.next: dict[int, Any] = {}

    def end(self) -> int:
        """Number of the sample after the last one, up to now."""
        return self.next[0].span.first if self.next else self.recorder.count()
