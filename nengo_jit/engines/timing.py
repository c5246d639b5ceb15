"""What an engine measures while it runs timed steps."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nengo_jit.ir.base import Operator

IN_PYTHON = "in Python"
BLOCK = 0.004  # seconds of steps that are measured together


def n_interruptions() -> int:
    """How often another program has taken the processor from this thread so far."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


@dataclass(frozen=True)
class Part:
    """A part of a step that is timed as a whole, such as the call of a kernel for some operators.

    Attributes
    ----------
    name : str
        The kernel or, if Python is called, how the function is carried out.
    seconds : float
        Time in all timed steps together.
    shares : mapping of (Operator or None, float)
        The share of each operator in the time, by estimated cost; their sum is 1. None stands for
        the engine itself.
    is_function : bool
        Whether it is a function written in Python.
    """

    name: str
    seconds: float
    shares: Mapping[Operator | None, float]
    is_function: bool = False


@dataclass(frozen=True)
class Timing:
    """Result of timed steps.

    Attributes
    ----------
    n_steps : int
        Number of timed steps.
    seconds : float
        Duration of all timed steps, without what the measuring itself takes.
    parts : list of Part
        The parts of a step.
    """

    n_steps: int
    seconds: float
    parts: list[Part]


def shared_out(costs: Iterable[tuple[Operator | None, float]]) -> dict[Operator | None, float]:
    """Shares that are proportional to costs; equal ones, if all costs are zero.

    Parameters
    ----------
    costs : iterable of (Operator or None, float)
        Estimated costs; those of an operator are added up.
    """
    total: dict[Operator | None, float] = {}
    for operator, cost in costs:
        total[operator] = total.get(operator, 0.0) + cost
    whole = sum(total.values())
    if whole <= 0:
        return dict.fromkeys(total, 1 / len(total))
    return {operator: cost / whole for operator, cost in total.items()}
