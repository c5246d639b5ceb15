"""Whether runs of very few steps use tapes."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter

N_TRIALS, N_RUNS = 8, 1000  # short runs that try each way, and the number until the next trial


class ShortRuns:
    """Decides by trials whether runs of very few steps use tapes.

    Tapes are looked through before a run, which may take longer than to call the functions. Results
    do not depend on the decision.

    Parameters
    ----------
    clock : callable
        Returns the time (seconds).

    Attributes
    ----------
    is_trial : bool
        Whether the current run is a trial.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter):
        self.is_trial = False
        self._clock = clock
        self._n_runs = 0
        self._best = [inf, inf]  # shortest run in Python, and with tapes (seconds)
        self._uses_tapes = False
        self._start = 0.0

    def begin(self) -> bool:
        """Begin a run; returns whether to use tapes."""
        n = self._n_runs = self._n_runs % N_RUNS + 1
        if n > 2 * N_TRIALS:
            return self._uses_tapes
        if n == 1:
            self._best = [inf, inf]
        self.is_trial, self._start = True, self._clock()
        return n > N_TRIALS

    def end(self) -> None:
        """End a run; if it is a trial, record its time."""
        if self.is_trial:
            self.is_trial = False
            with_tapes = self._n_runs > N_TRIALS
            self._best[with_tapes] = min(self._best[with_tapes], self._clock() - self._start)
            self._uses_tapes = self._best[True] < self._best[False]
