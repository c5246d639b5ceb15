"""Constant folding: operators whose results cannot change within a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from nengo_jit.builder.operator import Copy, DotInc, ElementwiseInc, Reset, SparseDotInc
from nengo_jit.builder.signal import Signal
from nengo_jit.planner.graph import Graph, region_of

# What these compute depends on what they read, and on nothing else.
STATELESS = (Reset, Copy, ElementwiseInc, DotInc, SparseDotInc)


def steady(graph: Graph, order: Sequence[Any]) -> frozenset[Any]:
    """Operators that an engine may carry out in the first step of a run only.

    They read what never changes, such as the output of a constant node, or what other such
    operators write; nothing else writes to where they write to. Between runs, somebody may write
    to signals, so the first step has to do it.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it directly.
    order : sequence of Operator
        A topological order of the graph.

    Returns
    -------
    frozenset of Operator
    """
    before: dict[Any, list[Any]] = defaultdict(list)
    for operator, dependents in graph.items():
        for dependent in dependents:
            before[dependent].append(operator)
    found: set[Any] = set()
    for operator in order:
        is_stateless = type(operator) in STATELESS and not operator.updates
        if is_stateless and all(each in found for each in before[operator]):
            found.add(operator)
    suspects = list(found)
    while suspects:
        operator = suspects.pop()
        if operator in found and not _is_steady(operator, before[operator], graph, found):
            found.remove(operator)
            suspects += graph[operator]
            for earlier in before[operator]:
                if _overlap(operator.incs, (*earlier.sets, *earlier.incs)):
                    suspects.append(earlier)
    return frozenset(found)


def _is_steady(operator: Any, before: Sequence[Any], graph: Graph, others: set[Any]) -> bool:
    """Whether an operator is steady if the others are."""
    if not all(each in others for each in before):
        return False
    written = (*operator.sets, *operator.incs)
    for dependent in graph[operator]:
        if _overlap(dependent.updates, (*operator.reads, *written)):
            return False
        if dependent not in others and _overlap(dependent.incs, written):
            return False
    return all(any(_covers(each.sets, signal) for each in before) for signal in operator.incs)


def _overlap(signals: Iterable[Signal], others: Iterable[Signal]) -> bool:
    others = list(others)
    return any(
        signal.base is other.base
        and region_of(signal).start < region_of(other).stop
        and region_of(other).start < region_of(signal).stop
        for signal in signals
        for other in others
    )


def _covers(signals: Iterable[Signal], other: Signal) -> bool:
    """Whether one of some signals has all the memory of another one."""
    inner = region_of(other)
    for signal in signals:
        outer = region_of(signal)
        has_no_gaps = outer.stop - outer.start == max(signal.nbytes, 1)
        if signal.base is other.base and outer.start <= inner.start and inner.stop <= outer.stop:
            return has_no_gaps
    return False
