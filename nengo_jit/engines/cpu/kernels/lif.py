"""A kernel written by hand for LIF neurons, the most common type.

It computes the formula in `nengo_jit.neurons.lif`, but elementary functions only for the few
neurons that need them: those whose refractory period ends within the step, and those that spike.
If the currents are a single product, it computes that, too, so that currents are read while they
are in the cache of the core that wrote them.
"""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.dense import multiply_columns_held
from nengo_jit.engines.cpu.kernels.spikes import list_flags
from nengo_jit.engines.cpu.language.columns import BytesOf, Count, In, InOut, Out
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    add_product,
    add_products,
    compilable,
    gather_if_fast,
    helper,
    int64s,
    load_lanes,
    n_lanes,
    no_vectorize,
    scratch,
    store_lanes,
    uint8s,
    use_widest_vectors,
    vector,
)
from nengo_jit.scalar import expm1, log1p, where

VECTOR = 64  # bytes: the widest vectors
TOGETHER = 1024  # neurons that are advanced together, with lists of some of them
SCALED, MULTIPLIED = 0, 1  # kinds of terms: numbers times a factor, and times factors
CURRENTS, OUTPUT = 1, 2  # bits of `hidden`: what is not stored
FINE = 0.1  # of the membrane time constant: longest step for which short series are enough
NEAR = 0.05  # largest argument of `log_near_one`; steps that are fine stay below it


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
    """Pad ``n`` numbers to whole vectors with copies of the first; return their new number.

    Loops over whole vectors need no scalar instructions.
    """
    width = VECTOR // array.itemsize
    n_filled = (n + width - 1) // width * width
    rest, first = array[n:n_filled], array[0]
    for i in range(rest.size):
        rest[i] = first
    return n_filled


@helper(forceinline=True)
def follows(row, first, n, itemsize):
    """Return whether a row continues another one after ``n`` of its neurons."""
    return (
        row.currents == first.currents + n * itemsize
        and row.output == first.output + n * itemsize
        and row.voltages == first.voltages + n * itemsize
        and row.refractory_times == first.refractory_times + n * itemsize
        and row.flags == first.flags + n
        and row.parameters == first.parameters
        and row.hidden == first.hidden
    )


@helper(forceinline=True)
def add_terms(memory, terms, currents, n):
    """Add terms to some of the currents of a row of `lif`."""
    head, itemsize = int64s(terms, 2), vector(memory, currents, 1).itemsize
    distance = currents - head[0]
    for k in range(head[1]):
        term = int64s(terms + 16 + 24 * k, 3)
        factor = vector(memory, term[1], 1)[0]
        for i in range(0, n, n_lanes(memory)):
            begin, rest = i * itemsize, n - i
            total = load_lanes(memory, currents + begin, rest)
            numbers = load_lanes(memory, term[2] + distance + begin, rest)
            if term[0] == SCALED:
                total = add_product(total, factor, numbers)
            else:
                factors = load_lanes(memory, term[1] + distance + begin, rest)
                total = add_products(total, factors, numbers)
            store_lanes(currents + begin, rest, total)


def advance(memory, rows):
    """Advance the neurons of all rows; join rows with few neurons."""
    use_widest_vectors()
    partial_flags, list_of_some = scratch(1088), scratch(8704)
    is_partial, listed = uint8s(partial_flags, TOGETHER), int64s(list_of_some, TOGETHER)
    times = vector(memory, scratch(8192), TOGETHER)
    voltages = vector(memory, scratch(8192), TOGETHER)
    currents = vector(memory, scratch(8192), TOGETHER)
    unseen = scratch(8192)  # currents that are not stored
    r, done = 0, 0  # the current row, and how many of its neurons are done
    while r < rows.size:
        first, before, n = rows[r], done, 0
        p = vector(memory, first.parameters, 5)
        begin = before * p.itemsize
        sums = unseen if first.hidden & CURRENTS else first.currents + begin
        while n == 0 or (
            r < rows.size
            and n + rows[r].n <= TOGETHER
            and follows(rows[r], first, before + n, p.itemsize)
        ):
            row = rows[r]
            ahead, size = done * p.itemsize, min(row.n - done, TOGETHER)
            if row.m > 0:
                multiply_columns_held(
                    memory,
                    row.columns + ahead,
                    row.begin + ahead,
                    row.x,
                    sums + n * p.itemsize,
                    size,
                    row.m,
                    row.distance,
                    row.record,
                )
            if row.terms != 0:
                add_terms(memory, row.terms, row.currents + ahead, size)
            n += size
            done += size
            if done == row.n:
                r, done = r + 1, 0

        dt, tau_rc, tau_ref, min_voltage = p[0], p[1], p[2], p[3]
        zero, one, height = dt - dt, dt / dt, p[4] / dt
        factor, rate = expm1(-dt / tau_rc), -one / tau_rc
        is_fine, near = dt <= FINE * tau_rc, p.dtype.type(NEAR)
        flags, shows = first.flags + before, first.hidden & OUTPUT == 0
        current = vector(memory, sums, n)
        output = vector(memory, first.output + begin, n)
        voltage = vector(memory, first.voltages + begin, n)
        refractory_time = vector(memory, first.refractory_times + begin, n)
        spikes = uint8s(flags, n)
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
        if shows:
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
            no_vectorize()
            i = np.uint64(listed[k])
            voltage[i] = voltages[k]
            spikes[i] = voltages[k] > one

        count = list_flags(flags, n, list_of_some)
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
        if not is_near:  # the step is long, or user code has set the voltage
            for k in range(n_filled):
                time = dt + tau_rc * log1p(-(voltages[k] - one) / (currents[k] - one))
                times[k] = tau_ref + time
        for k in range(count):
            no_vectorize()
            i = np.uint64(listed[k])
            voltage[i] = zero
            refractory_time[i] = times[k]
        if shows:
            for k in range(count):
                no_vectorize()
                output[np.uint64(listed[k])] = height


@kernel(loop=advance, cost=1.8)
def lif(
    memory: Memory,
    columns: In,
    begin: In,
    x: Address,
    m: int,
    distance: int,
    record: Address,
    terms: Address,
    hidden: int,
    currents: Out,
    output: Out,
    voltages: InOut,
    refractory_times: InOut,
    flags: BytesOf,
    parameters: Address,
    n: Count,
) -> None:
    """Advance LIF neurons, and flag those that spike.

    The first columns are those of `dot_columns`, which computes the currents; if m is zero, the
    currents are already in memory. If there are terms, whose address is not zero then, they are
    added: where the currents of all neurons of the row begin, the number of terms, and for each
    term its kind (`SCALED` or `MULTIPLIED`) and the addresses of factors and numbers. ``hidden``
    says what is not stored: bits of `CURRENTS`, which are then a product alone, and `OUTPUT`.
    """


@kernel(when="after")
def show_spikes(memory: Memory, flags: BytesOf, output: Out, parameters: Address, n: Count) -> None:
    """Write the output that `lif` has not stored, from the flags."""
    p, are_set, heights = vector(memory, parameters, 5), uint8s(flags, n), vector(memory, output, n)
    height, zero = p[4] / p[0], p[0] - p[0]
    for i in range(n):
        heights[i] = height if are_set[i] != 0 else zero
