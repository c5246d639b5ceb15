"""Assumptions that operators were lowered under, and whether they still hold."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal

Value = TypeVar("Value")
Holds = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class IsCopy:
    """Tells whether a copy still has the values of the original.

    Attributes
    ----------
    copy, original : numpy.ndarray
        The arrays.
    """

    copy: np.ndarray
    original: np.ndarray

    def __call__(self) -> bool:
        return np.array_equal(self.copy, self.original)


class Assumptions:
    """Values that programs rely on and that users may change.

    Attributes
    ----------
    fragile : list of tuple of Signal and callable
        Assumptions that users can break without notice, and that are checked before each run.
    """

    def __init__(self) -> None:
        self.fragile: list[tuple[Signal, Holds]] = []
        # Lists, since a tuple and an entry in a dict for each of a million operators take more.
        self._bases: list[Signal] = []  # of constants
        self._hold: list[Holds] = []  # for each of them
        self._by_base: dict[Signal, list[Holds]] | None = None
        self._operators: list[Operator] = []
        self._attributes: list[object] = []  # of all operators, one after the other
        self._ends: array[int] = array("q")  # in that list
        self._contents: dict[Operator, list[tuple[Callable[[], object], object]]] = {}

    def assume(self, signal: Signal, holds: Holds) -> None:
        """Add a function that tells whether a constant signal has not changed."""
        self._bases.append(signal.base)
        self._hold.append(holds)
        self._by_base = None

    def hold_for(self, base: Signal) -> bool:
        """Whether a constant has not changed, as far as programs rely on it."""
        if self._by_base is None:
            self._by_base = defaultdict(list)
            for other, holds in zip(self._bases, self._hold):
                self._by_base[other].append(holds)
        return all(holds() for holds in self._by_base.get(base, ()))

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
