"""Levels: when operators run, so that each comes after those that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nengo_jit.planner.graph import Graph


def ancestors(graph: Graph, order: Sequence[Any], goals: Callable[[Any], bool]) -> set[Any]:
    """The goals and every operator that a goal depends on, directly or not.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it.
    order : sequence of Operator
        A topological order of the graph.
    goals : callable
        Tells whether an operator is a goal.

    Returns
    -------
    set of Operator
    """
    found: set[Any] = set()
    for operator in reversed(order):
        if goals(operator) or any(dependent in found for dependent in graph[operator]):
            found.add(operator)
    return found


def levels(graph: Graph, order: Sequence[Any], first: set[Any]) -> dict[Any, int]:
    """Number the operators so that each has a higher level than those that it depends on.

    Operators of one level do not depend on each other. An operator that others depend on comes
    on the last level that is early enough, so that what it writes is read soon. The first ones
    come on the earliest level that there is for them: along nengo's order, in which what is ready
    first comes first, these never fall. So engines can call Python in nengo's order.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it.
    order : sequence of Operator
        A topological order of the graph.
    first : set of Operator
        Operators whose levels come before those of all others; none of them depends on any of
        the others.

    Returns
    -------
    dict of (Operator, int)
    """
    level = dict.fromkeys(order, 0)

    def spread(operators: list[Any]) -> int:
        top = -1
        for operator in operators:
            top = max(top, level[operator])
            for dependent in graph[operator]:
                level[dependent] = max(level[dependent], level[operator] + 1)
        return top + 1

    n_first = spread([operator for operator in order if operator in first])
    rest = [operator for operator in order if operator not in first]
    for operator in rest:
        level[operator] = max(level[operator], n_first)
    spread(rest)
    for operator in reversed(rest):
        if graph[operator]:
            level[operator] = min(level[dependent] for dependent in graph[operator]) - 1
    return level
