"""Code of users that looks at memory: where it stands in nengo's order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph

PUBLIC = "public"  # stands for all memory that everybody may look at


def bases_of(operator: Operator) -> Iterator[Signal]:
    """The bases of all signals that an operator says it touches."""
    for signals in (operator.sets, operator.incs, operator.reads, operator.updates):
        for signal in signals:
            yield signal.base


def touches(operator: Operator, bases: Container[Signal]) -> bool:
    """Whether an operator says that it touches one of some bases."""
    return any(base in bases for base in bases_of(operator))


def with_looks(
    graph: Graph,
    order: Sequence[Operator],
    looks: Mapping[Operator, Collection[Signal]],
    public: Collection[Signal],
) -> Graph:
    """A graph in which operators keep nengo's order with code that looks at their memory.

    Such code may read and write more than its operator says. So what nengo does before it, with
    memory that it may look at, has to be done before it, and the rest after it.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it directly.
    order : sequence of Operator
        Nengo's order.
    looks : mapping of (Operator, collection of Signal)
        For each operator that calls code of users: bases that this code, and no other, looks at.
    public : collection of Signal
        Bases that all such code may look at.

    Returns
    -------
    dict of (Operator, list of Operator)
        The graph with more dependents. The order is a topological one of it, too.
    """
    edges = {operator: dict.fromkeys(dependents) for operator, dependents in graph.items()}
    private = {base for bases in looks.values() for base in bases}
    latest: dict[object, Operator] = {}  # that has looked
    since: dict[object, list[Operator]] = defaultdict(list)  # what has been done since then
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
