"""The plan: all that an engine needs to know to run a model."""

from __future__ import annotations

from dataclasses import dataclass

from nengo import Probe

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph
from nengo_jit.planner.html import plan_as_html
from nengo_jit.planner.layout import Runs
from nengo_jit.planner.merge import Group
from nengo_jit.planner.printing import (
    Execution,
    by_execution,
    by_group,
    counted,
    duration,
    in_order,
)

NAMED = 3  # signals that a printed plan lists by name


@dataclass(frozen=True)
class ProbePlan:
    """The signal that is recorded for a probe, and when.

    Attributes
    ----------
    probe : nengo.Probe
        The probe.
    signal : Signal
        The signal that is recorded, at the end of a step.
    period : float
        Number of steps between samples, which need not be an integer. Below one, it acts as one.
    """

    probe: Probe
    signal: Signal
    period: float

    def is_due(self, n_steps: int) -> bool:
        """Whether a sample is taken at the end of step ``n_steps``, counted from one."""
        return n_steps % self.period < 1

    @property
    def every(self) -> str:
        """str: the period, as in "every 2.5 steps"."""
        return "step" if self.period == 1 else f"{self.period:g} steps"


@dataclass(frozen=True)
class Plan:
    """A model in the form that an engine runs. Printed, it is a table of the groups.

    Fields that no pass of the backend has filled in are empty, see `nengo_jit.planner.passes`.

    Attributes
    ----------
    dt : float
        Length of a step (seconds).
    step, time : Signal
        The step counter and the simulated time (seconds).
    operators : tuple of Operator
        All operators, in nengo's order.
    graph : dict of (Operator, list of Operator)
        From each operator to the operators that depend on it directly. The keys are in the order
        in which operators were added to the model.
    probes : tuple of ProbePlan
        The signals that are recorded.
    invariant : frozenset of Operator
        Operators that only have to run in the first step.
    deferred : frozenset of Operator
        Operators that only have to run when signals are read after a run.
    callers : frozenset of Operator
        Operators that call Python, as given to `group`: their levels are in nengo's order. Within
        a level, an engine has to call them in the order of ``operators``.
    groups : tuple of Group
        The same operators, merged, in another valid order.
    runs : tuple of tuple of Signal
        Writable signals that should be contiguous in memory.
    executions : tuple of Execution
        For engines that run groups: how each group runs.
    in_python : tuple of (Operator, str)
        Operators that the engine runs by calling Python, with the reason as the predicate of a
        sentence about "it". (Empty for the reference engine, which calls Python for all.)
    compiled : tuple of (Operator, str)
        Operators with Python code that runs compiled, with the reason why Python is still called
        in some cases, if it is.
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
        lines = [self._summary()]
        if self.executions:
            lines += by_execution(self.groups, self.executions)
        else:
            lines += by_group(self.groups) if self.groups else in_order(self.operators)
        return "\n".join([*lines, *self._remarks()])

    def _repr_html_(self) -> str:
        return plan_as_html(
            self._summary(), self.operators, self.groups, self.executions, self._remarks()
        )

    def _summary(self) -> str:
        groups = counted(len(self.groups), "group")
        how = f"in {groups}" if self.groups else "one after the other"
        operators, probes = (
            counted(len(self.operators), "operator"),
            counted(len(self.probes), "probe"),
        )
        line = f"Plan: {operators} {how}, {probes}, dt = {self.dt:g} s"
        if self.executions:
            nanoseconds = sum(each.nanoseconds or 0.0 for each in self.executions)
            line += f", kernels take about {duration(nanoseconds)} a step"
        return line

    def _remarks(self) -> list[str]:
        """Lines about probes, deferred operators and Python functions."""
        lines = [f"probe {each.probe} every {each.every}" for each in self.probes]
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
                f"deferred until signals are read: {len(self.deferred)} operators, "
                "since nothing else reads " + ", ".join([*names[:NAMED], *more])
            )
        return [*lines, *self.functions()]

    def functions(self) -> list[str]:
        """Return a line for each Python function: whether it is compiled, and if not, why."""
        return [
            *(f"in Python: {operator}: it {reason}" for operator, reason in self.in_python),
            *(
                f"compiled: {operator}" + (f", except where it {reason}" if reason else "")
                for operator, reason in self.compiled
            ),
        ]
