"""Kernels written by hand for LIF neurons, the most common type, and for the events they make.

They compute what the formula in `nengo_jit.neurons.lif` does, but its elementary functions only
for the few neurons whose values they change: those whose refractory period ends within the step,
and those that spike.
"""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from nengo_jit.engines.cpu.machine import (
    bits_of,
    helper,
    integers,
    kernel,
    lowest_bit,
    octets,
    one_by_one,
    scratch,
    use_widest_vectors,
    vector,
)
from nengo_jit.scalar import expm1, log1p, where

BLOCK = 64  # flags that make one integer
VECTORS = 32  # numbers that an elementary function is computed of at a time
N_LISTED = 512  # neurons that are listed before something is done with them


@helper(inline="always")
def first_bits(flags, n):
    """Which of the first ``n`` of 64 flags, bytes at an address, are set."""
    bits = bits_of(flags)
    return bits if n >= BLOCK else bits & ((1 << n) - 1)


@helper(inline="always")
def fill_vectors(array, n):
    """Repeat the first of ``n`` numbers after the last; returns how many there are then.

    They fill whole vectors, so that no instructions for single numbers are needed.
    """
    n_filled = (n + VECTORS - 1) // VECTORS * VECTORS
    for i in range(n, n_filled):
        array[i] = array[0]
    return n_filled


@kernel("awaa=n", cost=1.2)
def lif(memory, table):
    """Advance LIF neurons, but for what happens to those that spike.

    A row has the addresses of currents, output, voltages, refractory times and parameters, and
    the number of neurons. Where a neuron spikes, its voltage is left above the threshold, and
    its output zero.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    flags_start = scratch(512)
    flags, listed = octets(flags_start, N_LISTED), integers(scratch(4096), N_LISTED)
    times, voltages = (
        vector(memory, scratch(4096), N_LISTED),
        vector(memory, scratch(4096), N_LISTED),
    )
    differences = vector(memory, scratch(4096), N_LISTED)
    for r in range(1, rows.size, 6):
        p = vector(memory, rows[r + 4], 5)
        dt, tau_rc, min_voltage = p[0], p[1], p[3]
        zero = dt - dt
        factor = expm1(-dt / tau_rc)
        for first in range(0, rows[r + 5], N_LISTED):
            n, begin = min(N_LISTED, rows[r + 5] - first), first * p.itemsize
            current = vector(memory, rows[r] + begin, n)
            output = vector(memory, rows[r + 1] + begin, n)
            voltage = vector(memory, rows[r + 2] + begin, n)
            refractory_time = vector(memory, rows[r + 3] + begin, n)
            for i in range(n):
                refractory = refractory_time[i] - dt
                time = dt - refractory  # for charging, if between 0 and dt
                v = voltage[i] - (current[i] - voltage[i]) * where(time >= dt, factor, zero)
                v = where(v < min_voltage, min_voltage, v)
                voltage[i] = where((time > zero) & (time < dt), voltage[i], v)
                refractory_time[i] = refractory
                output[i] = zero
            for i in range(n):
                time = dt - refractory_time[i]
                flags[i] = (time > zero) & (time < dt)
            count = 0
            for block in range(0, n, BLOCK):
                bits = first_bits(flags_start + block, n - block)
                while bits != 0:
                    i = block + lowest_bit(bits)
                    bits &= bits - 1
                    listed[count] = i
                    times[count] = dt - refractory_time[i]
                    voltages[count] = voltage[i]
                    differences[count] = current[i] - voltage[i]
                    count += 1
            fill_vectors(times, count)
            fill_vectors(differences, count)
            for k in range(fill_vectors(voltages, count)):
                v = voltages[k] - differences[k] * expm1(-times[k] / tau_rc)
                voltages[k] = where(v < min_voltage, min_voltage, v)
            for k in range(count):
                one_by_one()
                voltage[listed[k]] = voltages[k]
    return 0


@kernel("=p===m=", cost=1.2, stage=1)
def lif_spikes(memory, table):
    """List the neurons that spiked, reset them, and compute when each of them did.

    A row has the addresses of currents, voltages, refractory times, output and parameters, the
    number of neurons, and the address of the events: a count and the indices of the neurons.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    flags_start = scratch(64)
    flags, places = octets(flags_start, BLOCK), integers(scratch(4096), N_LISTED)
    voltages, currents = (
        vector(memory, scratch(4096), N_LISTED),
        vector(memory, scratch(4096), N_LISTED),
    )
    n_listed = 0
    for r in range(1, rows.size, 7):
        n, n_events = rows[r + 5], 0
        events = integers(rows[r + 6], 1 + n)
        p = vector(memory, rows[r + 4], 5)
        zero, one, height = p[0] - p[0], p[0] / p[0], p[4] / p[0]
        for first in range(0, n, BLOCK):
            n_flags, begin = min(BLOCK, n - first), first * p.itemsize
            current = vector(memory, rows[r] + begin, n_flags)
            voltage = vector(memory, rows[r + 1] + begin, n_flags)
            output = vector(memory, rows[r + 3] + begin, n_flags)
            for i in range(n_flags):
                flags[i] = voltage[i] > one
            bits = first_bits(flags_start, n_flags)
            while bits != 0:
                i = lowest_bit(bits)
                bits &= bits - 1
                n_events += 1
                events[n_events] = first + i
                places[n_listed] = rows[r + 2] + begin + i * p.itemsize
                voltages[n_listed], currents[n_listed] = voltage[i], current[i]
                voltage[i], output[i] = zero, height
                n_listed += 1
            if n_listed > N_LISTED - BLOCK:
                _set_refractory_times(memory, p, places, voltages, currents, n_listed)
                n_listed = 0
        events[0] = n_events
        if r + 7 >= rows.size or rows[r + 4] != rows[r + 11]:  # others have other parameters
            _set_refractory_times(memory, p, places, voltages, currents, n_listed)
            n_listed = 0
    return 0


@helper()
def _set_refractory_times(memory, parameters, places, voltages, currents, n):
    """Of neurons that spiked, from their voltages and currents."""
    use_widest_vectors()
    dt, tau_rc, tau_ref = parameters[0], parameters[1], parameters[2]
    one = dt / dt
    fill_vectors(currents, n)
    for k in range(fill_vectors(voltages, n)):
        time = dt + tau_rc * log1p(-(voltages[k] - one) / (currents[k] - one))
        voltages[k] = tau_ref + time
    for k in range(n):
        one_by_one()
        vector(memory, places[k], 1)[0] = voltages[k]
