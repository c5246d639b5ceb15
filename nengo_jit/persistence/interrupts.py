"""Ctrl-C in runs that write checkpoints: held back until the current step is complete."""

from __future__ import annotations

from signal import SIGINT, default_int_handler, getsignal, signal
from threading import current_thread, main_thread
from types import FrameType


class HeldInterrupts:
    """Context in which the first Ctrl-C is raised by `check` only, and the second one at once.

    Between two steps, functions of the model have been called equally often, so that a checkpoint
    can be written. It does nothing in other threads than the main one, to which Python sends
    signals, and in processes that handle the signal themselves.

    Attributes
    ----------
    is_pending : bool
        Whether there has been a Ctrl-C.
    """

    def __init__(self) -> None:
        self.is_pending = False

    def __enter__(self) -> HeldInterrupts:
        if current_thread() is main_thread() and getsignal(SIGINT) is default_int_handler:
            signal(SIGINT, self._hold)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if current_thread() is main_thread() and getsignal(SIGINT) == self._hold:
            signal(SIGINT, default_int_handler)
        if kind is None:
            self.check()

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self.is_pending:
            default_int_handler(number, frame)
        self.is_pending = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if there has been a Ctrl-C."""
        if self.is_pending:
            raise KeyboardInterrupt
