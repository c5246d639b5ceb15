"""Kernels that keep time and record probes."""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.builder.operator import TimeUpdate
from nengo_jit.builder.probe import SimProbe
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.machine import integers, kernel, octets, reals, short_integers, vector


@kernel("====")
def advance_time(memory, table):
    """``step += 1`` and ``time = step * dt``."""
    rows = integers(table, 5)
    if rows[4] == 8:
        step = integers(rows[1], 1)
        step[0] += 1
        count = step[0]
    else:
        short_step = short_integers(rows[1], 1)
        short_step[0] += 1
        count = short_step[0]
    vector(memory, rows[2], 1)[0] = count * reals(rows[3], 1)[0]
    return 0


@lowers(TimeUpdate)
def lower_time_update(operator: TimeUpdate, lowering: Lowering) -> Lowered:
    """Advance."""
    dt = lowering.constant([lowering.dt], np.float64)
    size = operator.step.itemsize
    row = (lowering.address(operator.step), lowering.address(operator.time), dt, size)
    return [(advance_time, row)]


@lowers(SimProbe)
def lower_sim_probe(operator: SimProbe, lowering: Lowering) -> Lowered:
    """Nothing: the engine adds `record` to the end of the program."""
    return []


@kernel("======")
def record(memory, table):
    """Append a signal to its samples if one is due.

    A row has the lowest address of the signal, its size in bytes, the address of the period in
    steps, that of the places of its elements if they are not contiguous, that of the state, and
    the size of an element. The state is the address of the next sample, the number of steps so
    far and the number of samples.
    """
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        period = reals(rows[r + 2], 1)[0]
        state = integers(rows[r + 4], 3)
        state[1] += 1
        if state[1] % period < 1:
            n_bytes, size = rows[r + 1], rows[r + 5]
            sample = octets(state[0], n_bytes)
            if rows[r + 3] == 0:
                source = octets(rows[r], n_bytes)
                for i in range(n_bytes):
                    sample[i] = source[i]
            else:
                places = integers(rows[r + 3], n_bytes // size)
                for k in range(places.size):
                    element = octets(rows[r] + places[k] * size, size)
                    for i in range(size):
                        sample[k * size + i] = element[i]
            state[0] += n_bytes
            state[2] += 1
    return 0
