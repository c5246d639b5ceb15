"""Assembly: what has been lowered, and what calls Python, level by level."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Row, start
from nengo_jit.engines.cpu.program.components import PythonCall, Task
from nengo_jit.engines.cpu.program.copying import copy_bytes
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.fusion import Fusion
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import region_of
from nengo_jit.planner.looks import bases_of
from nengo_jit.planner.merge import kind_of
from nengo_jit.planner.plan import Plan
from nengo_jit.planner.printing import Execution

WORTH_FOLDING = 0.05  # share of the work from which on what is constant has a program of its own
IN_EACH_STEP = ("always", "later")  # see `Kernel.when`

Saved = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Assembly:
    """What is done in a step.

    Attributes
    ----------
    deferred : frozenset of Operator
        What is done only when somebody looks.
    invariant : frozenset of Operator
        What is done in the first step only.
    saved : list of tuple of numpy.ndarray
        Arrays that are written to before the last call of Python, with copies that are made at
        the beginning of a step, to be put back if a call raises.
    kernels : list of list of str
        For each group the kernels that are used.
    nanoseconds : list of float
        For each group about how long its kernels take in a step.
    """

    deferred: frozenset[Any]
    invariant: frozenset[Any]
    saved: Saved
    kernels: list[list[str]]
    nanoseconds: list[float]

    @property
    def constant(self) -> set[Signal]:
        """Set of Signal: bases that are not computed again within a run, even after a reset."""
        return {signal.base for op in self.invariant for signal in (*op.sets, *op.incs)}

    @property
    def delayed(self) -> set[Signal]:
        """Set of Signal: bases of what is not computed in each step, or read from."""
        return {base for op in (*self.invariant, *self.deferred) for base in bases_of(op)}

    @property
    def undo(self) -> list[Row]:
        """List of Row: what puts back what a failed step has written."""
        return [_copying(copy, array) for array, copy in self.saved]


def assemble(
    plan: Plan, lowering: Lowering, callbacks: Sequence[PythonCall]
) -> tuple[Assembly, list[list[Task]]]:
    """Put what is done in a step in order.

    Parameters
    ----------
    plan : Plan
        What has been lowered.
    lowering : Lowering
        Has the rows of each operator.
    callbacks : sequence of PythonCall
        What calls Python, in the order of the calls.

    Returns
    -------
    Assembly
        What to know of it.
    list of list of Task
        What is done, by level, then by stage within the level.
    """
    # Python might look at what nothing else reads, and nothing is left out that calls it.
    deferred = frozenset() if callbacks else plan.deferred
    invariant = _worth_folding(plan.invariant - deferred, lowering)
    when = {**dict.fromkeys(invariant, "first"), **dict.fromkeys(deferred, "after")}
    levels: dict[tuple[int, int], list[Task]] = defaultdict(list)
    place = {op: (group.level, i) for i, group in enumerate(plan.groups) for op in group.members}
    last = -1  # level on which a callback may raise
    for callback in callbacks:
        level, number = place[callback.operator]
        levels[level, 0].append(Task(callback.operator, callback, group=number))
        last = max(level, last)
    kernels, nanoseconds = [], []
    for number, group in enumerate(plan.groups):
        names: dict[str, None] = {}
        total = 0.0
        for operator in group.members:
            for row in lowering.rows[operator] or ():
                if operator in when:
                    row = row.by(row.kernel.but(when=when[operator]))
                task = Task(operator, row, _span(operator, row, lowering.facts), number)
                levels[group.level, row.kernel.stage].append(task)
                names[row.kernel.name] = None
                if row.kernel.when in IN_EACH_STEP:
                    total += task.nanoseconds
        kernels.append(list(names))
        nanoseconds.append(total)
    saved = _saved(plan, last, lowering.facts)
    assembly = Assembly(deferred, invariant, saved, kernels, nanoseconds)
    saving = [Task(None, _copying(array, copy)) for array, copy in saved]
    return assembly, [saving, *(levels[key] for key in sorted(levels))]


def _worth_folding(found: frozenset[Any], lowering: Lowering) -> frozenset[Any]:
    """Operators that are left out after the first step, if that pays."""
    rows = lowering.rows
    if any(rows[operator] is None for operator in found):
        return frozenset()  # callbacks run in every step
    saved, whole = (sum(row.work for op in ops for row in rows[op] or ()) for ops in (found, rows))
    return found if saved > WORTH_FOLDING * whole else frozenset()


def _span(operator: Any, row: Row, facts: Facts) -> tuple[int, int] | None:
    """Addresses that a row may write to, as others on its level may; None if it can be divided."""
    columns = row.kernel.columns
    if columns.is_whole:
        return row.target, row.target + row.size * facts.dtype.itemsize
    if columns.target is not None:
        return None
    written = operator.incs or operator.sets or operator.updates
    regions = [(facts.address(each.base), region_of(each)) for each in written]
    lows = [base + region.start for base, region in regions]
    return min(lows), max(base + region.stop for base, region in regions)


def _saved(plan: Plan, last: int, facts: Facts) -> Saved:
    """Make copies of what is written to up to a level."""
    operators = (op for group in plan.groups if group.level <= last for op in group.members)
    bases = dict.fromkeys(
        signal.base for op in operators for signal in (*op.sets, *op.incs, *op.updates)
    )
    arrays = [facts.array(base) for base in bases if not base.sparse and base.size]
    return [(array, array.copy()) for array in arrays if array.flags.writeable]


def _copying(source: np.ndarray, target: np.ndarray) -> Row:
    return copy_bytes.row(src=start(source), dst=start(target), n_bytes=source.nbytes)


def executions(
    plan: Plan,
    assembly: Assembly,
    fusion: Fusion,
    callbacks: Collection[PythonCall],
    threads_of: Callable[[int], tuple[int, ...]],
) -> tuple[Execution, ...]:
    """What becomes of each group.

    Parameters
    ----------
    plan : Plan
        What has been assembled.
    assembly, fusion : Assembly, Fusion
        What has become of it.
    callbacks : collection of PythonCall
        What calls Python, or was written in it.
    threads_of : callable
        Tells for the number of a group which threads work on it.
    """
    in_python = {each.operator: each.traced is None for each in callbacks}
    found = []
    for number, group in enumerate(plan.groups):
        notes: Counter[str] = Counter()
        for operator in group.members:
            fused = fusion.fused_into.get(operator)
            if fused is not None:
                notes[f"fused into {kind_of(fused.into)} as its {fused.part.value}"] += 1
            if operator in fusion.duplicate_of:
                notes["copied from an equal one"] += 1
            if operator in assembly.invariant:
                notes["in the first step only"] += 1
            if operator in assembly.deferred:
                notes["when somebody looks"] += 1
            if operator in in_python:
                notes["in Python" if in_python[operator] else "compiled from Python"] += 1
        kernels = tuple(assembly.kernels[number])
        is_known = in_python.keys().isdisjoint(group.members)
        threads = threads_of(number) if kernels or not is_known else ()
        nanoseconds = assembly.nanoseconds[number] if is_known else None
        found.append(Execution(kernels, tuple(notes.items()), threads, nanoseconds))
    return tuple(found)
