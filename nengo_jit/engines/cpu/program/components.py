"""Components: parts of a step that are independent of each other for several levels.

Many models have similar parts, such as the ensembles of an array, whose operators depend only on
each other for several levels. Such a part is a component. Consecutive levels with many components
form a phase. Threads divide a phase by components, without barriers between its levels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from nengo_jit.engines.cpu.language.kernel import Kernel, Routine, Row
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph, operators_before, region_of

FEWEST = 8  # components of equal size in a phase


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
Node: TypeAlias = "Operator | tuple[Signal, int]"  # the latter stands for a common target


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
    """

    levels: list[list[Task]]
    component_of: dict[Operator | None, int] = field(default_factory=dict)


class Links:
    """Pairs of operators that must not run in different threads of a phase.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        Maps each operator to those that depend on it directly.
    """

    def __init__(self, graph: Graph):
        self.before: dict[Operator | None, list[Node]] = defaultdict(list)
        self.before.update(operators_before(graph))
        self._add_common_targets(list(graph))

    def _add_common_targets(self, operators: Sequence[Operator]) -> None:
        """Link operators that increment the same memory: sums depend on the order of terms."""
        regions = defaultdict(list)
        for operator in operators:
            for signal in operator.incs:
                region = region_of(signal)
                regions[signal.base].append((region.start, region.stop, operator))
        for base, written in regions.items():
            written.sort(key=lambda each: each[:2])
            stop = -1
            for first, last, operator in written:
                if first >= stop:
                    target = (base, first)
                stop = max(stop, last)
                self.before[operator].append(target)


class DisjointSets:
    """Disjoint sets that can be joined (union-find, Tarjan 1975)."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def __contains__(self, element: Hashable) -> bool:
        return element in self._parent

    def find(self, element: Hashable) -> Hashable:
        """Representative of the set of an element, which is added if it is new."""
        parent = self._parent
        root = parent.setdefault(element, element)
        while parent[root] is not root:
            root = parent[root]
        while parent[element] is not root:
            parent[element], element = root, parent[element]
        return root

    def join(self, element: Hashable, other: Hashable) -> None:
        """Join the sets of two elements."""
        self._parent[self.find(element)] = self.find(other)

    def copy(self) -> DisjointSets:
        """An independent copy."""
        copy = DisjointSets()
        copy._parent = dict(self._parent)
        return copy


def phases(levels: Sequence[Sequence[Task]], graph: Graph) -> Iterator[Phase]:
    """Join consecutive levels as long as they have many components of similar size.

    Parameters
    ----------
    levels : sequence of sequence of Task
        Levels in the order in which they run.
    graph : dict of (Operator, list of Operator)
        Maps each operator to those that depend on it directly.
    """
    links = Links(graph)
    window: list[list[Task]] = []
    sets = DisjointSets()
    for level in levels:
        if not level:
            continue
        joined = _join(sets.copy(), level, links)
        if not _is_divided(joined, [*window, level]):
            if window:
                yield _phase(window, sets)
            window = []
            joined = _join(DisjointSets(), level, links)
            if not _is_divided(joined, [level]):
                yield Phase([list(level)])
                joined = DisjointSets()
                continue
        window.append(list(level))
        sets = joined
    if window:
        yield _phase(window, sets)


def _join(sets: DisjointSets, level: Sequence[Task], links: Links) -> DisjointSets:
    for task in level:
        sets.find(task.operator)
        for other in links.before[task.operator]:
            if isinstance(other, tuple) or other in sets:
                sets.join(task.operator, other)
    return sets


def _is_divided(sets: DisjointSets, levels: Sequence[Sequence[Task]]) -> bool:
    """Whether levels have enough components, none of which is too large."""
    if not all(isinstance(task.code, Kernel) and task.operator for p in levels for task in p):
        return False
    work: dict[Hashable, float] = defaultdict(float)
    for level in levels:
        for task in level:
            work[sets.find(task.operator)] += task.nanoseconds
    return max(work.values()) * FEWEST <= sum(work.values())


def _phase(levels: list[list[Task]], sets: DisjointSets) -> Phase:
    numbers: dict[Hashable, int] = {}
    component_of = {}
    for level in levels:
        for task in level:
            root = sets.find(task.operator)
            component_of[task.operator] = numbers.setdefault(root, len(numbers))
    return Phase(levels, component_of)
