"""Times of samples that stream to disk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nengo_jit.engines.recorder import Clock
from nengo_jit.persistence.stored import slices_of
from nengo_jit.persistence.variables import Axis


class Known(NamedTuple):
    """The times that are known.

    Attributes
    ----------
    n_stored : int
        Number of times in complete chunks of the store.
    parts : list of numpy.ndarray
        The times after those.
    ticks : int
        Tick up to which they are known.
    """

    n_stored: int
    parts: list[np.ndarray]
    ticks: int


class Times:
    """The times of samples, handled by a stream as it handles `Stored`.

    Parameters
    ----------
    axis : Axis
        The time axis.
    known : Known
        The times that are known.
    """

    def __init__(self, axis: Axis, known: Known):
        self.axis, self.known = axis, known

    def catch_up(self, clock: Clock, ticks: int) -> Known:
        """Take note of the times up to a tick."""
        n_stored, parts, before = self.known
        since_reset = clock.n_steps - clock.ticks  # steps, which a reset sets to zero, less ticks
        new = self.axis.times(before + since_reset, ticks + since_reset)
        self.known = Known(n_stored, [*parts, new], ticks)
        return self.known

    def drop(self, n: int) -> None:
        """Take note that the first ``n`` times that were not stored are in the store now."""
        n_stored, parts, ticks = self.known
        left = slices_of(parts, n, sum(map(len, parts)))
        self.known = Known(n_stored + n, left, ticks)
