"""Elements of arrays that a condition selects, which the function computes.

How many these are is known only when the function runs. Instructions compute as many.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import Positions
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import Array, Unknown, Unsupported


@dataclass(frozen=True)
class Chosen:
    """The elements of an array where a condition holds that the function computes.

    The condition may be one of whole rows, or of other parts of the array: it has some of the
    array's axes, from the first of them on.

    Attributes
    ----------
    shape : tuple of int
        The array's shape.
    axis, n_axes : int
        The first of the condition's axes, and how many these are.
    condition : numpy.ndarray of int
        The registers of the condition, in the array's shape.
    key : bytes
        Its contents.
    """

    shape: tuple[int, ...]
    axis: int
    n_axes: int
    condition: np.ndarray = field(compare=False, repr=False)
    key: bytes = field(repr=False)

    def spread(self, registers: np.ndarray) -> np.ndarray:
        """Repeat registers, as NumPy does for the elements that are chosen, in the array's shape.

        Raises
        ------
        Unsupported
            If they have another element for each one where the condition holds.
        """
        n_dimensions = len(self.shape) - self.n_axes + 1
        shape = (1,) * (n_dimensions - registers.ndim) + registers.shape
        if len(shape) > n_dimensions or shape[self.axis] != 1:
            raise Unsupported("calculates with elements that a condition selects, and an array")
        rest = shape[self.axis + 1 :]
        registers = registers.reshape(*shape[: self.axis], *(1,) * self.n_axes, *rest)
        try:
            return np.broadcast_to(registers, self.shape)
        except ValueError:
            raise Unsupported("calculates with arrays of shapes that cannot be broadcast") from None


@dataclass(eq=False)
class Selection(Unknown):
    """A copy of elements that are chosen by a condition.

    Sums, differences and products are computed for all elements, if possible: then they are part of
    a group, while the chosen elements have to be copied.

    Attributes
    ----------
    chosen : Chosen
        Which elements they are.
    whole : Array or None
        An array that has the elements where the condition holds, if there is one.
    copied : Array or None
        A vector as long as if the condition held everywhere. Its first elements are the copy.
    """

    chosen: Chosen
    whole: Array | None = None
    copied: Array | None = None
    text: ClassVar[str] = "elements that a condition selects"

    def taken(self, tracer: Tracer) -> Array:
        """The copy, see `copied`."""
        if self.copied is None:
            assert self.whole is not None
            positions = positions_of(tracer, self.chosen.condition)
            self.copied = self.whole.of(take(tracer, self.whole.registers, positions))
        return self.copied


@dataclass(eq=False)
class Indices(Unknown):
    """Indices of elements where a condition holds, along one axis.

    Attributes
    ----------
    condition : Array
        The condition.
    axis : int
        Which axis.
    """

    condition: Array
    axis: int
    text: ClassVar[str] = "indices that it computes"


def positions_of(tracer: Tracer, condition: np.ndarray) -> Positions:
    """The positions where a condition holds, in C order."""
    key = condition.shape, condition.tobytes()
    if key not in tracer.positions:
        flags = tracer.contiguous(condition)
        first = tracer.compute(Opcode.POSITIONS, flags, n=condition.size + 1)
        tracer.positions[key] = Positions(first, condition.size)
    return tracer.positions[key]


def take(tracer: Tracer, registers: np.ndarray, positions: Positions) -> np.ndarray:
    """Copy the elements at some positions; returns registers for as many as there may be."""
    values = tracer.arranged(registers)
    with tracer.at(positions):
        first = tracer.compute(Opcode.TAKE, values, positions, n=positions.size)
    return np.arange(first, first + positions.size)


def put(
    tracer: Tracer, registers: np.ndarray, values: np.ndarray, positions: Positions
) -> np.ndarray:
    """Replace the elements at some positions by results of `take`, or of `Tracer.at`."""
    operands = tracer.arranged(registers), tracer.arranged(values), positions
    first = tracer.compute(Opcode.PUT, *operands, n=registers.size)
    return np.arange(first, first + registers.size).reshape(registers.shape)
