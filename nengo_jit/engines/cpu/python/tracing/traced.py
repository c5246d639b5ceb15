"""What tracing a function gives."""

from __future__ import annotations

from nengo_jit.engines.cpu.python.tracing.guards import Guards
from nengo_jit.engines.cpu.python.tracing.tape import Tape


class Traced:
    """A function that has been traced.

    Attributes
    ----------
    tape : Tape
        The tape.
    reasons : list of str
        Why some paths end with a call of the function in Python.
    watched : Guards
        What the function reads that may be rebound.
    """

    def __init__(self, tape: Tape, reasons: list[str], watched: Guards):
        self.tape = tape
        self.reasons = reasons
        self.watched = watched

    @property
    def is_right(self) -> bool:
        """bool: whether all that the tape depends on is as it was during tracing."""
        return not (self.tape.has_changed or self.watched.have_changed())
