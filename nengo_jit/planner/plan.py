"""The Plan: everything that an engine needs to know, in its final order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nengo_jit.builder.builder import Model
from nengo_jit.builder.operator import Operator
from nengo_jit.builder.signal import Signal
from nengo_jit.planner.graph import dependency_graph, topological_order


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

    probe: Any
    signal: Signal
    period: float

    def is_due(self, n_steps: int) -> bool:
        """Whether a sample is taken at the end of step ``n_steps``, counted from one."""
        return n_steps % self.period < 1


@dataclass(frozen=True)
class Plan:
    """A model, ready for an engine to run. Printing it shows a table of the steps.

    Attributes
    ----------
    dt : float
        Length of a step (seconds).
    step, time : Signal
        The step counter and the simulated time (seconds).
    operators : tuple of Operator
        In the order in which they are carried out.
    probes : tuple of ProbePlan
        What is recorded.
    """

    dt: float
    step: Signal
    time: Signal
    operators: tuple[Operator, ...]
    probes: tuple[ProbePlan, ...]

    def __str__(self) -> str:
        width = max((len(type(op).__name__) for op in self.operators), default=0)
        lines = [
            f"Plan: {len(self.operators)} operators, {len(self.probes)} probes, dt = {self.dt} s"
        ]
        for number, op in enumerate(self.operators, start=1):
            what = op.tag if getattr(op, "tag", None) else op
            lines.append(f"{number:5d}  {type(op).__name__:{width}}  {what}")
        lines += [f"probe  {probe.probe} every {probe.period:g} steps" for probe in self.probes]
        return "\n".join(lines)


def make_plan(model: Model) -> Plan:
    """Plan how to run a model.

    Parameters
    ----------
    model : Model or nengo.builder.Model
        What to run.

    Returns
    -------
    Plan

    Raises
    ------
    BuildError
        If there is no order in which the operators could run.
    """
    order = topological_order(dependency_graph(model.operators))
    return Plan(
        dt=model.dt,
        step=model.step,
        time=model.time,
        operators=tuple(operator for operator in order if hasattr(operator, "make_step")),
        probes=tuple(
            ProbePlan(
                probe=probe,
                signal=model.sig[probe]["in"],
                period=1 if probe.sample_every is None else probe.sample_every / model.dt,
            )
            for probe in model.probes
        ),
    )
