"""Kernels for numbers of half precision, where NumPy rounds at other places than other kernels do.

NumPy adds up products of half precision in single precision, from the first to the last, and rounds
the sum once. The products are exact in single precision, and products with zeros change nothing: so
spikes can be handled as events.
"""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.columns import (
    Count,
    Distance,
    Factor,
    In,
    InOut,
    Out,
    Own,
    RowsOf,
)
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    float32s,
    float64s,
    helper,
    int64s,
    scratch,
    use_widest_vectors,
    vector,
)

BLOCK = 1024  # sums that are added up together
ITEMSIZE = 2  # bytes of a number
HIGHEST_ORDER = 16


@helper(forceinline=True)
def n_lists_of(lists):
    """The number of lists of spikes; one for a dense vector, whose lists have the address zero."""
    return 1 if lists == 0 else int64s(lists, 1)[0]


@helper(forceinline=True)
def list_at(lists, i, m):
    """First neuron, number of indices and address of a list of spikes; see `half_dot_columns`."""
    if lists == 0:
        return 0, m, 0
    first, listed = int64s(lists + 8 * (1 + 2 * i), 2)
    return first, int64s(listed, 1)[0], listed + 8


@helper(forceinline=True)
def place_of(first, listed, k):
    """The k-th index of a list; k itself for a dense vector."""
    return k if listed == 0 else first + int64s(listed + 8 * k, 1)[0]


@helper(forceinline=True)
def add_four_products(totals, a0, x0, a1, x1, a2, x2, a3, x3):
    """Add four columns times numbers to sums of single precision, one after the other."""
    x0, x1, x2, x3 = np.float32(x0), np.float32(x1), np.float32(x2), np.float32(x3)
    for i in range(a0.size):
        total = totals[i] + np.float32(a0[i]) * x0
        total += np.float32(a1[i]) * x1
        total += np.float32(a2[i]) * x2
        totals[i] = total + np.float32(a3[i]) * x3


@helper(forceinline=True)
def add_columns(memory, totals, block, x, size, distance, first, count, listed):
    """Add columns times elements of x to sums: those of a list, or all; four at a time."""
    k = 0
    while k + 4 <= count:
        j0, j1 = place_of(first, listed, k), place_of(first, listed, k + 1)
        j2, j3 = place_of(first, listed, k + 2), place_of(first, listed, k + 3)
        add_four_products(
            totals,
            vector(memory, block + j0 * distance, size),
            x[j0],
            vector(memory, block + j1 * distance, size),
            x[j1],
            vector(memory, block + j2 * distance, size),
            x[j2],
            vector(memory, block + j3 * distance, size),
            x[j3],
        )
        k += 4
    while k < count:
        j = place_of(first, listed, k)
        column, factor = vector(memory, block + j * distance, size), np.float32(x[j])
        for i in range(size):
            totals[i] += np.float32(column[i]) * factor
        k += 1


@kernel(exact=True, cost=0.1, cost_of_row=10.0)
def half_dot_columns(
    memory: Memory,
    columns: In,
    begin: In,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: int,
    lists: Address,
) -> None:
    """``y = begin + A.dot(x)`` for a matrix stored column by column; in place if ``begin == y``.

    Columns lie ``distance`` bytes apart. If x are spikes, they are listed: the number of lists,
    then for each the first neuron and the address of a count and that many indices from there on.
    For other vectors the address of the lists is zero.
    """
    use_widest_vectors()
    factors, beginning, sums = vector(memory, x, m), vector(memory, begin, n), vector(memory, y, n)
    totals = float32s(scratch(4 * 1024), BLOCK)
    rounded = vector(memory, scratch(2 * 1024), BLOCK)
    for top in range(0, n, BLOCK):
        size = min(BLOCK, n - top)
        for i in range(size):
            totals[i] = 0
        for number in range(n_lists_of(lists)):
            first, count, listed = list_at(lists, number, m)
            block = columns + ITEMSIZE * top
            add_columns(memory, totals, block, factors, size, distance, first, count, listed)
        for i in range(size):
            rounded[i] = totals[i]
            sums[top + i] = beginning[top + i] + rounded[i]


@helper(forceinline=True)
def single_at(memory, address):
    """The number at an address, in single precision."""
    return np.float32(vector(memory, address, 1)[0])


