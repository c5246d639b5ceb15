"""Constant folding: operators whose results cannot change within a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset, SparseDotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph, overlap, region_of
from nengo_jit.planner.looks import touches

# What these compute depends on what they read, and on nothing else.
STATELESS = (Reset, Copy, ElementwiseInc, DotInc, SparseDotInc)


def invariant(
    graph: Graph, before: Graph, order: Sequence[Operator], exposed: Collection[Signal] = ()
) -> frozenset[Operator]:
    """Operators that an engine may carry out in its first step only.

    They read what never changes, such as the output of a constant node, or what other such
    operators write; nothing else writes to where they write to. Once somebody has written to
    signals, it has to be done again.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it directly.
    before : dict of (Operator, list of Operator)
        From `operators_before`.
    order : sequence of Operator
        A topological order of the graph.
    exposed : collection of Signal
        Bases that code of users may write to within a run.

    Returns
    -------
    frozenset of Operator
    """
    found: set[Operator] = set()
    for operator in order:
        if (
            is_stateless(operator)
            and all(each in found for each in before[operator])
            and not (exposed and touches(operator, exposed))
        ):
            found.add(operator)
    suspects = list(found)
    while suspects:
        operator = suspects.pop()
        if operator in found and not _is_invariant(operator, before[operator], graph, found):
            found.remove(operator)
            suspects += graph[operator]
            for earlier in before[operator]:
                if overlap(operator.incs, (*earlier.sets, *earlier.incs)):
                    suspects.append(earlier)
    return frozenset(found)


def _is_invariant(
    operator: Operator, before: Sequence[Operator], graph: Graph, others: set[Operator]
) -> bool:
    """Whether an operator is invariant if the others are."""
    if not all(each in others for each in before):
        return False
    written = (*operator.sets, *operator.incs)
    for dependent in graph[operator]:
        if overlap(dependent.updates, (*operator.reads, *written)):
            return False
        if dependent not in others and overlap(dependent.incs, written):
            return False
    return all(any(sets_all(each, signal) for each in before) for signal in operator.incs)


def is_stateless(operator: Operator) -> bool:
    """Whether all that an operator depends on is what it reads, and what is there to add to."""
    return type(operator) in STATELESS and not operator.updates


def sets_all(operator: Operator, signal: Signal) -> bool:
    """Whether a stateless operator sets all the memory of a signal, whatever was there."""
    if getattr(operator, "dst_slice", None) is not None:
        return False
    if not signal.is_view and signal in operator.sets:
        return True
    inner = region_of(signal)
    for each in operator.sets:
        outer = region_of(each)
        has_no_gaps = outer.stop - outer.start == max(each.nbytes, 1)
        if each.base is signal.base and outer.start <= inner.start and inner.stop <= outer.stop:
            return has_no_gaps
    return False
