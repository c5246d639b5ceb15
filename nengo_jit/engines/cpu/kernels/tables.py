"""Kernels for signals that are looked up in a table."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
from nengo import Process
from nengo.processes import WhiteSignal
from numpy.typing import ArrayLike

from nengo_jit.engines.cpu.kernels.noise import draw_seed
from nengo_jit.engines.cpu.language.columns import Factor, Own
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.mt19937 import compiled
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    float64s,
    helper,
    int64s,
    vector,
)
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering
from nengo_jit.ir.memory import hold
from nengo_jit.ir.processes import SimProcess


class Table:
    """A table that kernels look outputs up in: each row is an output.

    Parameters
    ----------
    buffer : (2,) numpy.ndarray of int64
        What kernels read: the address of the first row, and the number of rows.
    """

    def __init__(self, buffer: np.ndarray):
        self.buffer = buffer
        self._rows = np.zeros(0)
        self._held: list[object] | None = None

    def continue_from(self, other: Table) -> None:
        """Take over the rows of another table."""
        self._rows, self._held = other._rows, other._held
        self.buffer[:] = other.buffer

    def fill(self, rows: ArrayLike) -> None:
        """Set the rows of the table."""
        self._rows = np.ascontiguousarray(rows, np.float64)
        self._held = hold(self._rows)  # the memory may be the user's
        if self._held is None:
            self._rows = self._rows.copy()
        self.buffer[:] = start(self._rows), len(self._rows)


@helper(forceinline=True)
def _row(table, i, n):
    """Row ``i`` of a table, modulo the number of rows."""
    place = int64s(table, 2)
    return float64s(place[0] + 8 * n * (i % place[1]), n)


@helper(forceinline=True)
def _time(memory, address):
    """The time in double precision, as processes get it."""
    return np.float64(vector(memory, address, 1)[0])


@compiled
def _copy(values, y):
    for i in range(y.size):
        y[i] = values[i]


@kernel()
def white_signal(
    memory: Memory, y: Own, size: Factor, time: Address, parameters: Address, rows: Address
) -> None:
    """Output the row of the step's number; the parameter is dt (seconds)."""
    dt = float64s(parameters, 1)[0]
    i = np.int64(np.rint(_time(memory, time) / dt))
    _copy(_row(rows, i, size), vector(memory, y, size))


@kernel()
def present_input(
    memory: Memory, y: Own, size: Factor, time: Address, parameters: Address, rows: Address
) -> None:
    """Output one row after another; the parameters are dt and the time for each (seconds)."""
    p = float64s(parameters, 2)
    i = np.int64((_time(memory, time) - p[0]) / p[1] + 1e-7)
    _copy(_row(rows, i, size), vector(memory, y, size))


@kernel()
def piecewise(
    memory: Memory, y: Own, size: Factor, time: Address, parameters: Address, rows: Address
) -> None:
    """Output the row of the latest breakpoint; the first row comes before all of them.

    The parameters are how far to look ahead, then the breakpoints (seconds).
    """
    n_rows = int64s(rows, 2)[1]
    p = float64s(parameters, n_rows)
    t = _time(memory, time) + p[0]
    first, last = 0, n_rows - 1  # bounds of a binary search, inclusive
    while first < last:
        middle = (first + last + 1) // 2
        if p[middle] < t:
            first = middle
        else:
            last = middle - 1
    _copy(_row(rows, first, size), vector(memory, y, size))


def _table(operator: SimProcess, lowering: Lowering) -> Table:
    table = lowering.tables[operator] = Table(lowering.arena.buffer(2))
    return table


class TableColumns(TypedDict):
    """The columns that the kernels in this file share."""

    y: Address
    size: int
    time: Address
    parameters: Address
    rows: Address


def _table_columns(
    operator: SimProcess,
    y: np.ndarray,
    lowering: Lowering,
    table: Table,
    parameters: Sequence[float],
) -> TableColumns:
    """Return the columns of a row of a kernel that looks up a table."""
    return {
        "y": start(y),
        "size": y.size,
        "time": start(lowering.array(operator.t)),
        "parameters": lowering.arena.constant(parameters, np.float64),
        "rows": start(table.buffer),
    }


def _filling(
    process: Process, table: Table, rows: ArrayLike
) -> Callable[[np.random.RandomState], None]:
    """Return what fills the table at a reset, for a process that draws no numbers."""

    def fill(rng: np.random.RandomState) -> None:
        draw_seed(process, rng)
        table.fill(rows)

    return fill


def lower_white_signal(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    """Lower a random signal, which the process computes at each reset."""
    # make_step computes the signal and keeps it in a closure variable of the step.
    if "signal" not in WhiteSignal.make_step.__code__.co_cellvars:
        return None
    process, table = operator.process, _table(operator, lowering)

    def make_signal(rng: np.random.RandomState) -> None:
        step = process.make_step((0,), y.shape, lowering.dt, process.get_rng(rng), {})
        variables = dict(zip(step.__code__.co_freevars, step.__closure__))
        table.fill(variables["signal"].cell_contents)

    lowering.at_reset[operator] = make_signal
    return [white_signal.row(**_table_columns(operator, y, lowering, table, [lowering.dt]))]


def lower_present_input(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered:
    """Lower inputs that are presented one after another."""
    process = operator.process
    inputs = process.inputs.reshape(len(process.inputs), -1)
    table = _table(operator, lowering)
    lowering.at_reset[operator] = _filling(process, table, inputs)
    parameters = [lowering.dt, float(process.presentation_time)]
    return [present_input.row(**_table_columns(operator, y, lowering, table, parameters))]


def lower_piecewise(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    """Lower a piecewise constant signal; others run in Python."""
    process = operator.process
    if process.interpolation != "zero" or any(map(callable, process.data.values())):
        return None
    lowering.assumptions.rely_on(
        operator, lambda: [(t, np.array(v).tolist()) for t, v in process.data.items()]
    )
    times, values = zip(*sorted(process.data.items()))
    table = _table(operator, lowering)
    rows = [np.zeros(y.shape), *values]
    lowering.at_reset[operator] = _filling(process, table, rows)
    parameters = [0.5 * lowering.dt, *times]
    return [piecewise.row(**_table_columns(operator, y, lowering, table, parameters))]
