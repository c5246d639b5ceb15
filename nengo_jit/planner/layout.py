"""Lay memory out so that what a group works on lies side by side.

Where the operands of neighbouring members are neighbours in memory, engines run the members as
one loop. That is an optimisation only: any layout is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.merge import Group

Runs = tuple[tuple[Signal, ...], ...]


def layout(groups: Sequence[Group]) -> Runs:
    """Arrange all writable signals in runs.

    Groups are served in the order of how much memory they touch. Each operand of a group, such
    as the input currents of neurons, becomes a run with the members in order, except for those
    signals that an earlier group has placed.

    Parameters
    ----------
    groups : sequence of Group
        From `merge`.

    Returns
    -------
    tuple of tuple of Signal
        Signals that follow each other in memory, without gaps, run by run. Views are not
        listed; their bases are.
    """
    placed: set[Signal] = set()
    runs = []
    for group in sorted(groups, key=_elements, reverse=True):
        operands = [_operands(member) for member in group.members]
        for column in zip_longest(*operands):
            run = tuple(_unplaced((each.base for each in column if each is not None), placed))
            if run:
                runs.append(run)
    return tuple(runs)


def _operands(operator: Operator) -> list[Signal]:
    return [*operator.sets, *operator.incs, *operator.reads, *operator.updates]


def _elements(group: Group) -> int:
    """How many elements the members' writable vectors have, matrices being left aside."""
    return sum(
        signal.size
        for member in group.members
        for signal in _operands(member)
        if signal.ndim < 2 and not signal.base.readonly
    )


def _unplaced(bases: Iterable[Signal], placed: set[Signal]) -> Iterable[Signal]:
    for base in bases:
        if base not in placed and not base.readonly and not base.sparse:
            placed.add(base)
            yield base
