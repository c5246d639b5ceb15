"""Divide a program among threads.

Each thread gets a program of its own. A phase with components is divided by components. Any other
level is divided by the addresses that are written to: these are cut into one range for each thread,
and each thread does the work that is written to its range, in the order of a single thread. So no
two threads ever write to the same memory, and results are the same to the last bit for any number
of threads. There is a barrier between two phases if a thread may read what another one wrote.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Kernel, Row
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.components import Code, Links, Phase, Task, phases
from nengo_jit.engines.cpu.program.team import IS_LAST, LEADS, wait_for_all
from nengo_jit.ir.memory import ALIGNMENT, align

END = 1 << 62  # beyond any address
WORTHWHILE = 8000.0  # nanoseconds of work above which a phase is divided
PIECE = 1 << 18  # bytes of a matrix that stay in the cache while several vectors are multiplied
BLOCK = 20_000.0  # nanoseconds of work whose memory fits in the second level of caches


@dataclass(frozen=True)
class Batch:
    """An entry of a program: a kernel with its rows, or a callback.

    Attributes
    ----------
    code : Kernel or PythonCall
        The kernel, or the callback.
    rows : list of Row
        Rows of the kernel.
    spans : list of tuple of int
        For rows without a `Row.target`, and rows that cannot be split: the first address that each
        may write to, and the address after the last.
    groups : set of int
        Numbers of the groups that it belongs to.
    """

    code: Code
    rows: list[Row]
    spans: list[tuple[int, int]] = field(default_factory=list)
    groups: set[int] = field(default_factory=set)

    @property
    def can_be_shared(self) -> bool:
        """bool: whether the addresses that it writes to are known."""
        return isinstance(self.code, Kernel) and (
            self._has_targets or len(self.spans) == len(self.rows)
        )

    @property
    def _has_targets(self) -> bool:
        return isinstance(self.code, Kernel) and self.code.columns.target is not None

    def fused(self, itemsize: int) -> Batch:
        """The batch with consecutive rows joined where possible, see `Kernel.fuse`."""
        if not isinstance(self.code, Kernel):
            return self
        return replace(self, rows=_by_matrix(self.code.fuse(self.rows, itemsize), itemsize))

    def between(self, low: int, high: int, itemsize: int) -> Batch:
        """The part of the batch that writes to addresses from ``low`` to below ``high``."""
        if self._has_targets:
            clipped = (_clip(row, low, high, itemsize) for row in self.rows)
            return replace(self, rows=[row for row in clipped if row is not None])
        pairs = [pair for pair in zip(self.rows, self.spans) if low <= pair[1][0] < high]
        rows, spans = [row for row, _ in pairs], [span for _, span in pairs]
        return replace(self, rows=rows, spans=spans)

    def extents(self, itemsize: int) -> list[tuple[int, int, float]]:
        """Address that each row writes to, number of bytes, and estimated time (nanoseconds)."""
        if not self._has_targets:
            return [(low, high - low, row.work) for row, (low, high) in zip(self.rows, self.spans)]
        return [(row.target, row.size * row.step(itemsize), row.work) for row in self.rows]

    def matrices(self, itemsize: int) -> list[tuple[int, int, int]]:
        """Addresses of the first and after the last of written rows of a matrix, and their step."""
        if not isinstance(self.code, Kernel) or not self.code.columns.writes_rows:
            return []
        steps = ((row, row.step(itemsize)) for row in self.rows)
        return [(row.target, row.target + row.size * step, step) for row, step in steps]


def share(
    phases: Iterable[Phase], n_threads: int, team: Address, itemsize: int
) -> list[list[Batch]]:
    """Make a program for each of several threads.

    Parameters
    ----------
    phases : iterable of Phase
        Phases in the order in which they run.
    n_threads : int
        Number of programs. The first one has all work that is not divided.
    team : Address
        Address of the team's memory.
    itemsize : int
        Bytes of a number.

    Returns
    -------
    list of list of Batch
        The programs; only the first one, if nothing is worth dividing.
    """
    programs: list[list[Batch]] = [[] for _ in range(n_threads)]
    pending = False  # whether any thread has work since the last barrier

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
    """Batches of each thread in a phase; of one thread, if dividing it does not pay."""
    work = sum(task.nanoseconds for level in phase.levels for task in level)
    if work <= WORTHWHILE:
        return [sequential(phase.levels, itemsize)]
    if phase.component_of:
        parts = _divide(phase, n_threads)
        return [[batch for block in part for batch in block.batches(itemsize)] for part in parts]
    (level,) = phase.levels
    whole = batches(level, itemsize)
    if n_threads == 1 or not all(each.can_be_shared for each in whole):
        return [whole]
    return _split(whole, n_threads, itemsize)


def _divide(phase: Phase, n_threads: int) -> list[list[_Block]]:
    """Blocks of components for each thread, with about the same work for each thread."""
    costs = [0.0] * (1 + max(phase.component_of.values()))
    for level in phase.levels:
        for task in level:
            costs[phase.component_of[task.operator]] += task.nanoseconds
    middles = np.cumsum(costs) - 0.5 * np.array(costs)
    thread_of = np.minimum(middles / sum(costs) * n_threads, n_threads - 1).astype(int).tolist()
    ranks = [_ranks(level) for level in phase.levels]
    parts: list[list[_Block]] = [[] for _ in range(n_threads)]
    block_of: list[_Block] = []  # by component
    for thread, cost in zip(thread_of, costs):
        part = parts[thread]
        if not part or part[-1].nanoseconds + cost > BLOCK:
            part.append(_Block(phase.links, ranks))
        part[-1].nanoseconds += cost
        part[-1].n_components += 1
        block_of.append(part[-1])
    for number, level in enumerate(phase.levels):
        for task in level:
            block_of[phase.component_of[task.operator]].levels[number].append(task)
    return parts


class _Block:
    """Components of a phase that a thread runs together, in the order of a single thread."""

    def __init__(self, links: Links, ranks: Sequence[Mapping[Code, int]]):
        self.links, self.ranks = links, ranks
        self.levels: list[list[Task]] = [[] for _ in ranks]
        self.nanoseconds, self.n_components = 0.0, 0

    def batches(self, itemsize: int) -> list[Batch]:
        """The batches, level by level; those of a large component in blocks of their own."""
        if self.n_components == 1 and self.nanoseconds > 2 * BLOCK:
            parts = (_parts(each, 1, itemsize) for each in phases(self.levels, self.links))
            return [batch for (part,) in parts for batch in part]
        return [
            batch
            for rank, level in zip(self.ranks, self.levels)
            for batch in sorted(batches(level, itemsize), key=lambda each: rank[each.code])
        ]


def sequential(levels: Iterable[Iterable[Task]], itemsize: int) -> list[Batch]:
    """Program of a single thread."""
    return [batch for level in levels for batch in batches(level, itemsize)]


def batches(level: Iterable[Task], itemsize: int) -> list[Batch]:
    """Group the tasks of a level by their code."""
    found: dict[Code, Batch] = {}
    for task in level:
        if task.code not in found:
            found[task.code] = Batch(task.code, [])
        batch = found[task.code]
        if isinstance(task.entry, Row):
            batch.rows.append(task.entry)
        if task.span is not None:
            batch.spans.append(task.span)
        batch.groups.add(task.group)
    return [batch.fused(itemsize) for batch in found.values()]


def _ranks(level: Iterable[Task]) -> dict[Code, int]:
    """Order in which a single thread runs the codes of a level."""
    return {code: rank for rank, code in enumerate(dict.fromkeys(task.code for task in level))}


def _split(level: Sequence[Batch], n_threads: int, itemsize: int) -> list[list[Batch]]:
    cuts = [0, *_cuts(level, n_threads, itemsize), END]
    parts = []
    for low, high in pairwise(cuts):
        part = [batch.between(low, high, itemsize) for batch in level]
        parts.append([batch for batch in part if batch.rows])
    return parts


def _by_matrix(rows: list[Row], itemsize: int) -> list[Row]:
    """Compute products with the same matrix piece by piece, so that each is read once."""
    columns = rows[0].kernel.columns
    if columns.matrix is None or columns.distance is None or not columns.is_divisible:
        return rows
    alike: dict[tuple[int, ...], list[Row]] = defaultdict(list)
    for row in rows:
        distance = row.values[columns.distance]
        alike[row.values[columns.matrix], distance, row.size].append(row)
    if len(alike) == len(rows) or len({row.target for row in rows}) < len(rows):
        return rows  # sums must get their terms in the same order
    ordered = []
    for (_, distance, size), group in alike.items():
        step = max(1, PIECE // max(distance, 1)) if len(group) > 1 else max(size, 1)
        for first in range(0, size, step):
            n = min(step, size - first)
            ordered += [row.part(first, n, itemsize) for row in group]
    return ordered


def _clip(row: Row, low: int, high: int, itemsize: int) -> Row | None:
    """The part of a row that writes to addresses from ``low`` to below ``high``; None if none."""
    start = row.target
    if not row.kernel.columns.is_divisible:
        return row if low <= start < high else None
    step = row.step(itemsize)
    first, last = (min(max(0, -((start - bound) // step)), row.size) for bound in (low, high))
    return row.part(first, last - first, itemsize) if first < last else None


def _cuts(level: Sequence[Batch], n_threads: int, itemsize: int) -> list[int]:
    """Addresses that divide a level into parts of equal work, and cut no span and no row."""
    extents = sorted(extent for batch in level for extent in batch.extents(itemsize))
    spans = _merged(span for batch in level for span in batch.spans)
    matrices = [extent for batch in level for extent in batch.matrices(itemsize)]
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
            for first, end, step in matrices:
                if first < cut < end:
                    cut += (first - cut) % step
            cuts.append(max([cut, *cuts[-1:]]))
        done += work
    return cuts + [END] * (n_threads - 1 - len(cuts))


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Union of spans, in ascending order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged
