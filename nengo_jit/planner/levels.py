"""Levels: numbers of operators, such that each is above the operators that it depends on."""

from __future__ import annotations

from collections.abc import Container, Sequence

from nengo_jit.ir.base import Operator
from nengo_jit.planner.graph import Graph


def ancestors(graph: Graph, order: Sequence[Operator], goals: Container[Operator]) -> set[Operator]:
    """Return the goals and all operators that a goal depends on, directly or not.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to the operators that depend on it.
    order : sequence of Operator
        A topological order of the graph.
    goals : container of Operator
        The goals.

    Returns
    -------
    set of Operator
    """
    found: set[Operator] = set()
    for operator in reversed(order):
        if operator in goals or not found.isdisjoint(graph[operator]):
            found.add(operator)
    return found


def levels(
    graph: Graph, order: Sequence[Operator], callers: Container[Operator]
) -> dict[Operator, int]:
    """Number the operators so that each has a higher level than the operators it depends on.

    Operators of one level do not depend on each other. Operators that call Python, and those that
    they depend on, come before all others, each on the lowest possible level. The levels of
    operators that call Python do not decrease along the given order, so Python can be called in
    that order. All others that have dependents get the highest possible level, so that the values
    that they write are read soon after.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to the operators that depend on it.
    order : sequence of Operator
        A topological order of the graph.
    callers : container of Operator
        Operators that call Python.

    Returns
    -------
    dict of (Operator, int)
    """
    first = ancestors(graph, order, callers)
    level = dict.fromkeys(order, 0)

    def spread(operators: list[Operator]) -> int:
        top = latest = -1
        for operator in operators:
            if operator in callers:
                latest = level[operator] = max(level[operator], latest)
            top = max(top, level[operator])
            least = level[operator] + 1
            for dependent in graph[operator]:
                if level[dependent] < least:
                    level[dependent] = least
        return top + 1

    n_first = spread([operator for operator in order if operator in first])
    rest = [operator for operator in order if operator not in first]
    for operator in rest:
        level[operator] = max(level[operator], n_first)
    spread(rest)
    for operator in reversed(rest):
        if graph[operator]:
            level[operator] = min(map(level.__getitem__, graph[operator])) - 1
    return level
