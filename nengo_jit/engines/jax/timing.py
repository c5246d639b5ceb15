"""What is measured of compiled calls: each as a whole, shared out among its operators."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from nengo_jit.engines.jax.calls import Segment
from nengo_jit.engines.timing import Part, shared_out
from nengo_jit.ir.base import Operator, Step

NAME = "XLA"


def part_of(operators: Iterable[Operator], seconds: float) -> Part:
    """Make the part of a compiled call; its operators cost what they read and write.

    Parameters
    ----------
    operators : iterable of Operator
        All that the call computes.
    seconds : float
        Time in all timed steps together.
    """
    costs = [(each, float(sum(signal.size for signal in each.all_signals))) for each in operators]
    return Part(NAME, seconds, shared_out(costs))


def part_in(step: Step, part: Part) -> Part:
    """Share out a part of a step if it is a compiled call."""
    first = step.args[0] if isinstance(step, partial) and step.args else None
    return part_of(first.operators, part.seconds) if isinstance(first, Segment) else part
