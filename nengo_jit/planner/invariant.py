"""Constant folding: find the operators whose results do not change during a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset, SparseDotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph, overlap, region_of
from nengo_jit.planner.looks import touches

# The results of these depend only on the signals that they read.
STATELESS = (Reset, Copy, ElementwiseInc, DotInc, SparseDotInc)


def invariant(
    graph: Graph, before: Graph, order: Sequence[Operator], exposed: Collection[Signal] = ()
) -> frozenset[Operator]:
    """Find the operators that an engine has to run in its first step only.

    They read only signals that never change, such as the output of a constant node, or that other
    such operators write. No other operators write to their outputs. When user code has written to
    signals, they have to run again.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to the operators that depend on it directly.
    before : dict of (Operator, list of Operator)
        From `operators_before`.
    order : sequence of Operator
        A topological order of the graph.
    exposed : collection of Signal
        Bases that user code may write to during a run.

    Returns
    -------
    frozenset of Operator
    """
    found: set[Operator] = set()
    for operator in order:
        if (
            is_stateless(operator)
            and found.issuperset(before[operator])
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
    if not others.issuperset(before):
        return False
    written = (*operator.sets, *operator.incs)
    for dependent in graph[operator]:
        if overlap(dependent.updates, (*operator.reads, *written)):
            return False
        if dependent not in others and overlap(dependent.incs, written):
            return False
    return all(any(sets_all(each, signal) for each in before) for signal in operator.incs)


def is_stateless(operator: Operator) -> bool:
    """Whether an operator's results depend only on what it reads and what it adds to."""
    return type(operator) in STATELESS and not operator.updates


def sets_all(operator: Operator, signal: Signal) -> bool:
    """Whether a stateless operator overwrites all elements of a signal."""
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
