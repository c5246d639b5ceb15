"""What the host draws ahead of a chunk of steps: nengo's own random numbers, in nengo's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nengo_jit.engines.jax.bucket import Drawn
from nengo_jit.ir.base import Operator
from nengo_jit.planner.plan import Plan

Draw = Callable[..., np.ndarray]


class Draws:
    """Draws numbers for all operators, step by step.

    Parameters
    ----------
    plan : Plan
        Tells the order of operators, and the time.
    draws : dict of (Operator, callable)
        From `Operator.draws`, in the order of the plan. They may be replaced at any time.
    """

    def __init__(self, plan: Plan, draws: dict[Operator, Draw]):
        self._plan, self._draws = plan, draws

    def take(self, places: Sequence[Drawn], first: int, n: int, size: int) -> list[np.ndarray]:
        """Draw for some steps.

        Parameters
        ----------
        places : sequence of Drawn
            What is needed.
        first, n : int
            Number of the first step, counted from one, and the number of steps.
        size : int
            Length of the arrays; elements after ``n`` are zero.

        Returns
        -------
        list of (size, *shape) numpy.ndarray
            For each place, its numbers in all steps.
        """
        dtype = self._plan.time.dtype
        arrays, targets = [], {}
        for place in places:
            array = np.zeros((size, *place.shape), dtype)
            arrays.append(array)
            flat, start = array.reshape(size, -1), 0
            for operator in place.members:
                n_numbers = operator.outputs()[0].size
                targets[operator] = flat[:, start : start + n_numbers]
                start += n_numbers
        needed = [
            (self._draws[each], each, targets[each]) for each in self._draws if each in targets
        ]
        for step in range(n if needed else 0):
            t = dtype.type((first + step) * self._plan.dt).item()
            for draw, operator, target in needed:
                target[step] = np.broadcast_to(
                    draw(t, np.empty(operator.outputs()[0].shape)), operator.outputs()[0].shape
                ).ravel()
        return arrays
