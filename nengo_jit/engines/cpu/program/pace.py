"""Decide whether a program runs on several threads, by measurements while it runs.

On a busy machine, a thread that the others wait for may not get a core for many milliseconds, in
each step. So threads are used only as long as they pay: until the leader waits for too long in a
step, or steps take longer, over a slice of time, than on one thread. They are tried again after a
pause, which doubles with each failure. Results do not depend on it.

The first steps take longer than later ones, since their memory is in no cache yet. So a trial of
threads is short, and after one that succeeds one thread is measured again. The time between
measurements doubles while threads pay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import perf_counter

BRIEF = 5e-4  # duration of a run below which it keeps the GIL (seconds)
LONG_ENOUGH = 2e-5  # duration of a step on one thread above which threads may pay (seconds)
GAIN = 0.95  # maximum duration of a step on threads, relative to one thread
SLICE = 0.01  # seconds between decisions
SAMPLE = 0.002  # seconds to measure the duration of a step, on one thread or in a trial of threads
FIRST_REFRESH, REFRESH = 0.01, 1.0  # seconds until one thread is measured again
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 3.0  # seconds until threads are tried again
PATIENCE = 2e-4  # seconds that the leader may wait for other threads in a step
NEWEST = 0.3  # weight of the newest measurement if it is worse than the average


@dataclass(frozen=True)
class Slice:
    """Steps to run next.

    Attributes
    ----------
    n_steps : int
        Number of steps.
    is_shared : bool
        Whether to use several threads.
    """

    n_steps: int
    is_shared: bool


class Pace:
    """Decides how many steps a program runs next, and whether on several threads.

    Parameters
    ----------
    seconds : float
        Estimated duration of a step on one thread.
    clock : callable
        Returns the time (seconds).
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = perf_counter):
        self.clock = clock
        self._alone = seconds
        self._is_measured = False
        self._measure_at = -inf
        self._share_at = -inf
        self._pause, self._refresh = FIRST_PAUSE, FIRST_REFRESH
        self._do_pay = False  # whether steps were shorter when several threads were used last
        self._was_shared = False  # whether the latest steps used several threads
        self._n_steps, self._seconds = 0, 0.0  # of slices that have not been judged yet

    @property
    def patience(self) -> int:
        """int: maximum time that the leader may wait in a step (nanoseconds)."""
        return int(1e9 * max(PATIENCE, 0.5 * self._alone))

    def is_brief(self, n_steps: int) -> bool:
        """Whether a run of ``n_steps`` steps keeps the GIL.

        Releasing it takes longer than a step of a small model. Also, code that reads and then
        deletes samples while another thread steps loses a sample as rarely as on nengo.
        """
        return n_steps * self._alone < BRIEF

    @property
    def is_worth_it(self) -> bool:
        """bool: whether threads may pay."""
        return self._alone >= LONG_ENOUGH

    def next(self, n_steps: int) -> Slice:
        """Choose the next slice, if ``n_steps`` steps are left."""
        if not self.is_worth_it:
            return Slice(n_steps, False)
        now = self.clock()
        if now < self._share_at:
            return Slice(self._steps_in(min(SLICE, self._share_at - now), n_steps), False)
        if now >= self._measure_at:
            return Slice(self._steps_in(SAMPLE, n_steps), False)
        return Slice(self._steps_in(self._enough(True), n_steps), True)

    def _enough(self, is_shared: bool) -> float:
        """Return how many seconds of steps a decision needs."""
        return SLICE if is_shared and self._do_pay else SAMPLE

    def _steps_in(self, seconds: float, most: int) -> int:
        return min(most, max(1, round(seconds / self._alone)))

    def note(self, did: Slice, n_done: int, seconds: float) -> None:
        """Record how long a slice took.

        Parameters
        ----------
        did : Slice
            The slice.
        n_done : int
            Number of completed steps; fewer than planned if the leader had to wait.
        seconds : float
            Duration.
        """
        if not n_done:
            return
        if did.is_shared is not self._was_shared:
            self._was_shared, self._n_steps, self._seconds = did.is_shared, 0, 0.0
        self._n_steps += n_done
        self._seconds += seconds
        if did.is_shared and n_done < did.n_steps:
            self.give_up()
        elif self._seconds >= 0.5 * self._enough(did.is_shared):
            self._judge(did.is_shared, self._seconds / self._n_steps)

    def _judge(self, is_shared: bool, step: float) -> None:
        """Decide by the average duration of a step."""
        self._n_steps, self._seconds = 0, 0.0
        if not is_shared:
            is_better = step < self._alone or not self._is_measured
            self._alone += (1.0 if is_better else NEWEST) * (step - self._alone)
            self._is_measured = True
            if self._do_pay:
                self._refresh = min(2 * self._refresh, REFRESH)
            self._measure_at = self.clock() + self._refresh
        elif step > GAIN * self._alone:
            self.give_up()
        else:
            self._pause, self._do_pay = FIRST_PAUSE, True

    def give_up(self) -> None:
        """Use one thread for a while: threads do not pay, or are not available."""
        self._share_at = self.clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._refresh, self._do_pay = FIRST_REFRESH, False
