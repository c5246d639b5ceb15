"""The dependency graph of operators, and a topological order.

Within a step, all memory is set, then incremented, then read, then updated. Two operators access
the same memory if the byte ranges that their signals span in a base overlap, as for
`numpy.may_share_memory`. The time is linear in operators and edges, except for sorting the views
of each base.

The order is exactly nengo's, ties included. So sums are rounded in the same way, and processes draw
the same random numbers, as in ``nengo.Simulator(optimize=False)``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nengo.exceptions import BuildError

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal, byte_span

Graph = dict[Operator, list[Operator]]
ROLES = ("sets", "incs", "reads", "updates")


class Region(NamedTuple):
    """The range of bytes that a signal spans in its base's memory."""

    start: int
    stop: int


def region_of(signal: Signal) -> Region:
    """Return the region that a signal spans in its base."""
    if not signal.is_view:
        return Region(0, max(signal.nbytes, 1))
    return Region(*byte_span(signal))


class Memory:
    """The operators that access one base's memory in one role, indexed by region."""

    def __init__(self) -> None:
        self.operators: dict[Region, list[Operator]] = {}
        self._by_length: dict[int, list[Region]] = {}

    def add(self, region: Region, operator: Operator) -> None:
        """Note that ``operator`` accesses ``region``."""
        self.operators.setdefault(region, []).append(operator)

    def index(self) -> None:
        """Make the index for `overlapping`, after the last `add`.

        There is a sorted list for each binary logarithm of the length. So a search for regions that
        overlap does not have to start as far back as the longest region reaches.
        """
        for region in sorted(self.operators):
            bits = (region.stop - region.start).bit_length()
            self._by_length.setdefault(bits, []).append(region)

    def overlapping(self, region: Region) -> Iterator[Region]:
        """Yield the known regions that share a byte with ``region``, itself included."""
        if region in self.operators:
            yield region
        for bits, regions in self._by_length.items():
            first = bisect_left(regions, Region(region.start - (1 << bits), 0))
            for i in range(first, len(regions)):
                other = regions[i]
                if other.start >= region.stop:
                    break
                if other.stop > region.start and other != region:
                    yield other


def dependency_graph(operators: Sequence[Operator]) -> Graph:
    """Map each operator to the operators that depend on it directly.

    Parameters
    ----------
    operators : sequence of Operator
        In the order in which they were added to the model.

    Returns
    -------
    dict of (Operator, list of Operator)

    Raises
    ------
    BuildError
        If an operator does not state all its lists, or if two set or update the same memory.
    """
    touching: dict[str, dict[Signal, list[Operator]]] = {role: defaultdict(list) for role in ROLES}
    for operator in operators:
        for role in ROLES:
            signals = getattr(operator, role)
            if signals is None:
                raise BuildError(
                    f"{operator!r} does not state its '{role}': assign a list of signals"
                )
            for signal in signals:
                touching[role][signal].append(operator)
    signals = {signal: signal.base for role in ROLES for signal in touching[role]}
    divided = {base for signal, base in signals.items() if signal.is_view}
    regions = {signal: region_of(signal) for signal, base in signals.items() if base in divided}
    memory = {role: _memory_of(touching[role], regions) for role in ROLES}
    _check_single(touching["sets"], memory["sets"], "set")
    _check_single(touching["updates"], memory["updates"], "updated")

    graph: dict[Operator, dict[Operator, None]] = {operator: {} for operator in operators}
    for i, role in enumerate(ROLES):
        for signal, waiting in touching[role].items():
            region, dependents = regions.get(signal), dict.fromkeys(waiting)
            for earlier_role in ROLES[:i]:
                if region is None:  # the base has no views
                    for operator in touching[earlier_role].get(signal, ()):
                        graph[operator].update(dependents)
                    continue
                earlier = memory[earlier_role].get(signals[signal])
                if earlier is None:
                    continue
                for other in earlier.overlapping(region):
                    for operator in earlier.operators[other]:
                        graph[operator].update(dependents)
    return {operator: list(dependents) for operator, dependents in graph.items()}


