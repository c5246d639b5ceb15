"""What is measured of compiled calls: each as a whole, shared out among its operators."""

from __future__ import annotations

from collections.abc import Iterable

from nengo_jit.engines.timing import Part, shared_out
from nengo_jit.ir.base import Operator

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
