"""Components: parts of a step that are independent of each other for several levels.

Many models have similar parts, such as the ensembles of an array, whose operators depend only on
each other for several levels. Such a part is a component. Consecutive levels with many components
form a phase. Threads divide a phase by components, without barriers between its levels, and each
thread runs a few components at a time, so that what one level writes is in the cache when the next
one reads it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from nengo_jit.engines.cpu.language.kernel import Kernel, Routine, Row
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph, operators_before, region_of

FEWEST = 8  # components of equal size in a phase
SHARED = 5000.0  # nanoseconds from which on a product reads a matrix together with others


class PythonCall(Protocol):
    """A callback: an entry of a program that calls Python, or a tape in place of it.

    See `nengo_jit.engines.cpu.python.callbacks`.

    Attributes
    ----------
    operator : Operator
        The operator that is carried out.
    table : Address
        Argument of the kernel.
    when : str
        In which steps it runs, see `Kernel`.
    """

    operator: Operator
    table: Address
    when: str

    @property
    def kernel(self) -> Routine:
        """Routine: the kernel that makes the call."""

    @property
    def done_by(self) -> str:
        """str: how it is carried out, for printed plans: "in Python", for example."""


Code: TypeAlias = Kernel[...] | PythonCall
Target: TypeAlias = "tuple[Signal, int]"  # base and offset of memory that is incremented
Node: TypeAlias = "Operator | Target"


@dataclass(slots=True)
class Task:
    """A row for a kernel, or a callback, and the operator that it belongs to.

    Attributes
    ----------
    operator : Operator or None
        None for tasks of the engine itself.
    entry : Row or PythonCall
        The row, or the callback.
    span : tuple of int or None
        For rows without a `Row.target`, and rows that cannot be divided: the first address that the
        row may write to, and the address after the last.
    group : int
        Number of the operator's group; -1 if there is no operator.
    code : Kernel or PythonCall
        The kernel, or the callback.
    nanoseconds : float
        Estimated time, if it is known.
    """

    operator: Operator | None
    entry: Row | PythonCall
    span: tuple[int, int] | None = None
    group: int = -1
    code: Code = field(init=False)
    nanoseconds: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if isinstance(self.entry, Row):
            self.code, self.nanoseconds = self.entry.kernel, self.entry.work
        else:
            self.code = self.entry


class Links:
    """Pairs of operators that must not run in different threads of a phase.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        Maps each operator to those that depend on it directly.

    Attributes
    ----------
    before : dict of (Operator, list of Operator)
        Maps each operator to those that it depends on directly.
    targets : dict of (Operator, list of tuple)
        Memory that each operator increments, as others do: sums depend on the order of terms.
    """

    def __init__(self, graph: Graph):
        self.before: Mapping[Operator, Sequence[Operator]] = operators_before(graph)
        self.targets: dict[Operator, list[Target]] = defaultdict(list)
        regions: dict[Signal, list[tuple[Signal, Operator]]] = defaultdict(list)
        for operator in graph:
            for signal in operator.incs:
                regions[signal.base].append((signal, operator))
        for base, writers in regions.items():
            if len(writers) > 1:
                self._add_targets(base, writers)

    def _add_targets(self, base: Signal, writers: Sequence[tuple[Signal, Operator]]) -> None:
        """Give operators a common target if they increment overlapping parts of a block."""
        spans = [(*region_of(signal), operator) for signal, operator in writers]
        stop = -1
        for first, last, operator in sorted(spans, key=lambda each: each[:2]):
            if first >= stop:
                target = (base, first)
            stop = max(stop, last)
            self.targets[operator].append(target)


class Components:
    """Disjoint sets of the operators of some levels (union-find, Tarjan 1975).

    Parameters
    ----------
    links : Links
        The operators to be joined.
    """

    def __init__(self, links: Links):
        self._links = links
        self._parent: dict[Node, Node] = {}
        self._work: dict[Node, float] = defaultdict(float)  # of representatives (nanoseconds)
        self._most = self._total = 0.0

    def find(self, node: Node) -> Node:
        """Representative of the set of an operator or target, which is added if it is new."""
        parent = self._parent
        root = parent.setdefault(node, node)
        while parent[root] is not root:
            root = parent[root]
        while parent[node] is not root:
            parent[node], node = root, parent[node]
        return root

    def copy(self) -> Components:
        """The same sets, to which no levels can be added."""
        copy = Components(self._links)
        copy._parent = self._parent.copy()
        return copy

    def add(self, level: Iterable[Task]) -> bool:
        """Add a level; returns whether there are many components, none of which is too large."""
        work, parent, links = self._work, self._parent, self._links
        for task in level:
            operator = task.operator
            if operator is None or not isinstance(task.code, Kernel):
                return False
            root = self.find(operator)
            work[root] += task.nanoseconds
            self._total += task.nanoseconds
            for others in (links.before.get(operator, ()), links.targets.get(operator, ())):
                for other in others:
                    if type(other) is tuple or other in parent:
                        above = self.find(other)
                        if above is not root:
                            parent[root] = above
                            work[above] += work.pop(root, 0.0)
                            root = above
            self._most = max(self._most, work[root])
        return self._most * FEWEST <= self._total


@dataclass(frozen=True)
class Phase:
    """Consecutive levels.

    Attributes
    ----------
    levels : list of list of Task
        Tasks, level by level.
    component_of : dict of (Operator, int)
        Number of each operator's component, in the order of their first tasks. Empty if there is
        one level, which is not divided into components.
    links : Links
        What the components were made by.
    """

    levels: list[list[Task]]
    component_of: dict[Operator | None, int] = field(default_factory=dict)
    links: Links = field(default_factory=lambda: Links({}))


def phases(levels: Sequence[Sequence[Task]], links: Links) -> Iterator[Phase]:
    """Join consecutive levels as long as they have many components of similar size.

    Parameters
    ----------
    levels : sequence of sequence of Task
        Levels in the order in which they run.
    links : Links
        What must not be divided.
    """
    window: list[list[Task]] = []
    components = Components(links)
    for level in filter(None, levels):
        is_whole, before = _shares_a_matrix(level), components.copy()
        if not is_whole and components.add(level):
            window.append(list(level))
            continue
        if window:
            yield _phase(window, links, before)
        window, components = [], Components(links)
        if not is_whole and components.add(level):
            window.append(list(level))
        else:
            yield Phase([list(level)], links=links)
            components = Components(links)
    if window:
        yield _phase(window, links, components)


def _shares_a_matrix(level: Sequence[Task]) -> bool:
    """Whether several products read one matrix, so that they are best computed together."""
    seen = set()
    for task in level:
        if task.nanoseconds > SHARED and isinstance(task.entry, Row):
            index = task.entry.kernel.columns.matrix
            if index is not None:
                matrix = task.entry.values[index]
                if matrix in seen:
                    return True
                seen.add(matrix)
    return False


def _phase(levels: list[list[Task]], links: Links, components: Components) -> Phase:
    numbers: dict[Node, int] = {}
    component_of: dict[Operator | None, int] = {}
    for level in levels:
        for task in level:
            assert task.operator is not None
            root = components.find(task.operator)
            component_of[task.operator] = numbers.setdefault(root, len(numbers))
    return Phase(levels, component_of, links)
