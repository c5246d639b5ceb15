"""Random numbers that a function of the user's draws in Python, for the kernel of its formula."""

from __future__ import annotations

import numpy as np
from nengo.utils.functions import function_name
from numpy.typing import ArrayLike

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.arena import Arena
from nengo_jit.engines.cpu.program.lowering import Draw, Lowering
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.neurons import Formula


class Numbers:
    """Random numbers that a formula's own function draws, for the formula's kernel.

    Parameters
    ----------
    arena : Arena
        What gives the memory.
    n : int
        How many neurons there are.
    dtype : numpy.dtype
        Type of the model's numbers.

    Attributes
    ----------
    columns : dict of (str, Address)
        The columns of the kernel's row: where the numbers are, and where it says whether they are
        of double precision.
    """

    def __init__(self, arena: Arena, n: int, dtype: np.dtype):
        self._ones = np.ones(n, dtype)
        self._double, self._is_double = arena.buffer(n, np.float64), arena.buffer(1, np.int64)
        self._single = self._double.view(np.float32)[:n]
        self.columns = {"numbers": start(self._double), "is_double": start(self._is_double)}

    def store(self, drawn: ArrayLike) -> None:
        """Store what the function returned, with NumPy's rules for shapes and types.

        Parameters
        ----------
        drawn : array_like
            A number for each neuron, or what broadcasts to that. The formula computes with them in
            the precision in which NumPy would.

        Raises
        ------
        TypeError, ValueError
            As NumPy raises them for what is no number, or of another shape.
        """
        numbers = self._ones * drawn
        is_double = numbers.dtype != np.float32
        target = self._double if is_double else self._single
        target[...] = numbers
        self._is_double[0] = is_double


def numbers_from_python(
    operator: SimNeurons, formula: Formula, lowering: Lowering
) -> dict[str, Address]:
    """Have Python draw a formula's random numbers at the beginning of each step.

    Returns
    -------
    dict of (str, Address)
        Columns of the row of the formula's kernel.
    """
    random = formula.random
    assert random is not None
    numbers = Numbers(lowering.arena, operator.output.size, lowering.dtype)
    (rng,) = operator.state_extra.values()
    J, dt = lowering.array(operator.J), lowering.dt
    parameters = formula.parameters(operator.neurons, dt)

    def draw() -> None:
        numbers.store(random(rng, J, dt, *parameters))

    lowering.draws[operator] = Draw(draw, function_name(random))
    return numbers.columns
