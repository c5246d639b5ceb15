"""Memory for a tape in one piece: what a call touches is in few, neighbouring cache lines."""

from __future__ import annotations

import numpy as np

from nengo_jit.ir.memory import address, align, aligned_block

LINE = 8  # words in a cache line
LISTS = 32  # words for lists whose sizes are not known yet


class Arena:
    """Hands out memory, all zero, from one block after the other.

    Parameters
    ----------
    n_words : int
        How many 64-bit words will be needed at least.
    """

    def __init__(self, n_words: int):
        self._rest = np.zeros(0, np.int64)
        self._blocks: list[np.ndarray] = []
        self._allocate(n_words)

    def take(self, n_words: int) -> np.ndarray:
        """A vector of integers."""
        if n_words > self._rest.size:
            self._allocate(n_words)
        taken, self._rest = self._rest[:n_words], self._rest[n_words:]
        return taken

    def words(self, values: tuple[int, ...]) -> int:
        """Address of a list of integers."""
        taken = self.take(len(values))
        taken[:] = values
        return address(taken)

    def numbers(self, n: int) -> np.ndarray:
        """A vector of float64 that starts on a cache line if it is longer than one.

        A word after it is unused: NumPy treats neighbours as overlapping.
        """
        if n > LINE:
            self.take(self._rest.size % LINE)
        return self.take(n + 1)[:n].view(np.float64)

    def _allocate(self, n_words: int) -> None:
        size = align(n_words + LISTS, LINE)
        self._rest = aligned_block(8 * size).view(np.int64)
        self._blocks.append(self._rest)
