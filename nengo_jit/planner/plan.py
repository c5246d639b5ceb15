"""The Plan: everything that an engine needs to know, in its final order."""

from __future__ import annotations

from dataclasses import dataclass

from nengo import Probe

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph
from nengo_jit.planner.layout import Runs
from nengo_jit.planner.merge import Group
from nengo_jit.planner.printing import Execution, by_execution, by_group, duration, in_order

NAMED = 3  # signals that are listed by name when a plan is printed


@dataclass(frozen=True)
class ProbePlan:
    """What is recorded for a probe, and when.

    Attributes
    ----------
    probe : nengo.Probe
        Whom the samples are for.
    signal : Signal
        What is recorded, at the end of a step.
    period : float
        Steps from one sample to the next, at least one in effect; need not be a whole number.
    """

    probe: Probe
    signal: Signal
    period: float

    def is_due(self, n_steps: int) -> bool:
        """Whether a sample is taken at the end of step ``n_steps``, counted from one."""
        return n_steps % self.period < 1


@dataclass(frozen=True)
class Plan:
    """A model, ready for an engine to run. Printing it shows a table of the groups.

    What the passes of a backend have not filled in is empty, see `nengo_jit.planner.passes`.

    Attributes
    ----------
    dt : float
        Length of a step (seconds).
    step, time : Signal
        The step counter and the simulated time (seconds).
    operators : tuple of Operator
        One by one, in nengo's order.
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it directly, in the order in which they were
        added to the model.
    probes : tuple of ProbePlan
        What is recorded.
    invariant : frozenset of Operator
        Those that need to be carried out in the first step only.
    deferred : frozenset of Operator
        Those that need to be carried out only when somebody looks at signals after a run.
    callers : frozenset of Operator
        Those that the groups are made for to call Python: their levels are in nengo's order.
        Within a level an engine has to call them in the order of ``operators``.
    groups : tuple of Group
        The same operators, merged, in an order in which they can run as well.
    runs : tuple of tuple of Signal
        Writable signals that should follow each other in memory.
    executions : tuple of Execution
        What an engine that runs groups makes of each.
    in_python : tuple of (Operator, str)
        Those that the engine runs by calling Python, and why, in words that go on from "it".
        (The reference engine runs all so.)
    compiled : tuple of (Operator, str)
        Those that are written in Python but run without calling it, and why Python is called all
        the same now and then, if it is.
    """

    dt: float
    step: Signal
    time: Signal
    operators: tuple[Operator, ...]
    graph: Graph
    probes: tuple[ProbePlan, ...]
    invariant: frozenset[Operator] = frozenset()
    deferred: frozenset[Operator] = frozenset()
    callers: frozenset[Operator] = frozenset()
    groups: tuple[Group, ...] = ()
    runs: Runs = ()
    executions: tuple[Execution, ...] = ()
    in_python: tuple[tuple[Operator, str], ...] = ()
    compiled: tuple[tuple[Operator, str], ...] = ()

    def __str__(self) -> str:
        how = f"in {len(self.groups)} groups" if self.groups else "one after the other"
        probes = f"{len(self.probes)} probe{'s' if len(self.probes) != 1 else ''}"
        lines = [f"Plan: {len(self.operators)} operators {how}, {probes}, dt = {self.dt:g} s"]
        if self.executions:
            nanoseconds = sum(each.nanoseconds or 0.0 for each in self.executions)
            lines[0] += f", kernels take about {duration(nanoseconds)} a step"
            lines += by_execution(self.groups, self.executions)
        else:
            lines += by_group(self.groups) if self.groups else in_order(self.operators)
        lines += [f"probe {probe.probe} every {probe.period:g} steps" for probe in self.probes]
        if self.deferred:
            written = [
                signal.base.name
                for operator in self.operators
                if operator in self.deferred
                for signal in (*operator.sets, *operator.incs)
            ]
            names = list(dict.fromkeys(written))
            more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
            lines.append(
                f"only when somebody looks: {len(self.deferred)} operators, "
                "since nothing else reads " + ", ".join([*names[:NAMED], *more])
            )
        return "\n".join([*lines, *self.functions()])

    def functions(self) -> list[str]:
        """What becomes of each Python function, a line for each."""
        return [
            *(f"in Python: {operator}: it {reason}" for operator, reason in self.in_python),
            *(
                f"compiled: {operator}" + (f", except where it {reason}" if reason else "")
                for operator, reason in self.compiled
            ),
        ]
