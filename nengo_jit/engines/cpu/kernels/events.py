"""Kernels for products of matrices and vectors of spikes, which are mostly zero."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.dense import add_four_columns
from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, In, Out, RowsOf
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import (
    REASSOCIATE,
    Address,
    Memory,
    add_product,
    helper,
    int64s,
    load_lanes,
    n_lanes,
    no_vectorize,
    store_lanes,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.program.products import WIDE


@helper(forceinline=True)
def add_few_columns(memory, a, b, x, y, n, distance, spikes):
    """``y = b + A.dot(x)`` for a matrix with few rows: the sums stay in registers."""
    itemsize = x.itemsize
    for i in range(0, n, n_lanes(memory)):
        total = load_lanes(memory, b + i * itemsize, n - i)
        for k in range(spikes.size):
            column = a + spikes[k] * distance + i * itemsize
            height = x[np.uint64(spikes[k])]
            total = add_product(total, height, load_lanes(memory, column, n - i))
        store_lanes(y + i * itemsize, n - i, total)


@helper(forceinline=True)
def add_columns(memory, a, x, y, distance, spikes):
    """``y += A.dot(x)`` for a matrix with many rows: four spikes at a time."""
    fours = spikes.size - spikes.size % 4
    for k in range(0, fours, 4):
        k0, k1, k2, k3 = spikes[k], spikes[k + 1], spikes[k + 2], spikes[k + 3]
        add_four_columns(
            y,
            vector(memory, a + k0 * distance, y.size),
            x[np.uint64(k0)],
            vector(memory, a + k1 * distance, y.size),
            x[np.uint64(k1)],
            vector(memory, a + k2 * distance, y.size),
            x[np.uint64(k2)],
            vector(memory, a + k3 * distance, y.size),
            x[np.uint64(k3)],
        )
    for k in range(fours, spikes.size):
        height = x[np.uint64(spikes[k])]
        column = vector(memory, a + spikes[k] * distance, y.size)
        for i in range(y.size):
            y[i] += column[i] * height


@kernel(cost=0.05, cost_of_row=25.0)
def dot_events(
    memory: Memory,
    columns: In,
    begin: In,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: int,
    events: Address,
) -> None:
    """``y = begin + A.dot(x)`` for a vector of spikes, mostly zeros; in place if ``begin == y``.

    The matrix is stored as for `dot_columns`. The events are a count, then the indices of the
    nonzero elements of x. Every branch adds up a sum in the order of the events.
    """
    use_widest_vectors()
    heights, spikes = vector(memory, x, m), int64s(events + 8, int64s(events, 1)[0])
    if n == 1:
        total = vector(memory, begin, 1)[0]
        for k in range(spikes.size):
            no_vectorize()
            weight = vector(memory, columns + spikes[k] * distance, 1)[0]
            total += weight * heights[np.uint64(spikes[k])]
        vector(memory, y, 1)[0] = total
    elif n <= 2 * n_lanes(memory):
        add_few_columns(memory, columns, begin, heights, y, n, distance, spikes)
    else:
        beginning, sums = vector(memory, begin, n), vector(memory, y, n)
        if begin != y:
            for i in range(n):
                sums[i] = beginning[i]
        add_columns(memory, columns, heights, sums, distance, spikes)


@helper(forceinline=True, fastmath=REASSOCIATE)
def add_rows_of_events(memory, a, x, y, distance, spikes):
    """``y += A.dot(x)`` for a matrix stored row by row: four rows at a time, spike by spike."""
    m, last, zero = x.size, y.size - 1, x.dtype.type(0)
    for i in range(0, y.size, 4):  # rows past the end repeat the last one
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        row0, row1 = vector(memory, a + i * distance, m), vector(memory, a + i1 * distance, m)
        row2, row3 = vector(memory, a + i2 * distance, m), vector(memory, a + i3 * distance, m)
        total0, total1, total2, total3 = zero, zero, zero, zero
        for k in range(spikes.size):
            no_vectorize()
            j = np.uint64(spikes[k])
            height = x[j]
            total0 += row0[j] * height
            total1 += row1[j] * height
            total2 += row2[j] * height
            total3 += row3[j] * height
        total0, total1 = y[i] + total0, y[i1] + total1
        total2, total3 = y[i2] + total2, y[i3] + total3
        y[i], y[i1], y[i2], y[i3] = total0, total1, total2, total3


@helper(forceinline=True, fastmath=REASSOCIATE)
def add_rows_by_events(memory, a, x, y, distance, spikes):
    """``y += A.dot(x)`` for a matrix that is stored by row; where many spike, all of it is read."""
    if spikes.size * WIDE <= x.size:
        add_rows_of_events(memory, a, x, y, distance, spikes)
    else:
        for i in range(y.size):
            row = vector(memory, a + i * distance, x.size)
            total = x.dtype.type(0)
            for j in range(x.size):
                total += row[j] * x[j]
            y[i] += total


@kernel(cost=0.1)
def dot_rows_events(
    memory: Memory,
    matrix: RowsOf,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    events: Address,
    distance: Distance,
) -> None:
    """``y += A.dot(x)`` for a vector of spikes and a variable matrix, stored row by row.

    For the events see `dot_events`. If many neurons spike, whole rows are read.
    """
    spikes = int64s(events + 8, int64s(events, 1)[0])
    add_rows_by_events(memory, matrix, vector(memory, x, m), vector(memory, y, n), distance, spikes)
