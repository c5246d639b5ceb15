"""Keep user code that accesses the memory of signals in nengo's order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph

PUBLIC = "public"  # stands for all memory that any user code may access


def bases_of(operator: Operator) -> Iterator[Signal]:
    """Yield the bases of all signals in an operator's lists."""
    for signals in (operator.sets, operator.incs, operator.reads, operator.updates):
        for signal in signals:
            yield signal.base


def touches(operator: Operator, bases: Container[Signal]) -> bool:
    """Whether the lists of an operator contain a signal with one of some bases."""
    return any(base in bases for base in bases_of(operator))


def with_looks(
    graph: Graph,
    order: Sequence[Operator],
    looks: Mapping[Operator, Collection[Signal]],
    public: Collection[Signal],
) -> Graph:
    """Add edges to a graph, so that operators keep nengo's order with user code.

    User code may read and write more memory than its operator states. So operators that access this
    memory run before the code if they come before it in nengo's order, and after it otherwise.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to the operators that depend on it directly.
    order : sequence of Operator
        Nengo's order.
    looks : mapping of (Operator, collection of Signal)
        For each operator that calls user code, the bases that only this code accesses.
    public : collection of Signal
        Bases that all user code may access.

    Returns
    -------
    dict of (Operator, list of Operator)
        The graph with more dependents. The order is a topological order of it, too.
    """
    edges = {operator: dict.fromkeys(dependents) for operator, dependents in graph.items()}
    private = {base for bases in looks.values() for base in bases}
    latest: dict[object, Operator] = {}  # caller that accessed a base
    since: dict[object, list[Operator]] = defaultdict(list)  # operators after that caller
    for operator in order:
        touched: dict[object, None] = dict.fromkeys(set(bases_of(operator)) & private)
        if public and touches(operator, public):
            touched[PUBLIC] = None
        for place in touched:
            since[place].append(operator)
            if place in latest:
                edges[latest[place]][operator] = None
        if operator not in looks:
            continue
        for place in (*looks[operator], *([PUBLIC] if public else [])):
            earlier = since.pop(place, [])
            if place in latest:
                earlier.append(latest[place])
            for other in earlier:
                if other is not operator:
                    edges[other][operator] = None
            latest[place] = operator
    return {operator: list(dependents) for operator, dependents in edges.items()}