def operators_before(graph: Graph) -> Graph:
    """Map operators to the operators that they depend on directly: a defaultdict."""
    before: Graph = defaultdict(list)
    for operator, dependents in graph.items():
        for dependent in dependents:
            before[dependent].append(operator)
    return before


def overlap(signals: Sequence[Signal], others: Sequence[Signal]) -> bool:
    """Whether the regions of a signal in one sequence and one in another overlap."""
    return bool(signals) and any(
        signal is other
        or (
            signal.base is other.base
            and region_of(signal).start < region_of(other).stop
            and region_of(other).start < region_of(signal).stop
        )
        for signal in signals
        for other in others
    )


def _memory_of(
    touching: dict[Signal, list[Operator]], regions: dict[Signal, Region]
) -> dict[Signal, Memory]:
    """Index the operators that access signals with a region, by base."""
    memory: dict[Signal, Memory] = defaultdict(Memory)
    for signal, touchers in touching.items():
        if signal in regions:
            block = memory[signal.base]
            for operator in touchers:
                block.add(regions[signal], operator)
    for block in memory.values():
        block.index()
    return memory


def _check_single(
    touching: dict[Signal, list[Operator]], memory: dict[Signal, Memory], done: str
) -> None:
    """Raise BuildError if two operators set, or update, overlapping memory."""
    candidates = [(signal.base, owners) for signal, owners in touching.items()]
    for base, block in memory.items():
        furthest: Region | None = None
        for region in sorted(block.operators):
            owners = block.operators[region]
            if furthest is not None and region.start < min(furthest.stop, region.stop):
                owners = [*block.operators[furthest], *owners]
            candidates.append((base, owners))
            if furthest is None or region.stop > furthest.stop:
                furthest = region
    for base, owners in candidates:
        if len(owners) > 1:
            raise BuildError(
                f"Memory of Signal '{base.name}' is {done} by more than one operator in a "
                f"step: {owners[0]} and {owners[1]}"
            )


def topological_order(graph: Graph) -> list[Operator]:
    """Order operators so that each comes after the operators that it depends on.

    Of the operators that are ready, the one that became ready first comes next (Kahn 1962).

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From `dependency_graph`.

    Returns
    -------
    list of Operator

    Raises
    ------
    BuildError
        If operators depend on each other in a cycle; the message names them.
    """
    waiting_for = dict.fromkeys(graph, 0)
    for dependents in graph.values():
        for operator in dependents:
            waiting_for[operator] += 1
    ready = deque(operator for operator, count in waiting_for.items() if count == 0)
    order = []
    while ready:
        operator = ready.popleft()
        order.append(operator)
        for dependent in graph[operator]:
            waiting_for[dependent] -= 1
            if waiting_for[dependent] == 0:
                ready.append(dependent)
    if len(order) < len(graph):
        cycle = "\n  -> ".join(str(operator) for operator in find_cycle(graph, set(order)))
        raise BuildError(
            "Input graph has cycles. This usually occurs because too many connections have no "
            "synapses. Try setting more synapses to '0' instead of 'None'. Each of these "
            f"operators waits for the one before it:\n     {cycle}"
        )
    return order


def find_cycle(graph: Graph, outside: set[Operator]) -> list[Operator]:
    """Return a cycle of operators; the last one is the first one again.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        A graph with a cycle.
    outside : set of Operator
        The operators that are not in a cycle and do not depend on one.
    """
    depends_on = {}
    for operator, dependents in graph.items():
        if operator not in outside:
            depends_on.update(dict.fromkeys(dependents, operator))
    # Each remaining operator depends on a remaining one: follow these edges until one repeats.
    operator = next(iter(depends_on))
    path: dict[Operator, None] = {}
    while operator not in path:
        path[operator] = None
        operator = depends_on[operator]
    members = list(path)
    cycle = members[members.index(operator) :]
    return [*reversed([*cycle, operator])]
