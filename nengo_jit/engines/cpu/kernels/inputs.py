"""The kernel that outputs what users give for nodes."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.probe import number_at
from nengo_jit.engines.cpu.language.columns import Factor, Own
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.primitives import Address, Memory, int64s, vector
from nengo_jit.engines.cpu.program.arena import Arena
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.given import Given


class GivenRows:
    """The rows of an operator `Given`.

    Parameters
    ----------
    arena : Arena
        Keeps the memory.

    Attributes
    ----------
    buffer : (2,) numpy.ndarray of int64
        What the kernel reads: the address of the first row, or zero, and the number of steps
        before it. It is not among the arena's buffers, since it is no part of a state.
    """

    def __init__(self, arena: Arena):
        self.buffer = np.zeros(2, np.int64)
        arena.keep(self.buffer)

    def continue_from(self, other: GivenRows) -> None:
        """Take over the rows of another object."""
        self.buffer[:] = other.buffer

    def give(self, rows: np.ndarray | None, first: int) -> None:
        """Set the rows; see `Engine.give`."""
        self.buffer[:] = 0 if rows is None else start(rows), first


@kernel()
def given(
    memory: Memory,
    y: Own,
    x: Address,
    size: Factor,
    itemsize: int,
    counter: Address,
    counter_size: int,
    rows: Address,
) -> None:
    """Output the row of the step, or x if there are no rows."""
    place = int64s(rows, 2)
    source = x
    if place[0] != 0:
        source = place[0] + (number_at(counter, counter_size) - 1 - place[1]) * size * itemsize
    values, output = vector(memory, source, size), vector(memory, y, size)
    for i in range(size):
        output[i] = values[i]


@lowers(Given)
def lower_given(operator: Given, lowering: Lowering) -> Lowered:
    """Output rows, or what the node computes."""
    place = lowering.given[operator] = GivenRows(lowering.arena)
    output = lowering.array(operator.output)
    row = given.row(
        y=start(output),
        x=lowering.address(operator.computed),
        size=output.size,
        itemsize=output.itemsize,
        counter=lowering.address(operator.step),
        counter_size=operator.step.itemsize,
        rows=start(place.buffer),
    )
    return [row]
