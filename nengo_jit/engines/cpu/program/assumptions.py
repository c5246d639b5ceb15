"""Assumptions: what operators were lowered for, and whether it is still so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from nengo_jit.ir.signal import Signal

Holds = Callable[[], bool]


class Assumptions:
    """What programs rely on that users may change.

    Attributes
    ----------
    constants : dict of (Signal, list of callable)
        For each base of a constant, what tells whether all is still as it was when lowered.
    fragile : list of tuple of Signal and callable
        What anybody can break: whether it holds must be asked before each run.
    """

    def __init__(self) -> None:
        self.constants: dict[Signal, list[Holds]] = defaultdict(list)
        self.fragile: list[tuple[Signal, Holds]] = []
        self._attributes: dict[Any, tuple[Any, ...]] = {}
        self._contents: dict[Any, list[tuple[Callable[[], Any], Any]]] = {}

    def assume(self, signal: Signal, holds: Holds) -> None:
        """Note what tells whether a constant is still what something was lowered for."""
        self.constants[signal.base].append(holds)

    def note(self, operator: Any) -> None:
        """Note the attributes that an operator has when it is lowered."""
        self._attributes[operator] = tuple(vars(operator).values())

    def rely_on(self, operator: Any, read: Callable[[], Any]) -> Any:
        """What a function returns, which the operator is lowered for: it may be another later."""
        value = read()
        self._contents.setdefault(operator, []).append((read, value))
        return value

    def is_about(self, operator: Any) -> bool:
        """Whether an operator is one of those that were lowered."""
        return operator in self._attributes

    def outdated(self) -> set[Any]:
        """Operators that are not any more what they were when they were lowered."""
        changed = {op for op, before in self._attributes.items() if _differ(op, before)}
        for operator, contents in self._contents.items():
            if any(read() != value for read, value in contents):
                changed.add(operator)
        return changed


def _differ(operator: Any, before: tuple[Any, ...]) -> bool:
    try:
        return tuple(vars(operator).values()) != before
    except ValueError:  # another array
        return True
