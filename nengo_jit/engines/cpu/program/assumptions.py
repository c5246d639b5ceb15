"""Assumptions that operators were lowered under, and whether they still hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal

Value = TypeVar("Value")
Holds = Callable[[], bool]


class Assumptions:
    """Values that programs rely on and that users may change.

    Attributes
    ----------
    constants : dict of (Signal, list of callable)
        For each base of a constant, functions that tell whether it has not changed.
    fragile : list of tuple of Signal and callable
        Assumptions that users can break without notice, and that are checked before each run.
    """

    def __init__(self) -> None:
        self.constants: dict[Signal, list[Holds]] = defaultdict(list)
        self.fragile: list[tuple[Signal, Holds]] = []
        self._attributes: dict[Operator, tuple[object, ...]] = {}
        self._contents: dict[Operator, list[tuple[Callable[[], object], object]]] = {}

    def assume(self, signal: Signal, holds: Holds) -> None:
        """Add a function that tells whether a constant signal has not changed."""
        self.constants[signal.base].append(holds)

    def note(self, operator: Operator) -> None:
        """Remember the attributes that an operator has when it is lowered."""
        self._attributes[operator] = tuple(vars(operator).values())

    def rely_on(self, operator: Operator, read: Callable[[], Value]) -> Value:
        """Call ``read`` and return its result; if that changes, the operator is outdated."""
        value = read()
        self._contents.setdefault(operator, []).append((read, value))
        return value

    def is_about(self, operator: Operator) -> bool:
        """Whether an operator was lowered."""
        return operator in self._attributes

    def outdated(self) -> set[Operator]:
        """Operators that have changed since they were lowered."""
        changed = {op for op, before in self._attributes.items() if _differ(op, before)}
        for operator, contents in self._contents.items():
            if any(read() != value for read, value in contents):
                changed.add(operator)
        return changed


def _differ(operator: Operator, before: tuple[object, ...]) -> bool:
    try:
        return tuple(vars(operator).values()) != before
    except ValueError:  # an attribute is another array
        return True
