"""Lower a plan whose operators may call Python, which exposes memory to that code."""

from __future__ import annotations

from nengo.utils.progress import Progress

from nengo_jit.engines.cpu.program.exposure import Exposure
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.ir.memory import SignalDict
from nengo_jit.planner import passes
from nengo_jit.planner.plan import Plan
from nengo_jit.stages import advance, begin


def lower_plan(
    plan: Plan,
    signals: SignalDict,
    exposure: Exposure,
    threads: int,
    progress: Progress | None = None,
) -> tuple[Plan, Plan, Lowering]:
    """Lower all operators, given what is exposed by now.

    Which operators call Python is only known for certain when they are lowered, and what they
    expose decides how others are lowered. So this is repeated until nothing more is exposed.

    Parameters
    ----------
    plan : Plan
        The plan, with the operators that are known to call Python.
    signals : SignalDict
        The engine's memory.
    exposure : Exposure
        What is exposed. What operators that call Python expose is added.
    threads : int
        Maximum number of threads.
    progress : nengo.utils.progress.Progress, optional
        Is updated for each operator.

    Returns
    -------
    Plan
        The given plan, with all operators that call Python, to lower it again when more is exposed.
    Plan
        The plan that was lowered: groups are smaller where memory is exposed.
    Lowering
        The rows of its operators.
    """
    known = plan.callers
    exposure.add_callers(op for op in plan.operators if op in known)
    while True:
        callers = exposure.private.keys()
        if not callers <= plan.callers:  # `calls_python` did not find all
            plan = passes.lay_out(passes.group(plan, callers))
        shown = passes.expose(plan, exposure.private, exposure.public) if exposure else plan
        begin(progress, "Lowering", 2 * len(shown.operators))
        lowering = Lowering(shown, signals, exposure, threads)
        advance(progress, len(shown.operators))
        lowering.lower_all(progress)
        in_python = [op for op in shown.operators if lowering.calls_python(op)]
        if not exposure.add_callers(in_python) and shown.callers.issuperset(in_python):
            return plan, shown, lowering
