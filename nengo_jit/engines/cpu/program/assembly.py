"""Assembly: order rows of kernels and callbacks by level, for a program."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Row, start
from nengo_jit.engines.cpu.program.components import PythonCall, Task
from nengo_jit.engines.cpu.program.copying import copy_bytes
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import region_of
from nengo_jit.planner.looks import bases_of
from nengo_jit.planner.plan import Plan

WORTH_FOLDING = 0.05  # share of the work above which invariant operators get a program of their own
IN_EACH_STEP = ("always", "later")  # see `Kernel.when`
BEFORE_KERNELS = -1  # the stage of what calls Python: kernels may need what it draws

Saved = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Assembly:
    """The parts of a step.

    Attributes
    ----------
    deferred : frozenset of Operator
        Operators that run only before signals are read.
    invariant : frozenset of Operator
        Operators that run in the first step only.
    saved : list of tuple of numpy.ndarray
        Arrays that are written to before the last callback, each with a buffer. They are copied at
        the beginning of a step, and restored if a callback raises.
    own : dict of (Operator, list of tuple of numpy.ndarray)
        For the operator of the last callback, the arrays that it alone writes to, with buffers. It
        saves and restores them itself if it calls Python.
    kernels : list of list of str
        Names of the kernels of each group.
    nanoseconds : list of float
        Estimated time of the kernels of each group in a step.
    """

    deferred: frozenset[Operator]
    invariant: frozenset[Operator]
    saved: Saved
    own: dict[Operator, Saved]
    kernels: list[list[str]]
    nanoseconds: list[float]

    @property
    def constant(self) -> set[Signal]:
        """Set of Signal: bases that are not computed again within a run, not even after a reset."""
        return {signal.base for op in self.invariant for signal in (*op.sets, *op.incs)}

    @property
    def delayed(self) -> set[Signal]:
        """Set of Signal: bases of operands of operators that do not run in each step."""
        return {base for op in (*self.invariant, *self.deferred) for base in bases_of(op)}

    @property
    def undo(self) -> list[Row]:
        """List of Row: copies that restore memory after a failed step."""
        return [_copying(copy, array) for array, copy in self.saved]


def assemble(
    plan: Plan, lowering: Lowering, callbacks: Sequence[PythonCall]
) -> tuple[Assembly, list[list[Task]]]:
    """Order the rows and callbacks of a step.

    Parameters
    ----------
    plan : Plan
        The plan that has been lowered.
    lowering : Lowering
        Has the rows of each operator.
    callbacks : sequence of PythonCall
        The callbacks, in the order of the calls.

    Returns
    -------
    Assembly
        The parts of the step.
    list of list of Task
        Tasks by level, and by stage within the level.
    """
    # Callbacks might read any signal, and are never deferred.
    deferred = frozenset() if callbacks else plan.deferred
    invariant = _worth_folding(plan.invariant - deferred, lowering)
    when = {**dict.fromkeys(invariant, "first"), **dict.fromkeys(deferred, "after")}
    levels: dict[tuple[int, int], list[Task]] = defaultdict(list)
    place = {op: (group.level, i) for i, group in enumerate(plan.groups) for op in group.members}
    for callback in callbacks:
        level, number = place[callback.operator]
        levels[level, BEFORE_KERNELS].append(Task(callback.operator, callback, group=number))
    kernels, nanoseconds = [], []
    for number, group in enumerate(plan.groups):
        names: dict[str, None] = {}
        total = 0.0
        for operator in group.members:
            for row in lowering.rows[operator] or ():
                if operator in when:
                    row = row.for_kernel(row.kernel.variant(when=when[operator]))
                task = Task(operator, row, _span(operator, row, lowering.facts), number)
                levels[group.level, row.kernel.stage].append(task)
                names[row.kernel.name] = None
                if row.kernel.when in IN_EACH_STEP:
                    total += task.nanoseconds
        kernels.append(list(names))
        nanoseconds.append(total)
    saved, own = _saved(plan, [each.operator for each in callbacks], lowering)
    assembly = Assembly(deferred, invariant, saved, own, kernels, nanoseconds)
    saving = [Task(None, _copying(array, copy)) for array, copy in saved]
    return assembly, [saving, *(levels[key] for key in sorted(levels))]


def _worth_folding(found: frozenset[Operator], lowering: Lowering) -> frozenset[Operator]:
    """Invariant operators, if skipping them after the first step pays; else none."""
    rows = lowering.rows
    if any(rows[operator] is None for operator in found):
        return frozenset()  # callbacks run in every step
    saved, whole = (sum(row.work for op in ops for row in rows[op] or ()) for ops in (found, rows))
    return found if saved > WORTH_FOLDING * whole else frozenset()


def _span(operator: Operator, row: Row, facts: Facts) -> tuple[int, int] | None:
    """Range of addresses that a row may write to, as others on its level may; None if divisible."""
    columns = row.kernel.columns
    if columns.is_whole:
        return row.target, row.target + row.size * facts.dtype.itemsize
    if columns.target is not None:
        return None
    written = operator.incs or operator.sets or operator.updates
    regions = [(facts.address(each.base), region_of(each)) for each in written]
    lows = [base + region.start for base, region in regions]
    return min(lows), max(base + region.stop for base, region in regions)


def _saved(
    plan: Plan, callers: Sequence[Operator], lowering: Lowering
) -> tuple[Saved, dict[Operator, Saved]]:
    """Arrays that are written to up to the last callback, and those that it alone writes to.

    Others that call Python may change all that they touch, and what users have got.
    """
    level_of = {op: group.level for group in plan.groups for op in group.members}
    last = max((level_of[op] for op in callers), default=-1)
    final = [op for op in callers if level_of[op] == last][-1:]
    bases = {
        op: [signal.base for signal in (*op.sets, *op.incs, *op.updates)]
        for op, level in level_of.items()
        if level <= last
    }
    others = {base for op in bases if op not in final for base in bases[op]}
    others.update(base for op in callers if op not in final for base in bases_of(op))
    saved: Saved = []
    own: Saved = []
    for base in dict.fromkeys(base for found in bases.values() for base in found):
        if not base.sparse and base.size:
            array = lowering.facts.array(base)
            if array.flags.writeable:
                is_own = base not in others and not lowering.facts.is_public(base)
                (own if is_own else saved).append((array, array.copy()))
    return saved, dict.fromkeys(final, own)


def _copying(source: np.ndarray, target: np.ndarray) -> Row:
    return copy_bytes.row(src=start(source), dst=start(target), n_bytes=source.nbytes)
