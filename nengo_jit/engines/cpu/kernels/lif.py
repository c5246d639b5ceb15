"""A kernel written by hand for LIF neurons, the most common type.

It computes what the formula in `nengo_jit.neurons.lif` does, but its elementary functions only
for the few neurons whose values they change: those whose refractory period ends within the step,
and those that spike.
"""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.spikes import AT_ONCE, list_flags
from nengo_jit.engines.cpu.machine import (
    helper,
    integers,
    kernel,
    octets,
    one_by_one,
    scratch,
    use_widest_vectors,
    vector,
)
from nengo_jit.scalar import expm1, log1p, where

VECTOR = 64  # bytes of numbers that an elementary function is computed of at a time
TOGETHER = 1024  # neurons of which some are listed before something is done with them


@helper(inline="always")
def fill_vector(array, n):
    """Repeat the first of ``n`` numbers after the last; returns how many there are then.

    They fill whole vectors, so that no instructions for single numbers are needed.
    """
    width = VECTOR // array.itemsize
    n_filled = (n + width - 1) // width * width
    rest, first = array[n:n_filled], array[0]
    for i in range(rest.size):
        rest[i] = first
    return n_filled


@kernel("awaab=n", cost=1.5)
def lif(memory, table):
    """Advance LIF neurons.

    A row has the addresses of currents, output, voltages, refractory times, flags for those that
    spike, and parameters, and the number of neurons.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    partial_flags = scratch(1088)
    is_partial = octets(partial_flags, TOGETHER)
    listed = integers(scratch(8256), TOGETHER + AT_ONCE)
    times = vector(memory, scratch(8192), TOGETHER)
    voltages = vector(memory, scratch(8192), TOGETHER)
    currents = vector(memory, scratch(8192), TOGETHER)
    for r in range(1, rows.size, 7):
        p = vector(memory, rows[r + 5], 5)
        dt, tau_rc, tau_ref, min_voltage = p[0], p[1], p[2], p[3]
        zero, one, height = dt - dt, dt / dt, p[4] / dt
        factor = expm1(-dt / tau_rc)
        for first in range(0, rows[r + 6], TOGETHER):
            n, begin = min(TOGETHER, rows[r + 6] - first), first * p.itemsize
            current = vector(memory, rows[r] + begin, n)
            output = vector(memory, rows[r + 1] + begin, n)
            voltage = vector(memory, rows[r + 2] + begin, n)
            refractory_time = vector(memory, rows[r + 3] + begin, n)
            spikes = octets(rows[r + 4] + first, n)
            for i in range(n):
                refractory = refractory_time[i] - dt
                time = dt - refractory  # for charging, if between 0 and dt
                v = voltage[i] - (current[i] - voltage[i]) * where(time >= dt, factor, zero)
                v = where(v < min_voltage, min_voltage, v)
                v = where((time > zero) & (time < dt), voltage[i], v)
                voltage[i] = v
                refractory_time[i] = refractory
                spikes[i] = v > one
            for i in range(n):
                time = dt - refractory_time[i]
                is_partial[i] = (time > zero) & (time < dt)
            for i in range(n):
                output[i] = zero
            count = list_flags(partial_flags, n, listed)
            for k in range(count):
                one_by_one()
                i = np.uint64(listed[k])
                times[k] = dt - refractory_time[i]
                voltages[k], currents[k] = voltage[i], current[i]
            fill_vector(times, count)
            fill_vector(currents, count)
            for k in range(fill_vector(voltages, count)):
                v = voltages[k] - (currents[k] - voltages[k]) * expm1(-times[k] / tau_rc)
                voltages[k] = where(v < min_voltage, min_voltage, v)
            for k in range(count):
                one_by_one()
                i = np.uint64(listed[k])
                voltage[i] = voltages[k]
                spikes[i] = voltages[k] > one
            count = list_flags(rows[r + 4] + first, n, listed)
            for k in range(count):
                one_by_one()
                i = np.uint64(listed[k])
                voltages[k], currents[k] = voltage[i], current[i]
            fill_vector(currents, count)
            for k in range(fill_vector(voltages, count)):
                time = dt + tau_rc * log1p(-(voltages[k] - one) / (currents[k] - one))
                times[k] = tau_ref + time
            for k in range(count):
                one_by_one()
                i = np.uint64(listed[k])
                voltage[i], output[i] = zero, height
                refractory_time[i] = times[k]
    return 0
