"""What every operator is: four lists of signals, and what is computed from them.

Each class has the name, the attributes and, as a base, the type of nengo's operator, so that
third-party code which looks for nengo's finds ours; nothing but the type is inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo.builder.operator as reference
from nengo.builder.signal import Signal

from nengo_jit.ir.memory import SignalDict

Step = Callable[[], None]


def operand(role: str, index: int = 0) -> Any:
    """Attribute that reads the operand at ``index`` of one of an operator's role lists.

    Parameters
    ----------
    role : {"sets", "incs", "reads", "updates"}
        The list in which the operand stands.
    index : int
        Its place there.
    """

    def read(operator: Operator) -> Signal:
        return getattr(operator, role)[index]

    return property(read, doc=f"Signal: ``{role}[{index}]``.")


class Operator(reference.Operator):
    """A computation that a simulator carries out in every step.

    In one step a signal is set at most once, then incremented any number of times, then read
    any number of times, then updated at most once: this is what orders the operators. An
    update is the value for the next step.

    Every operator states all four lists; there is no default on purpose.

    Parameters
    ----------
    tag : str, optional
        What the operator is for, in words for people.
    sets, incs, reads, updates : list of Signal
        The signals that the operator touches, by role. Subclasses may also assign them as
        attributes.
    """

    sets: Any = None
    incs: Any = None
    reads: Any = None
    updates: Any = None

    def __init__(
        self,
        tag: str | None = None,
        *,
        sets: list[Signal] | None = None,
        incs: list[Signal] | None = None,
        reads: list[Signal] | None = None,
        updates: list[Signal] | None = None,
    ):
        self.tag = tag
        self.sets = sets
        self.incs = incs
        self.reads = reads
        self.updates = updates

    def __repr__(self) -> str:
        tag = "" if self.tag is None else f" '{self.tag}'"
        return f"<{type(self).__name__}{tag} at 0x{id(self):x}>"

    def __str__(self) -> str:
        tag = "" if self.tag is None else f" '{self.tag}'"
        return f"{type(self).__name__}{{{self._descstr}{tag}}}"

    @property
    def _descstr(self) -> str:
        """Operands in words, for `str`."""
        return ""

    @property
    def all_signals(self) -> list[Signal]:
        """List of Signal: every signal that the operator touches."""
        return [*self.reads, *self.sets, *self.incs, *self.updates]

    def init_signals(self, signals: SignalDict) -> None:
        """Ask for memory for the operator's signals, and for buffers if it needs some.

        Parameters
        ----------
        signals : SignalDict
            Where `make_step` will find the memory; ``signals.init(signal)`` adds to it.
        """
        for signal in self.all_signals:
            if signal not in signals:
                signals.init(signal)

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        """Return the function that carries the operator out once: its definition, in NumPy.

        Parameters
        ----------
        signals : SignalDict
            The live arrays.
        dt : float
            Length of a step (seconds).
        rng : numpy.random.RandomState
            Source of randomness.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement make_step")
