"""Kernels written by hand for LIF neurons, the most common type, and for the events they make.

They compute what the formula in `nengo_jit.neurons.lif` does, but the time of a spike only for
those neurons that spike, and list them on the way. That takes half the time.
"""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from nengo_jit.engines.cpu.machine import integers, kernel, use_widest_vectors, vector
from nengo_jit.scalar import clip, expm1, log1p, where


@kernel("awaa=n", cost=2.0)
def lif(memory, table):
    """Advance LIF neurons, but for what happens to those that spike.

    A row has the addresses of currents, output, voltages, refractory times and parameters, and
    the number of neurons. Where a neuron spikes, its voltage is left above the threshold.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n = rows[r + 5]
        current, output = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
        voltage, refractory_time = vector(memory, rows[r + 2], n), vector(memory, rows[r + 3], n)
        p = vector(memory, rows[r + 4], 5)
        dt, tau_rc, min_voltage, amplitude = p[0], p[1], p[3], p[4]
        zero, one, height = dt - dt, dt / dt, amplitude / dt
        for i in range(n):
            refractory = refractory_time[i] - dt
            charging_time = clip(dt - refractory, zero, dt)
            v = voltage[i] - (current[i] - voltage[i]) * expm1(-charging_time / tau_rc)
            output[i] = where(v > one, height, zero)
            voltage[i] = where(v < min_voltage, min_voltage, v)
            refractory_time[i] = refractory
    return 0


@kernel("=p==m=", cost=1.0, stage=1)
def lif_spikes(memory, table):
    """List the neurons that spiked, reset them, and compute when each of them did.

    A row has the addresses of currents, voltages, refractory times and parameters, the number n
    of neurons, and the address of the events: a count and the indices of the neurons, followed
    by as much room to work in.
    """
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n = rows[r + 4]
        current, voltage = vector(memory, rows[r], n), vector(memory, rows[r + 1], n)
        refractory_time = vector(memory, rows[r + 2], n)
        p = vector(memory, rows[r + 3], 5)
        dt, tau_rc, tau_ref = p[0], p[1], p[2]
        zero, one = dt - dt, dt / dt
        events = integers(rows[r + 5], 1 + n)
        times = vector(memory, rows[r + 5] + 8 * (1 + n), n)
        count = 0
        for i in range(n):
            events[1 + count] = i  # the next one overwrites it if there is no spike
            count += voltage[i] > one
        for k in range(count):
            i = events[1 + k]
            times[k] = -(voltage[i] - one) / (current[i] - one)
        for k in range(count):
            times[k] = tau_ref + (dt + tau_rc * log1p(times[k]))
        for k in range(count):
            i = events[1 + k]
            refractory_time[i] = times[k]
            voltage[i] = zero
        events[0] = count
    return 0
