"""Merge operators of one kind and level into groups, which engines run together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy
from nengo_jit.ir.processes import SimProcess


@dataclass(frozen=True)
class Group:
    """Operators of one kind that do not depend on each other.

    Attributes
    ----------
    level : int
        The group runs after all groups of lower levels.
    kind : str
        The kind of its members, see `kind_of`.
    members : tuple of Operator
        The operators, in the order in which they were added to the model. Their sizes and
        parameters may differ.
    """

    level: int
    kind: str
    members: tuple[Operator, ...]


def kind_of(operator: Operator) -> str:
    """Return the kind of an operator: operators of one kind can be merged."""
    kind = type(operator).__name__
    if type(operator) is Copy:
        return f"{kind} inc" if operator.inc else kind
    implementation = implementation_of(operator)
    if implementation is not operator:
        kind = f"{kind} {type(implementation).__name__}"
    return f"{kind} {operator.mode}" if type(operator) is SimProcess else kind


def implementation_of(operator: Operator) -> object:
    """Return the process or neuron type that an operator runs; for others the operator itself."""
    if type(operator) is SimNeurons:
        return operator.neurons
    return operator.process if type(operator) is SimProcess else operator


def merge(operators: Sequence[Operator], level: dict[Operator, int]) -> tuple[Group, ...]:
    """Group operators by level and kind.

    Parameters
    ----------
    operators : sequence of Operator
        The operators, in the order in which they were added to the model.
    level : dict of (Operator, int)
        The level of each operator, from `levels`.

    Returns
    -------
    tuple of Group
        Sorted by level, and within a level by first member.
    """
    members: dict[tuple[int, str], list[Operator]] = {}
    for operator in operators:
        members.setdefault((level[operator], kind_of(operator)), []).append(operator)
    groups = [Group(level, kind, tuple(ops)) for (level, kind), ops in members.items()]
    return tuple(sorted(groups, key=lambda group: group.level))
