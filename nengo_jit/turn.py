"""The turn: which thread runs or resets a simulator, and how long others wait for that."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import RLock
from time import monotonic
from types import FrameType
from typing import Any, TypeVar
from weakref import WeakSet

from nengo.exceptions import SimulationError

from nengo_jit.engines import Engine

Result = TypeVar("Result")

LOOK = 0.05  # seconds after which a thread that waits looks around
PATIENCE = 2.0  # seconds that it waits for a step that waits for another thread
LONG_PATIENCE = 30.0  # seconds that it waits for any other step
WAITING = ("threading", __name__)  # modules in which threads wait for each other


class Turn:
    """Lets one thread at a time run, reset or pickle a simulator; which may do so within a run.

    Parameters
    ----------
    engine : Engine
        What runs.

    Notes
    -----
    Ctrl-C may come between any two calls, such as those that acquire the lock and look at what has
    come of it. So what tells whether it is to be released is the call that releases it.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._lock: Any = RLock()
        TURNS.add(self)

    def hold(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function when it is this thread's turn, and return its result.

        Raises
        ------
        SimulationError
            If whose turn it is does not go on, and may be waiting for this thread.
        """
        lock = self._lock
        if lock._is_owned():
            return function(*arguments)
        try:
            if not lock.acquire(False):
                self._wait()
            return function(*arguments)
        finally:
            try:  # noqa: SIM105  # what `suppress` does in Python could be interrupted
                lock.release()
            except RuntimeError:  # it was not acquired
                pass

    def catch_up(self) -> None:
        """Have the engine finish what it has put off, unless a run goes on."""
        lock = self._lock
        if lock._is_owned():
            self._engine.settle()
            return
        try:
            if lock.acquire(False):
                self._engine.settle()
        finally:
            try:  # noqa: SIM105  # as above
                lock.release()
            except RuntimeError:
                pass

    def _wait(self) -> None:
        """Acquire the lock; gives up if a step does not end."""
        clock = self._engine.recording.clock
        ticks, since = clock.ticks, monotonic()
        while not self._lock.acquire(timeout=LOOK):
            module = self._module_of_holder()
            if clock.ticks != ticks or not (module in WAITING or self._engine.is_running):
                ticks, since = clock.ticks, monotonic()
            elif monotonic() - since > (PATIENCE if module in WAITING else LONG_PATIENCE):
                raise SimulationError(
                    f"Step {self._engine.n_steps + 1} does not end. It may be waiting for this "
                    "thread, which wants to run, reset, close, print or pickle the simulator and "
                    "has to wait for the end of the run. A function that is called in a step can "
                    "do that itself."
                )

    def _module_of_holder(self) -> str:
        """Name of the module whose code is carried out by the thread that has the lock."""
        for innermost in sys._current_frames().values():
            frame: FrameType | None = innermost
            holds = False
            while frame is not None:
                if frame.f_code in (HOLD, WAIT) and frame.f_locals["self"] is self:
                    if frame.f_code is WAIT:
                        break
                    holds = True
                frame = frame.f_back
            else:
                if holds:
                    return str(innermost.f_globals.get("__name__"))
        return ""

    def after_fork(self) -> None:
        """Take the turn from a thread that does not exist in this process, which was forked."""
        if self._lock.acquire(False):
            self._lock.release()
        else:
            self._lock._at_fork_reinit()
            self._engine.lose_run()


HOLD, WAIT = Turn.hold.__code__, Turn._wait.__code__
TURNS: WeakSet[Turn] = WeakSet()


def _after_fork() -> None:
    for turn in list(TURNS):
        turn.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
