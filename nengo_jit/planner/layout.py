"""Choose a memory layout in which the operands of a group are contiguous.

If the operands of neighbouring members are contiguous, engines run these members as one loop. This
is only an optimisation: results do not depend on the layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.merge import Group

Runs = tuple[tuple[Signal, ...], ...]


def layout(groups: Sequence[Group]) -> Runs:
    """Arrange all writable signals in runs.

    Groups that access the most memory come first. Each operand of a group, such as the input
    currents of neurons, becomes a run in the order of the members, without the signals that an
    earlier group has placed.

    Parameters
    ----------
    groups : sequence of Group
        From `merge`.

    Returns
    -------
    tuple of tuple of Signal
        The signals of each run, to be contiguous in memory. Views are represented by their bases.
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
    """Return the number of elements of the members' writable vectors; matrices do not count."""
    operands = chain.from_iterable(map(_operands, group.members))
    vectors = [each for each in operands if each.ndim < 2 and not each.base.readonly]
    return sum([each.size for each in vectors])


def _unplaced(bases: Iterable[Signal], placed: set[Signal]) -> Iterable[Signal]:
    for base in bases:
        if base not in placed and not base.readonly and not base.sparse:
            placed.add(base)
            yield base
