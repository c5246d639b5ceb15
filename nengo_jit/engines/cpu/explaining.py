"""What the engine says about a plan that it runs: kernels, threads, and Python functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace

from nengo_jit.engines.cpu.program.assembly import Assembly
from nengo_jit.engines.cpu.program.fusion import Fusion
from nengo_jit.engines.cpu.python.callbacks import Callback
from nengo_jit.planner.merge import kind_of
from nengo_jit.planner.plan import Plan
from nengo_jit.planner.printing import Execution


def explained(
    plan: Plan,
    assembly: Assembly,
    fusion: Fusion,
    callbacks: Collection[Callback],
    threads_of: Callable[[int], tuple[int, ...]],
) -> Plan:
    """Return a plan with what is known about its execution.

    Parameters
    ----------
    plan : Plan
        The plan that has been assembled.
    assembly, fusion : Assembly, Fusion
        How it is executed.
    callbacks : collection of Callback
        The callbacks, in Python or compiled.
    threads_of : callable
        Maps the number of a group to the threads that work on it.
    """
    whole = [each for each in callbacks if each.draw is None]
    compiled = [(each.operator, each.remark) for each in whole if each.traced is not None]
    compiled += [
        (each.operator, f"draws random numbers by '{each.draw.name}'")
        for each in callbacks
        if each.draw is not None
    ]
    return replace(
        plan,
        deferred=assembly.deferred,
        executions=_executions(plan, assembly, fusion, callbacks, threads_of),
        in_python=tuple((each.operator, each.remark) for each in whole if each.traced is None),
        compiled=tuple(compiled),
    )


def _executions(
    plan: Plan,
    assembly: Assembly,
    fusion: Fusion,
    callbacks: Collection[Callback],
    threads_of: Callable[[int], tuple[int, ...]],
) -> tuple[Execution, ...]:
    """How each group is executed."""
    done_by = {each.operator: each.done_by for each in callbacks}
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
                notes["deferred until signals are read"] += 1
            if operator in done_by:
                notes[done_by[operator]] += 1
        kernels = tuple(assembly.kernels[number])
        is_known = done_by.keys().isdisjoint(group.members)
        threads = threads_of(number) if kernels or not is_known else ()
        nanoseconds = assembly.nanoseconds[number] if is_known else None
        found.append(Execution(kernels, tuple(notes.items()), threads, nanoseconds))
    return tuple(found)
