"""Exposure: which memory code of users may look at and change, though no operator says so.

Lowering takes for granted that memory is touched by those operators only that say so. That is so
unless somebody has been handed an array: through ``sim.signals``, or as an operand of neurons or
operators that are written in Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import SimPyFunc
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.contracts import CONTRACTS
from nengo_jit.engines.cpu.mentions import mention_signals
from nengo_jit.planner.looks import bases_of


class Exposure:
    """What is exposed in an engine.

    Parameters
    ----------
    operators : sequence of Operator
        All operators.

    Attributes
    ----------
    public : set of Signal
        Bases that any code of users may look at and change at any time.
    private : dict of (Operator, tuple of Signal)
        Operators that run in Python, with the bases of what their code may change when its turn
        comes, though they only read them.
    watched : set of Signal
        Bases of constants that have been handed out: it is enough to see before each run whether
        they are still the same, for as long as no code of users runs within a step.
    has_grown : bool
        Whether something is exposed that programs do not know of.
    """

    def __init__(self, operators: Sequence[Any]):
        self._operators = operators
        self._changed: set[Signal] = set()  # what is in `private`
        self.public: set[Signal] = set()
        self.private: dict[Any, tuple[Signal, ...]] = {}
        self.watched: set[Signal] = set()
        self.has_grown = False

    def __contains__(self, base: object) -> bool:
        return base in self.public or base in self._changed

    def __bool__(self) -> bool:
        return bool(self.public or self._changed)

    def add(self, base: Signal) -> None:
        """Note that code of users may look at some memory, and change it, at any time."""
        if base not in self.public:
            self.public.add(base)
            self.has_grown = True

    def add_callers(self, operators: Iterable[Any]) -> bool:
        """Note which operators run in Python; tells whether more is exposed by that.

        Where their code mentions arrays of signals, everything is public from the first step on.
        Otherwise the step in which it first gets hold of an array would be another one.
        """
        new = [operator for operator in operators if operator not in self.private]
        self.private.update((operator, tuple(_changed_by(operator))) for operator in new)
        changed = {base for operator in new for base in self.private[operator]} - self._changed
        self._changed |= changed
        is_mentioned = mention_signals(new)
        if is_mentioned:
            self.public.update(base for each in self._operators for base in bases_of(each))
        return bool(changed) or is_mentioned or (bool(new) and bool(self))


def _changed_by(operator: Any) -> Iterable[Signal]:
    """Bases of what an operator's code gets as arrays that it can write to, but only reads."""
    if type(operator) is SimNeurons or type(operator) not in (SimPyFunc, *CONTRACTS):
        return {signal.base: None for signal in operator.reads if not signal.base.readonly}
    return ()
