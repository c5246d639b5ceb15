"""A kernel written by hand for LIF neurons, the most common type.

It computes what the formula in `nengo_jit.neurons.lif` does, but its elementary functions only
for the few neurons whose values they change: those whose refractory period ends within the step,
and those that spike. Where one product is all that makes the currents, it computes that, too, so
that currents are read while they are in the cache of the core that wrote them.
"""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.operator import multiply_columns
from nengo_jit.engines.cpu.kernels.spikes import list_flags
from nengo_jit.engines.cpu.machine import (
    compilable,
    gather_if_fast,
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
FINE = 0.1  # of the membrane time constant: longest step for which short series are enough
NEAR = 0.05  # largest argument of `log_near_one`: for steps that are fine, it is below


@compilable
def expm1_near_zero(x):
    """``expm1(x)`` for x between -0.1 and 0.1, by its Taylor series."""
    square = x * x
    low = (1.0 / 2 + x * (1.0 / 6)) + square * (1.0 / 24 + x * (1.0 / 120))
    high = (1.0 / 720 + x * (1.0 / 5040)) + square * (1.0 / 40320 + x * (1.0 / 362880))
    return x + square * (low + (square * square) * high)


@compilable
def log_near_one(s):
    """``log((1 + s) / (1 - s))`` for s between -0.05 and 0.05, by the series of artanh."""
    square = s * s
    low = 2.0 / 3 + square * (2.0 / 5)
    high = 2.0 / 7 + square * (2.0 / 9) + (square * square) * (2.0 / 11)
    return s * 2.0 + s * (square * (low + (square * square) * high))


@helper(forceinline=True)
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


@helper(forceinline=True)
def follows(rows, r, first, n, itemsize):
    """Whether row r is about the neurons that come after ``n`` of those of another row."""
    return (
        rows[r + 5] == first[0] + n * itemsize
        and rows[r + 6] == first[1] + n * itemsize
        and rows[r + 7] == first[2] + n * itemsize
        and rows[r + 8] == first[3] + n * itemsize
        and rows[r + 9] == first[4] + n
        and rows[r + 10] == first[5]
    )


@kernel("aa===waaab=n", cost=1.8)
def lif(memory, table):
    """Advance LIF neurons.

    A row has the addresses of columns, biases and factors, the number of factors, and the distance
    from column to column, in bytes: the product of columns and factors, and the biases, make the
    currents, unless there are no factors. Then come the addresses of currents, output, voltages,
    refractory times, flags for those that spike, and parameters, and the number of neurons.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 12 * integers(table, 1)[0])
    partial_flags, list_of_some = scratch(1088), scratch(8704)
    is_partial, listed = octets(partial_flags, TOGETHER), integers(list_of_some, TOGETHER)
    times = vector(memory, scratch(8192), TOGETHER)
    voltages = vector(memory, scratch(8192), TOGETHER)
    currents = vector(memory, scratch(8192), TOGETHER)
    r, done = 1, 0
    while r < rows.size:
        p = vector(memory, rows[r + 10], 5)
        first = (
            rows[r + 5] + done * p.itemsize,
            rows[r + 6] + done * p.itemsize,
            rows[r + 7] + done * p.itemsize,
            rows[r + 8] + done * p.itemsize,
            rows[r + 9] + done,
            rows[r + 10],
        )
        n = 0
        while n == 0 or (
            r < rows.size
            and n + rows[r + 11] <= TOGETHER
            and follows(rows, r, first, n, p.itemsize)
        ):
            begin, size = done * p.itemsize, min(rows[r + 11] - done, TOGETHER)
            if rows[r + 3] > 0:
                multiply_columns(
                    memory,
                    rows[r] + begin,
                    rows[r + 1] + begin,
                    rows[r + 2],
                    rows[r + 5] + begin,
                    size,
                    rows[r + 3],
                    rows[r + 4],
                )
            n += size
            done += size
            if done == rows[r + 11]:
                r, done = r + 12, 0

        dt, tau_rc, tau_ref, min_voltage = p[0], p[1], p[2], p[3]
        zero, one, height = dt - dt, dt / dt, p[4] / dt
        factor, rate = expm1(-dt / tau_rc), -one / tau_rc
        is_fine, near = dt <= FINE * tau_rc, p.dtype.type(NEAR)
        current, output = vector(memory, first[0], n), vector(memory, first[1], n)
        voltage, refractory_time = vector(memory, first[2], n), vector(memory, first[3], n)
        spikes = octets(first[4], n)
        for i in range(n):
            refractory = refractory_time[i] - dt
            time = dt - refractory  # for charging, if between 0 and dt
            v = where(time >= dt, voltage[i] - (current[i] - voltage[i]) * factor, voltage[i])
            v = where(v < min_voltage, min_voltage, v)
            partial = (time > zero) & (time < dt)
            voltage[i] = where(partial, voltage[i], v)
            is_partial[i] = partial
            refractory_time[i] = refractory
            spikes[i] = v > one
        for i in range(n):
            output[i] = zero

        count = list_flags(partial_flags, n, list_of_some)
        for k in range(count):
            gather_if_fast()
            i = np.uint64(listed[k])
            times[k] = dt - refractory_time[i]
            voltages[k], currents[k] = voltage[i], current[i]
        fill_vector(times, count)
        fill_vector(currents, count)
        n_filled = fill_vector(voltages, count)
        if is_fine:
            for k in range(n_filled):
                times[k] = expm1_near_zero(times[k] * rate)
        else:
            for k in range(n_filled):
                times[k] = expm1(times[k] * rate)
        for k in range(n_filled):
            v = voltages[k] - (currents[k] - voltages[k]) * times[k]
            voltages[k] = where(v < min_voltage, min_voltage, v)
        for k in range(count):
            one_by_one()
            i = np.uint64(listed[k])
            voltage[i] = voltages[k]
            spikes[i] = voltages[k] > one

        count = list_flags(first[4], n, list_of_some)
        for k in range(count):
            gather_if_fast()
            i = np.uint64(listed[k])
            voltages[k], currents[k] = voltage[i], current[i]
        fill_vector(currents, count)
        n_filled = fill_vector(voltages, count)
        is_near = is_fine
        for k in range(n_filled):
            rest, drive = one - voltages[k], currents[k] - one
            s = rest / (drive + drive + rest)  # log_near_one(s) = log1p(rest / drive)
            is_near &= abs(s) <= near
            times[k] = tau_ref + (dt + tau_rc * log_near_one(s))
        if not is_near:  # the step is long, or somebody has set the voltage
            for k in range(n_filled):
                time = dt + tau_rc * log1p(-(voltages[k] - one) / (currents[k] - one))
                times[k] = tau_ref + time
        for k in range(count):
            one_by_one()
            i = np.uint64(listed[k])
            voltage[i], output[i] = zero, height
            refractory_time[i] = times[k]
    return 0
