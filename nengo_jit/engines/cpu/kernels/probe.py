"""Kernels that keep time, record probes and let a step count."""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.python import CALLED, call_briefly
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.machine import (
    LATE,
    SUBNORMALS_ARE_ZERO,
    arithmetic,
    atomic_add,
    atomic_load,
    helper,
    integers,
    is_single,
    kernel,
    octets,
    reals,
    set_arithmetic,
    short_integers,
    vector,
)
from nengo_jit.engines.recorder import CALLS, OFFSET, TICKS
from nengo_jit.ir.operator import TimeUpdate
from nengo_jit.ir.probe import SimProbe


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
    """Nothing: the engine adds `record` and `complete_step` to the end of the program."""
    return []


@helper()
def number_at(address, size):
    """The integer of 32 or 64 bits at an address."""
    return integers(address, 1)[0] if size == 8 else np.int64(short_integers(address, 1)[0])


@kernel("========")
def record(memory, table):
    """Write down a signal if a sample is due.

    A row has the lowest address of the signal, its size in bytes, the address of the period in
    steps, that of the places of its elements if they are not contiguous, that of the state, the
    size of an element, and the address and size of the step counter. The state is the address of
    the next sample, that of its tick, or zero if each tick has a sample, and that of the ticks.
    """
    rows = integers(table, 1 + 8 * integers(table, 1)[0])
    for r in range(1, rows.size, 8):
        state = integers(rows[r + 4], 3)
        period = reals(rows[r + 2], 1)[0]
        if state[1] == 0 or number_at(rows[r + 6], rows[r + 7]) % period < 1:
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
            if state[1] != 0:
                integers(state[1], 1)[0] = integers(state[2], 1)[0] + 1
                state[1] += 8
    return 0


@kernel("====")
def complete_step(memory, table):
    """Let a step count, and with it the samples that were recorded: all of them at once.

    A row has the address of the clock, the address and size of the step counter, and the address
    of a task, which is carried out after each step for which the clock says so.
    """
    row = integers(table, 5)
    clock = integers(row[1], 3)
    offset = number_at(row[2], row[3]) - clock[TICKS] - 1
    if clock[OFFSET] != offset:  # after a reset within the step
        clock[OFFSET] = offset
    atomic_add(row[1] + 8 * TICKS, 1)
    if atomic_load(row[1] + 8 * CALLS) == 0:
        return 0
    before = arithmetic()
    if is_single(memory):
        set_arithmetic(before & ~SUBNORMALS_ARE_ZERO)
    status = call_briefly(row[4], CALLED)
    if is_single(memory):
        set_arithmetic(before)
    return LATE if status != 0 else 0
