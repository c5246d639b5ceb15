"""Components: parts of a step that go on side by side for several levels.

Many models are made of like parts, such as the ensembles of an array, whose operators depend on
each other and on nothing else for several levels. Such a part is a component. Consecutive levels
that fall into many components make a phase, which threads can divide between them by components:
they need not wait for each other before it ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nengo_jit.engines.cpu.language.kernel import Kernel, Row
from nengo_jit.planner.graph import Graph, operators_before, region_of

FEWEST = 8  # components of equal size that make a phase


class PythonCall(Protocol):
    """What calls Python in a step, see `nengo_jit.engines.cpu.python.callbacks`.

    Attributes
    ----------
    operator : Operator
        What is carried out.
    traced : object or None
        What it was compiled to; None if it stays in Python.
    """

    operator: Any
    traced: Any


@dataclass(slots=True)
class Task:
    """A row for a kernel, or a callback, and the operator that it is a part of.

    Attributes
    ----------
    operator : Operator or None
        None for what the engine itself does.
    entry : Row or PythonCall
        What is done.
    span : tuple of int or None
        If a row cannot be divided, or does not tell where it writes to: the first address that
        it may write to, and the one after the last.
    group : int
        The number of the operator's group; -1 if there is no operator.
    code : Kernel or PythonCall
        What is run.
    nanoseconds : float
        About how long it takes, if it is known.
    """

    operator: Any
    entry: Any
    span: tuple[int, int] | None = None
    group: int = -1
    code: Any = field(init=False)
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
        What is done, level by level.
    component_of : dict of (Operator, int)
        The number of the component of each operator, in the order of their first tasks. Empty if
        there is one level, which does not fall into components.
    """

    levels: list[list[Task]]
    component_of: dict[Any, int] = field(default_factory=dict)


class Links:
    """Which operators must not be done side by side.

    Parameters
    ----------
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it directly.
    """

    def __init__(self, graph: Graph):
        self.before = operators_before(graph)
        self._add_common_targets(list(graph))

    def _add_common_targets(self, operators: Sequence[Any]) -> None:
        """Sums depend on the order of their terms, so those are linked, through what is written."""
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


class Union:
    """Sets of things that are linked, directly or not (Tarjan 1975)."""

    def __init__(self) -> None:
        self._parent: dict[Any, Any] = {}

    def __contains__(self, thing: Any) -> bool:
        return thing in self._parent

    def find(self, thing: Any) -> Any:
        """What stands for all that is linked with a thing."""
        parent = self._parent
        root = parent.setdefault(thing, thing)
        while parent[root] is not root:
            root = parent[root]
        while parent[thing] is not root:
            parent[thing], thing = root, parent[thing]
        return root

    def join(self, thing: Any, other: Any) -> None:
        """Link two things."""
        self._parent[self.find(thing)] = self.find(other)

    def copy(self) -> Union:
        """An independent copy."""
        union = Union()
        union._parent = dict(self._parent)
        return union


def phases(levels: Sequence[Sequence[Task]], graph: Graph) -> Iterator[Phase]:
    """Join consecutive levels for as long as they fall into components of similar size.

    Parameters
    ----------
    levels : sequence of sequence of Task
        In the order in which they run.
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it directly.
    """
    links = Links(graph)
    window: list[list[Task]] = []
    union = Union()
    for level in levels:
        if not level:
            continue
        joined = _join(union.copy(), level, links)
        if not _is_divided(joined, [*window, level]):
            if window:
                yield _phase(window, union)
            window = []
            joined = _join(Union(), level, links)
            if not _is_divided(joined, [level]):
                yield Phase([list(level)])
                joined = Union()
                continue
        window.append(list(level))
        union = joined
    if window:
        yield _phase(window, union)


def _join(union: Union, level: Sequence[Task], links: Links) -> Union:
    for task in level:
        union.find(task.operator)
        for other in links.before[task.operator]:
            if isinstance(other, tuple) or other in union:
                union.join(task.operator, other)
    return union


def _is_divided(union: Union, levels: Sequence[Sequence[Task]]) -> bool:
    """Whether levels fall into enough components, none of which is too large."""
    if not all(isinstance(task.code, Kernel) and task.operator for p in levels for task in p):
        return False
    work: dict[Any, float] = defaultdict(float)
    for level in levels:
        for task in level:
            work[union.find(task.operator)] += task.nanoseconds
    return max(work.values()) * FEWEST <= sum(work.values())


def _phase(levels: list[list[Task]], union: Union) -> Phase:
    numbers: dict[Any, int] = {}
    component_of = {}
    for level in levels:
        for task in level:
            root = union.find(task.operator)
            component_of[task.operator] = numbers.setdefault(root, len(numbers))
    return Phase(levels, component_of)
