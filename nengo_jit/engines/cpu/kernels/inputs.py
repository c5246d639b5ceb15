"""The kernel that outputs what users give for nodes."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.columns import Factor, Own
from nengo_jit.engines.cpu.language.kernel import Row, kernel, start
from nengo_jit.engines.cpu.language.primitives import Address, Memory, int64s, vector
from nengo_jit.engines.recorder import OFFSET, TICKS, Clock


@kernel()
def given(
    memory: Memory, y: Own, size: Factor, itemsize: int, clock: Address, rows: Address
) -> None:
    """Output the row of the step, if there are rows; else leave the output as it is."""
    place, words = int64s(rows, 2), int64s(clock, 3)
    if place[0] != 0:
        number = words[TICKS] + words[OFFSET] - place[1]
        row = vector(memory, place[0] + number * size * itemsize, size)
        output = vector(memory, y, size)
        for i in range(size):
            output[i] = row[i]


class GivenRows:
    """The rows that take the place of an output."""

    def __init__(self) -> None:
        # The address of the first row, or zero, and the number of steps before it.
        self._words = np.zeros(2, np.int64)

    def give(self, rows: np.ndarray | None, first: int) -> None:
        """Set the rows; see `Engine.give`."""
        self._words[:] = 0 if rows is None else start(rows), first

    def row(self, output: np.ndarray, clock: Clock) -> Row:
        """Return the row of the kernel for an output, which is contiguous."""
        return given.row(
            y=start(output),
            size=output.size,
            itemsize=output.itemsize,
            clock=start(clock.words),
            rows=start(self._words),
        )
