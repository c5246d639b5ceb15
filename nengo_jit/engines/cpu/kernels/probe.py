"""Kernels that advance time, record probes and complete a step."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import (
    LATE,
    SUBNORMALS_ARE_ZERO,
    Address,
    Memory,
    atomic_add,
    atomic_load,
    float64s,
    fp_control,
    helper,
    int16s,
    int32s,
    int64s,
    is_single,
    set_fp_control,
    uint8s,
    vector,
)
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.python.call import CALLED, call_briefly
from nengo_jit.engines.recorder import CALLS, OFFSET, TICKS
from nengo_jit.ir.operator import TimeUpdate
from nengo_jit.ir.probe import SimProbe


@kernel()
def advance_time(
    memory: Memory, counter: Address, counter_size: int, time: Address, dt: Address
) -> None:
    """``step += 1`` and ``time = step * dt``."""
    if counter_size == 8:
        step = int64s(counter, 1)
        step[0] += 1
        count = step[0]
    elif counter_size == 4:
        short_step = int32s(counter, 1)
        short_step[0] += 1
        count = short_step[0]
    else:
        shortest_step = int16s(counter, 1)
        shortest_step[0] += 1
        count = shortest_step[0]
    vector(memory, time, 1)[0] = count * float64s(dt, 1)[0]


@lowers(TimeUpdate)
def lower_time_update(operator: TimeUpdate, lowering: Lowering) -> Lowered:
    """Advance the step and the time."""
    row = advance_time.row(
        counter=lowering.address(operator.step),
        counter_size=operator.step.itemsize,
        time=lowering.address(operator.time),
        dt=lowering.arena.constant([lowering.dt], np.float64),
    )
    return [row]


@lowers(SimProbe)
def lower_sim_probe(operator: SimProbe, lowering: Lowering) -> Lowered:
    """Return no rows: the engine adds `record` and `complete_step` to the end of the program."""
    return []


@helper()
def number_at(address, size):
    """The integer of 2, 4 or 8 bytes at an address."""
    if size == 8:
        return int64s(address, 1)[0]
    return np.int64(int32s(address, 1)[0]) if size == 4 else np.int64(int16s(address, 1)[0])


@kernel()
def record(
    memory: Memory,
    lowest: Address,
    n_bytes: int,
    period: Address,
    indices: Address,
    state: Address,
    itemsize: int,
    counter: Address,
    counter_size: int,
) -> None:
    """Record a signal if a sample is due.

    ``lowest`` is the signal's lowest address. The period is in steps. The indices are the offsets
    of the elements from the lowest address, in elements; if they are contiguous, the address of
    the indices is zero. The state is three addresses: of the next sample; of its tick, or zero if
    every tick has a sample; and of the clock's ticks.
    """
    now = int64s(state, 3)
    if now[1] == 0 or number_at(counter, counter_size) % float64s(period, 1)[0] < 1:
        sample = uint8s(now[0], n_bytes)
        if indices == 0:
            source = uint8s(lowest, n_bytes)
            for i in range(n_bytes):
                sample[i] = source[i]
        else:
            places = int64s(indices, n_bytes // itemsize)
            for k in range(places.size):
                element = uint8s(lowest + places[k] * itemsize, itemsize)
                for i in range(itemsize):
                    sample[k * itemsize + i] = element[i]
        now[0] += n_bytes
        if now[1] != 0:
            int64s(now[1], 1)[0] = int64s(now[2], 1)[0] + 1
            now[1] += 8


@kernel()
def complete_step(
    memory: Memory, clock: Address, counter: Address, counter_size: int, task: Address
) -> int:
    """Complete a step, which commits all samples that were recorded in it at once.

    If the clock asks for it, the task is called after the step.
    """
    words = int64s(clock, 3)
    offset = number_at(counter, counter_size) - words[TICKS] - 1
    if words[OFFSET] != offset:  # after a reset within the step
        words[OFFSET] = offset
    atomic_add(clock + 8 * TICKS, 1)
    if atomic_load(clock + 8 * CALLS) == 0:
        return 0
    before = fp_control()
    if is_single(memory):
        set_fp_control(before & ~SUBNORMALS_ARE_ZERO)
    status = call_briefly(task, CALLED)
    if is_single(memory):
        set_fp_control(before)
    return LATE if status != 0 else 0
