"""Dead code: find the operators whose results nothing reads before the end of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph, overlap
from nengo_jit.planner.invariant import is_stateless, sets_all
from nengo_jit.planner.looks import touches


def deferred(
    graph: Graph,
    before: Graph,
    order: Sequence[Operator],
    recorded: Iterable[Signal],
    exposed: Collection[Signal] = (),
) -> frozenset[Operator]:
    """Find the operators that an engine may run when signals are read, not in each step.

    Only other such operators read their results: for example, those of a connection that leads to
    an unused node. Run once after the last step, they give the same values as if they had run in
    each: their results do not depend on earlier results, and no operator updates the signals that
    they read at the end of a step. So signals that are read between runs have the same values.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to the operators that depend on it directly.
    before : dict of (Operator, list of Operator)
        From `operators_before`.
    order : sequence of Operator
        A topological order of the graph.
    recorded : iterable of Signal
        Signals that probes record.
    exposed : collection of Signal
        Bases that user code may access during a run.

    Returns
    -------
    frozenset of Operator
    """
    bases = {signal.base for signal in recorded}
    found: set[Operator] = set()
    for operator in reversed(order):
        if (
            is_stateless(operator)
            and found.issuperset(graph[operator])
            and not any(signal.base in bases for signal in (*operator.sets, *operator.incs))
            and not (exposed and touches(operator, exposed))
        ):
            found.add(operator)
    needed = [
        operator
        for operator in order
        if operator in found and not _begins_anew(operator, before[operator], found)
    ]
    found.difference_update(needed)
    while needed:
        operator = needed.pop()
        sums = (each for each in graph[operator] if overlap(each.incs, operator.sets))
        for other in (*before[operator], *sums):
            if other in found:
                found.remove(other)
                needed.append(other)
    return frozenset(found)


def _begins_anew(operator: Operator, before: Sequence[Operator], others: set[Operator]) -> bool:
    """Whether others overwrite all signals that an operator adds to."""
    return all(
        any(each in others and sets_all(each, signal) for each in before)
        for signal in operator.incs
    )