@kernel(exact=True, cost=0.4, cost_of_row=10.0)
def half_dot_rows(
    memory: Memory,
    matrix: RowsOf,
    begin: In,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: Distance,
    right: int,
    x_step: int,
    lists: Address,
) -> None:
    """``y = begin + A.dot(x)`` for few rows, or rows that are stored one by one, four at a time.

    Elements of a row lie ``right`` bytes apart, those of x ``x_step`` bytes. For the lists see
    `half_dot_columns`.
    """
    beginning, sums = vector(memory, begin, n), vector(memory, y, n)
    rounded, last = vector(memory, scratch(2 * 4), 4), n - 1
    for i in range(0, n, 4):  # rows past the end repeat the last one
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        row0, row1 = matrix + i * distance, matrix + i1 * distance
        row2, row3 = matrix + i2 * distance, matrix + i3 * distance
        total0 = total1 = total2 = total3 = np.float32(0)
        for number in range(n_lists_of(lists)):
            first, count, listed = list_at(lists, number, m)
            for k in range(count):
                j = place_of(first, listed, k)
                at, factor = j * right, single_at(memory, x + j * x_step)
                total0 += single_at(memory, row0 + at) * factor
                total1 += single_at(memory, row1 + at) * factor
                total2 += single_at(memory, row2 + at) * factor
                total3 += single_at(memory, row3 + at) * factor
        rounded[0], rounded[1], rounded[2], rounded[3] = total0, total1, total2, total3
        y0, y1 = beginning[i] + rounded[0], beginning[i1] + rounded[1]
        y2, y3 = beginning[i2] + rounded[2], beginning[i3] + rounded[3]
        sums[i], sums[i1], sums[i2], sums[i3] = y0, y1, y2, y3


@kernel(exact=True)
def half_filter_of_one(
    memory: Memory, u: In, y: Out, state: InOut, parameters: Address, n: Count
) -> None:
    """Lowpass filters of one number, for which nengo uses Python's: see `filter_first_order`."""
    given, output, kept = vector(memory, u, n), vector(memory, y, n), vector(memory, state, n)
    p = float64s(parameters, 2)
    for i in range(n):
        kept[i] = p[0] * np.float64(kept[i]) + p[1] * np.float64(given[i])
        output[i] = kept[i]


@helper(forceinline=True)
def advance_filter(u, state, i, distance, order, p, new):
    """Advance a filter by an input of double precision, without D: returns ``C x'``.

    It has single precision, as the sums in products of half precision.
    """
    shown, b = np.float32(0), order * order
    for k in range(order):
        total = 0.0
        for j in range(order):
            total += p[k * order + j] * np.float64(state[j * distance + i])
        new[k] = total + p[b + k] * u
    for k in range(order):
        state[k * distance + i] = new[k]
        shown += np.float32(p[b + order + k]) * np.float32(state[k * distance + i])
    return shown


@kernel(exact=True, cost=3.0)
def half_filter_any_order(
    memory: Memory,
    u: In,
    y: Out,
    state: InOut,
    parameters: Address,
    n: Count,
    order: Factor,
    distance: int,
) -> None:
    """Linear filters of any order, at most `HIGHEST_ORDER`: see `filter_any_order`.

    Here A and B have double precision, C and D half precision.
    """
    given, output = vector(memory, u, n), vector(memory, y, n)
    kept, new = vector(memory, state, (order - 1) * distance + n), float64s(scratch(8 * 16), order)
    p, rounded = float64s(parameters, order * order + 2 * order + 1), vector(memory, scratch(4), 2)
    c, d = order * order + order, p[order * order + 2 * order]
    rounded[1] = d
    for i in range(n):
        before = np.float32(0)
        for k in range(order):
            before += np.float32(p[c + k]) * np.float32(kept[k * distance + i])
        after = advance_filter(np.float64(given[i]), kept, i, distance, order, p, new)
        if d == 0:
            output[i] = after
        else:
            rounded[0] = before
            output[i] = rounded[0] + rounded[1] * given[i]


@kernel(stage=1, exact=True)
def half_inc_by_doubles(memory: Memory, numbers: Address, y: Own, size: Factor) -> None:
    """``y += numbers``, which have double precision, after other kernels on the same level."""
    given, sums = float64s(numbers, size), vector(memory, y, size)
    for i in range(size):
        sums[i] = np.float64(sums[i]) + given[i]
