"""Share a program among threads.

Each thread has a program of its own. A phase that falls into components is shared by components. Of
any other level, work is shared by where it is written to: the addresses are cut into as many ranges
as there are threads, and each thread does what is written to its range, in the order in which one
thread alone would do it. So no two threads ever write to the same place, and the results are the
same to the last bit however many threads there are. A barrier stands between phases wherever a
thread may read what another one wrote.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Address, Kernel, Row
from nengo_jit.engines.cpu.program.components import Phase, Task
from nengo_jit.engines.cpu.program.team import IS_LAST, LEADS, wait_for_all
from nengo_jit.ir.memory import ALIGNMENT, align

END = 1 << 62  # beyond any address
WORTHWHILE = 8000.0  # nanoseconds of work in a phase from which on it is shared


@dataclass(frozen=True)
class Batch:
    """An entry of a program: a kernel with its rows, or a callback.

    Attributes
    ----------
    code : Kernel or PythonCall
        What is run.
    rows : list of Row
        What a kernel works on.
    spans : list of tuple of int
        If the rows cannot be divided, or do not tell where they write to: for each, the first
        address that it may write to, and the one after the last. They are not cut.
    groups : set of int
        The numbers of the groups that it is work for.
    """

    code: Any
    rows: list[Row]
    spans: list[tuple[int, int]] = field(default_factory=list)
    groups: set[int] = field(default_factory=set)

    @property
    def can_be_shared(self) -> bool:
        """bool: whether it is known where the work is written to."""
        return isinstance(self.code, Kernel) and (
            self.code.columns.target is not None or len(self.spans) == len(self.rows)
        )

    def fused(self, itemsize: int) -> Batch:
        """The same work, with rows joined that go on where the one before ends."""
        if not isinstance(self.code, Kernel):
            return self
        return replace(self, rows=self.code.fuse(self.rows, itemsize))

    def between(self, low: int, high: int, itemsize: int) -> Batch:
        """What is written to addresses from ``low`` to below ``high``."""
        if self.code.columns.target is not None:
            clipped = (_clip(row, low, high, itemsize) for row in self.rows)
            return replace(self, rows=[row for row in clipped if row is not None])
        pairs = [pair for pair in zip(self.rows, self.spans) if low <= pair[1][0] < high]
        rows, spans = [row for row, _ in pairs], [span for _, span in pairs]
        return replace(self, rows=rows, spans=spans)

    def extents(self, itemsize: int) -> list[tuple[int, int, float]]:
        """For each row the address that it writes to, the number of bytes, and nanoseconds."""
        if self.code.columns.target is None:
            return [(low, high - low, row.work) for row, (low, high) in zip(self.rows, self.spans)]
        return [(row.target, row.size * itemsize, row.work) for row in self.rows]


def share(
    phases: Iterable[Phase], n_threads: int, team: Address, itemsize: int
) -> list[list[Batch]]:
    """Make a program for each of several threads.

    Parameters
    ----------
    phases : iterable of Phase
        In the order in which they run.
    n_threads : int
        How many programs to make. The first one has everything that is not shared.
    team : Address
        Of the memory in which the threads meet.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    list of list of Batch
        Of the first program alone, if nothing is worth sharing.
    """
    programs: list[list[Batch]] = [[] for _ in range(n_threads)]
    pending = False  # has any thread done something since the last barrier?

    def synchronise(role: int = 0) -> None:
        nonlocal pending
        for number, program in enumerate(programs):
            own_role = role | (LEADS if number == 0 else 0)
            row = wait_for_all.row(n_threads=n_threads, team=team, role=own_role)
            program.append(Batch(wait_for_all, [row]))
        pending = False

    shared_before = False
    for phase in phases:
        parts = _parts(phase, n_threads, itemsize)
        shared = len(parts) > 1
        if pending and (shared or shared_before):
            synchronise()
        for program, part in zip(programs, parts):
            program.extend(part)
        pending, shared_before = True, shared
    if not any(programs[1:]):
        return programs[:1]
    synchronise(IS_LAST)
    return programs


def _parts(phase: Phase, n_threads: int, itemsize: int) -> list[list[Batch]]:
    """What each thread does of a phase; of one thread only if it is not worth sharing."""
    work = sum(task.nanoseconds for level in phase.levels for task in level)
    if work <= WORTHWHILE:
        return [alone(phase.levels, itemsize)]
    if phase.component_of:
        return [
            [
                work
                for level, tasks in zip(phase.levels, mine)
                for work in _in_order_of(level, batches(tasks, itemsize))
            ]
            for mine in _divide(phase, n_threads)
        ]
    (level,) = phase.levels
    whole = batches(level, itemsize)
    if not all(each.can_be_shared for each in whole):
        return [whole]
    return _split(whole, n_threads, itemsize)


def _divide(phase: Phase, n_threads: int) -> list[list[list[Task]]]:
    """For each thread the tasks of its components, level by level, about as much for each."""
    costs = [0.0] * (1 + max(phase.component_of.values()))
    for level in phase.levels:
        for task in level:
            costs[phase.component_of[task.operator]] += task.nanoseconds
    middles = np.cumsum(costs) - 0.5 * np.array(costs)
    thread_of = np.minimum(middles / sum(costs) * n_threads, n_threads - 1).astype(int).tolist()
    parts: list[list[list[Task]]] = [[[] for _ in phase.levels] for _ in range(n_threads)]
    for number, level in enumerate(phase.levels):
        for task in level:
            parts[thread_of[phase.component_of[task.operator]]][number].append(task)
    return parts


def alone(levels: Iterable[Iterable[Task]], itemsize: int) -> list[Batch]:
    """The program of a thread that does everything."""
    return [work for level in levels for work in batches(level, itemsize)]


def batches(level: Iterable[Task], itemsize: int) -> list[Batch]:
    """Pieces of one level by their code."""
    found: dict[Any, Batch] = {}
    for task in level:
        if task.code not in found:
            found[task.code] = Batch(task.code, [])
        work = found[task.code]
        if isinstance(task.entry, Row):
            work.rows.append(task.entry)
        if task.span is not None:
            work.spans.append(task.span)
        work.groups.add(task.group)
    return [work.fused(itemsize) for work in found.values()]


def _in_order_of(level: Iterable[Task], some: list[Batch]) -> list[Batch]:
    """What is done on a level by code, in the order in which one thread would do it."""
    rank: dict[Any, int] = {}
    for task in level:
        rank.setdefault(task.code, len(rank))
    return sorted(some, key=lambda work: rank[work.code])


def _split(level: Sequence[Batch], n_threads: int, itemsize: int) -> list[list[Batch]]:
    cuts = [0, *_cuts(level, n_threads, itemsize), END]
    parts = []
    for low, high in pairwise(cuts):
        part = [work.between(low, high, itemsize) for work in level]
        parts.append([work for work in part if work.rows])
    return parts


def _clip(row: Row, low: int, high: int, itemsize: int) -> Row | None:
    """What a row writes to addresses from ``low`` to below ``high``, as a row; None if nothing."""
    start = row.target
    if not row.kernel.columns.is_divisible:
        return row if low <= start < high else None
    first, last = (min(max(0, -((start - bound) // itemsize)), row.size) for bound in (low, high))
    return row.part(first, last - first, itemsize) if first < last else None


def _cuts(level: Sequence[Batch], n_threads: int, itemsize: int) -> list[int]:
    """Addresses that divide the work of a level into equal parts, outside of all spans."""
    extents = sorted(extent for work in level for extent in work.extents(itemsize))
    spans = _merged(span for work in level for span in work.spans)
    total = sum(work for _, _, work in extents)
    cuts: list[int] = []
    done = 0.0
    for start, size, work in extents:
        while len(cuts) < n_threads - 1 and done + work >= total * (len(cuts) + 1) / n_threads:
            share_of_piece = (total * (len(cuts) + 1) / n_threads - done) / work
            cut = align(start + int(size * share_of_piece), ALIGNMENT)
            i = bisect_right(spans, (cut, END)) - 1
            if i >= 0 and spans[i][0] < cut < spans[i][1]:
                low, high = spans[i]
                cut = low if cut - low < high - cut else high
            cuts.append(max([cut, *cuts[-1:]]))
        done += work
    return cuts + [END] * (n_threads - 1 - len(cuts))


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of spans, in ascending order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
