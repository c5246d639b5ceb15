"""Keep the increments of each sum in nengo's order, for engines whose bits depend on it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph, region_of


class Latest:
    """The latest operators that incremented the bytes of a block."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._spans: list[tuple[int, int, Operator]] = []  # apart from each other, in order

    def replace(self, start: int, end: int, operator: Operator) -> list[Operator]:
        """Note an operator as the latest for a range of bytes; returns those that were before.

        Operators that were the latest for a part of the range stay the latest for the rest.
        """
        first = bisect_left(self._starts, start)
        if first and self._spans[first - 1][1] > start:
            first -= 1
        last = bisect_right(self._starts, end - 1)
        before = self._spans[first:last]
        spans = [(start, end, operator)]
        if before and before[0][0] < start:
            spans.insert(0, (before[0][0], start, before[0][2]))
        if before and before[-1][1] > end:
            spans.append((end, before[-1][1], before[-1][2]))
        self._spans[first:last] = spans
        self._starts[first:last] = [each[0] for each in spans]
        return [each[2] for each in before]


def with_sums_in_order(graph: Graph, order: Sequence[Operator]) -> Graph:
    """Add edges to a graph, so that operators that increment the same bytes keep an order.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to the operators that depend on it directly.
    order : sequence of Operator
        Nengo's order.

    Returns
    -------
    dict of (Operator, list of Operator)
        The graph with more dependents. The order is a topological order of it, too.
    """
    edges = {operator: dict.fromkeys(dependents) for operator, dependents in graph.items()}
    latest: dict[Signal, Latest] = defaultdict(Latest)
    for operator in order:
        for signal in operator.incs:
            region = region_of(signal)
            for before in latest[signal.base].replace(*region, operator) if signal.size else ():
                if before is not operator:
                    edges[before][operator] = None
    return {operator: list(dependents) for operator, dependents in edges.items()}
