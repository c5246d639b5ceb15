"""Whether a program runs faster on several threads, as found by measuring while it runs.

On a machine that is busy with other processes, a thread that the others wait for may not get a
core for many milliseconds, in every step. So threads are used for as long as they pay: a step in
which the leader waits for too long ends their use, and so does a slice of time in which steps
take longer than on one thread. They are tried again later, and later still each time that they
fail. Results do not depend on it.

The first steps take longer than later ones, since nothing is in a cache yet. So a trial of threads
is short, and one that succeeds is followed by another measurement on one thread. Measurements
become rarer while they agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import perf_counter

BRIEF = 5e-4  # seconds of a run up to which it keeps the GIL
LONG_ENOUGH = 2e-5  # seconds of a step on one thread from which on threads may pay
GAIN = 0.95  # how long a step on threads may take, as a share of one on one thread
SLICE = 0.01  # seconds after which is decided anew
SAMPLE = 0.002  # seconds that tell how long a step takes on one thread, or on threads in a trial
FIRST_REFRESH, REFRESH = 0.01, 1.0  # seconds after which one thread is measured again
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 3.0  # seconds before threads are tried again
PATIENCE = 2e-4  # seconds that the leader may wait for the others in any step
NEWEST = 0.3  # weight of the newest measurement, if it is worse than those before


@dataclass(frozen=True)
class Slice:
    """What to do next.

    Attributes
    ----------
    n_steps : int
        How many steps.
    is_shared : bool
        Whether on several threads.
    """

    n_steps: int
    is_shared: bool


class Pace:
    """Decides for a program how many steps it does next, and on how many threads.

    Parameters
    ----------
    seconds : float
        About how long a step takes on one thread.
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
        self._do_pay = False  # whether threads were quicker when they were used last
        self._kind = False  # whether the latest steps were done on several threads
        self._n_steps, self._seconds = 0, 0.0  # of what has not been judged yet

    @property
    def patience(self) -> int:
        """int: how long the leader may wait for the others in a step (nanoseconds)."""
        return int(1e9 * max(PATIENCE, 0.5 * self._alone))

    def is_brief(self, n_steps: int) -> bool:
        """Whether a run of ``n_steps`` steps is to keep the GIL.

        To let go of it takes longer than a step of a small model. And whoever reads samples and
        then deletes them, while another thread steps, loses one as seldom as on nengo.
        """
        return n_steps * self._alone < BRIEF

    @property
    def is_worth_it(self) -> bool:
        """bool: whether threads may pay."""
        return self._alone >= LONG_ENOUGH

    def next(self, n_steps: int) -> Slice:
        """What to do next, if ``n_steps`` steps are left."""
        if not self.is_worth_it:
            return Slice(n_steps, False)
        now = self.clock()
        if now < self._share_at:
            return Slice(self._steps_in(min(SLICE, self._share_at - now), n_steps), False)
        if now >= self._measure_at:
            return Slice(self._steps_in(SAMPLE, n_steps), False)
        return Slice(self._steps_in(self._enough(True), n_steps), True)

    def _enough(self, is_shared: bool) -> float:
        """Seconds of steps after which is decided anew."""
        return SLICE if is_shared and self._do_pay else SAMPLE

    def _steps_in(self, seconds: float, most: int) -> int:
        return min(most, max(1, round(seconds / self._alone)))

    def note(self, did: Slice, n_done: int, seconds: float) -> None:
        """Take note of how long a slice took.

        Parameters
        ----------
        did : Slice
            What was to be done.
        n_done : int
            How many steps were done; fewer than asked for if the leader had to wait.
        seconds : float
            How long they took.
        """
        if not n_done:
            return
        if did.is_shared is not self._kind:
            self._kind, self._n_steps, self._seconds = did.is_shared, 0, 0.0
        self._n_steps += n_done
        self._seconds += seconds
        if did.is_shared and n_done < did.n_steps:
            self.give_up()
        elif self._seconds >= 0.5 * self._enough(did.is_shared):
            self._judge(did.is_shared, self._seconds / self._n_steps)

    def _judge(self, is_shared: bool, step: float) -> None:
        """Draw conclusions from how long a step takes on average."""
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
        """Use one thread for a while: threads do not pay, or cannot be had."""
        self._share_at = self.clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._refresh, self._do_pay = FIRST_REFRESH, False
