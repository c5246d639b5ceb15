"""Assumptions that operators were lowered under, and whether they still hold."""

from __future__ import annotations

from array import array
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
        # Lists, since a tuple and an entry in a dict for each of a million operators take more.
        self._operators: list[Operator] = []
        self._attributes: list[object] = []  # of all operators, one after the other
        self._ends: array[int] = array("q")  # in that list
        self._contents: dict[Operator, list[tuple[Callable[[], object], object]]] = {}

    def assume(self, signal: Signal, holds: Holds) -> None:
        """Add a function that tells whether a constant signal has not changed."""
        self.constants[signal.base].append(holds)

    def note(self, operator: Operator) -> None:
        """Remember the attributes that an operator has when it is lowered."""
        self._operators.append(operator)
        self._attributes.extend(vars(operator).values())
        self._ends.append(len(self._attributes))

    def rely_on(self, operator: Operator, read: Callable[[], Value]) -> Value:
        """Call ``read`` and return its result; if that changes, the operator is outdated."""
        value = read()
        self._contents.setdefault(operator, []).append((read, value))
        return value

    def is_about(self, operator: Operator) -> bool:
        """Whether an operator was lowered."""
        return any(other is operator for other in self._operators)

    def outdated(self) -> set[Operator]:
        """Operators that have changed since they were lowered."""
        changed: set[Operator] = set()
        first = 0
        for operator, end in zip(self._operators, self._ends):
            if _differ(operator, self._attributes[first:end]):
                changed.add(operator)
            first = end
        for operator, contents in self._contents.items():
            if any(read() != value for read, value in contents):
                changed.add(operator)
        return changed


def _differ(operator: Operator, before: list[object]) -> bool:
    try:
        return list(vars(operator).values()) != before
    except ValueError:  # an attribute is another array
        return True
