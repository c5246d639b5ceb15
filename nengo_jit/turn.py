"""The lock of a simulator: one thread at a time runs or resets it; others wait for their turn."""

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

LOOK = 0.05  # seconds between two checks of a waiting thread
PATIENCE = 2.0  # seconds to wait for a step that itself waits for another thread
LONG_PATIENCE = 30.0  # seconds to wait for any other step
WAITING = ("threading", __name__)  # modules in which threads wait for each other


class Turn:
    """A reentrant lock that a thread holds while it runs, resets or pickles a simulator.

    Parameters
    ----------
    engine : Engine
        The simulator's engine.

    Notes
    -----
    Ctrl-C may raise KeyboardInterrupt between acquiring the lock and storing that it was acquired.
    So the methods always try to release it, and ignore the error if this thread does not own it.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._lock: Any = RLock()
        TURNS.add(self)

    def hold(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function with the lock acquired, and return its result.

        Raises
        ------
        SimulationError
            If the thread that holds the lock makes no progress: it may wait for this thread.
        """
        lock = self._lock
        if lock._is_owned():
            return function(*arguments)
        try:
            if not lock.acquire(False):
                self._wait()
            return function(*arguments)
        finally:
            try:  # noqa: SIM105  # Ctrl-C could interrupt the Python code of `suppress`
                lock.release()
            except RuntimeError:  # this thread does not own it
                pass

    def catch_up(self) -> None:
        """Make the engine finish interrupted and deferred work, unless another thread runs it."""
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
        """Wait for the lock; raise SimulationError if the current step does not end."""
        clock = self._engine.recording.clock
        ticks, since = clock.ticks, monotonic()
        while not self._lock.acquire(timeout=LOOK):
            module = self._module_of_holder()
            if clock.ticks != ticks or not (module in WAITING or self._engine.is_running):
                ticks, since = clock.ticks, monotonic()
            elif monotonic() - since > (PATIENCE if module in WAITING else LONG_PATIENCE):
                raise SimulationError(
                    f"Step {self._engine.n_steps + 1} does not end. It may be waiting for this "
                    "thread, which has to wait for the end of the run before it can run, reset, "
                    "close, print or pickle the simulator. Call that from the function in the "
                    "step itself, or do not let the function wait for this thread."
                )

    def _module_of_holder(self) -> str:
        """Return the name of the module that the thread that holds the lock is executing."""
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
        """Free the lock in a forked process if a thread of the parent process held it."""
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
