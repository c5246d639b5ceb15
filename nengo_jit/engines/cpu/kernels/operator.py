# mypy: disable-error-code="no-untyped-def"
# (kernels are compiled: their arguments have no types in Python)
"""Kernels for the operators of ``builder/operator.py``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.contracts import contiguous, reaches
from nengo_jit.engines.cpu.kernels.spikes import BLOCK, flag_spikes, listed_spikes
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, Population, lowers
from nengo_jit.engines.cpu.machine import (
    add_product,
    helper,
    integers,
    kernel,
    load_lanes,
    n_lanes,
    octets,
    one_by_one,
    store_lanes,
    use_widest_vectors,
    vector,
    vector_from,
)
from nengo_jit.ir.memory import address as start
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo_jit.ir.selection import as_selection, has_repeats

WIDE = 8  # columns from which on a matrix is multiplied row by row


@helper(forceinline=True)
def element(memory: Any, address: int, stride: int, i: int) -> Any:
    """One number of a vector with gaps of some bytes; for use in kernels."""
    return vector(memory, address + i * stride, 1)[0]


@helper(forceinline=True)
def packed(memory: Any, address: int, stride: int, n: int, work: int) -> Any:
    """A vector with gaps, as an array without any: itself or a copy; for use in kernels."""
    array = vector(memory, work, n)
    if stride == array.itemsize:
        return vector(memory, address, n)
    for i in range(n):
        array[i] = vector(memory, address + i * stride, 1)[0]
    return array


@kernel("w=n")
def fill(memory, table):
    """``dst[:] = value[0]``."""
    rows = integers(table, 1 + 3 * integers(table, 1)[0])
    for r in range(1, rows.size, 3):
        dst = vector(memory, rows[r], rows[r + 2])
        value = vector(memory, rows[r + 1], 1)[0]
        for i in range(dst.size):
            dst[i] = value
    return 0


@kernel("awn")
def copy(memory, table):
    """``dst[:] = src``."""
    rows = integers(table, 1 + 3 * integers(table, 1)[0])
    for r in range(1, rows.size, 3):
        src = vector(memory, rows[r], rows[r + 2])
        dst = vector(memory, rows[r + 1], rows[r + 2])
        for i in range(dst.size):
            dst[i] = src[i]
    return 0


copy_product = replace(copy, stage=1)  # after what makes the product


@kernel("===")
def copy_bytes(memory, table):
    """``dst[:] = src``, for numbers of any type."""
    rows = integers(table, 1 + 3 * integers(table, 1)[0])
    for r in range(1, rows.size, 3):
        src, dst = octets(rows[r], rows[r + 2]), octets(rows[r + 1], rows[r + 2])
        for i in range(dst.size):
            dst[i] = src[i]
    return 0


@kernel("awn")
def copy_inc(memory, table):
    """``dst[:] += src``."""
    rows = integers(table, 1 + 3 * integers(table, 1)[0])
    for r in range(1, rows.size, 3):
        src = vector(memory, rows[r], rows[r + 2])
        dst = vector(memory, rows[r + 1], rows[r + 2])
        for i in range(dst.size):
            dst[i] += src[i]
    return 0


@kernel("=====")
def gather(memory, table):
    """``dst[target] = src[source]``, or ``+=``, with lists of indices."""
    rows = integers(table, 1 + 5 * integers(table, 1)[0])
    for r in range(1, rows.size, 5):
        n, inc = rows[r + 3], rows[r + 4]
        src, dst = vector_from(memory, rows[r]), vector_from(memory, rows[r + 1])
        source, target = integers(rows[r + 2], n), integers(rows[r + 2] + 8 * n, n)
        for i in range(n):
            if inc:
                dst[target[i]] += src[source[i]]
            else:
                dst[target[i]] = src[source[i]]
    return 0


@kernel("=========")
def copy_strided(memory, table):
    """``dst = src``, or ``+=``, for matrices with gaps of some bytes."""
    rows = integers(table, 1 + 9 * integers(table, 1)[0])
    for r in range(1, rows.size, 9):
        n, m, inc = rows[r + 2], rows[r + 3], rows[r + 8]
        for i in range(n):
            src, dst = rows[r] + i * rows[r + 4], rows[r + 1] + i * rows[r + 6]
            if inc:
                for j in range(m):
                    vector(memory, dst + j * rows[r + 7], 1)[0] += element(
                        memory, src, rows[r + 5], j
                    )
            else:
                for j in range(m):
                    vector(memory, dst + j * rows[r + 7], 1)[0] = element(
                        memory, src, rows[r + 5], j
                    )
    return 0


@kernel("===========")
def multiply_strided(memory, table):
    """``y += a * x`` for matrices with gaps of some bytes."""
    rows = integers(table, 1 + 11 * integers(table, 1)[0])
    for r in range(1, rows.size, 11):
        n, m = rows[r + 3], rows[r + 4]
        for i in range(n):
            a, x = rows[r] + i * rows[r + 5], rows[r + 1] + i * rows[r + 7]
            y = rows[r + 2] + i * rows[r + 9]
            for j in range(m):
                product = element(memory, a, rows[r + 6], j) * element(memory, x, rows[r + 8], j)
                vector(memory, y + j * rows[r + 10], 1)[0] += product
    return 0


@kernel("aawn")
def multiply_inc(memory, table):
    """``y += a * x``."""
    rows = integers(table, 1 + 4 * integers(table, 1)[0])
    for r in range(1, rows.size, 4):
        a = vector(memory, rows[r], rows[r + 3])
        x = vector(memory, rows[r + 1], rows[r + 3])
        y = vector(memory, rows[r + 2], rows[r + 3])
        for i in range(y.size):
            y[i] += a[i] * x[i]
    return 0


@kernel("=awn")
def scale_inc(memory, table):
    """``y += a[0] * x``."""
    rows = integers(table, 1 + 4 * integers(table, 1)[0])
    for r in range(1, rows.size, 4):
        a = vector(memory, rows[r], 1)[0]
        x = vector(memory, rows[r + 1], rows[r + 3])
        y = vector(memory, rows[r + 2], rows[r + 3])
        for i in range(y.size):
            y[i] += a * x[i]
    return 0


@helper(forceinline=True)
def add_four_columns(y, a0, x0, a1, x1, a2, x2, a3, x3):
    """``y += a0 * x0``, then ``y += a1 * x1`` and so on, in one pass over y."""
    for i in range(y.size):
        total = y[i] + a0[i] * x0
        total += a1[i] * x1
        total += a2[i] * x2
        y[i] = total + a3[i] * x3


@helper(forceinline=True)
def multiply_columns(memory, a, b, x, y, n, m, distance):
    """What `dot_columns` does with a row, whose columns these are in another order."""
    factors, total = vector(memory, x, m), vector(memory, y, n)
    j = 0
    if b != y:
        begin, column, factor = vector(memory, b, n), vector(memory, a, n), factors[0]
        for i in range(n):
            total[i] = begin[i] + column[i] * factor
        j = 1
    while j + 4 <= m:
        add_four_columns(
            total,
            vector(memory, a + j * distance, n),
            factors[j],
            vector(memory, a + (j + 1) * distance, n),
            factors[j + 1],
            vector(memory, a + (j + 2) * distance, n),
            factors[j + 2],
            vector(memory, a + (j + 3) * distance, n),
            factors[j + 3],
        )
        j += 4
    while j < m:
        column, factor = vector(memory, a + j * distance, n), factors[j]
        for i in range(n):
            total[i] += column[i] * factor
        j += 1


@kernel("aa=wnm=")
def dot_columns(memory, table):
    """``y = b + A.dot(x)`` for a matrix with few columns, stored column by column; b may be y.

    A row has the addresses of A, b, x and y, the sizes, and the distance from column to column,
    in bytes.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        multiply_columns(
            memory,
            rows[r],
            rows[r + 1],
            rows[r + 2],
            rows[r + 3],
            rows[r + 4],
            rows[r + 5],
            rows[r + 6],
        )
    return 0


@kernel("r=wnm=", reassociate=True)
def dot_rows(memory, table):
    """``y += A.dot(x)`` for a matrix with many columns.

    The last number in a row is the distance from row to row, in bytes.
    """
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n, m = rows[r + 3], rows[r + 4]
        x, y = vector(memory, rows[r + 1], m), vector(memory, rows[r + 2], n)
        for i in range(n):
            a = vector(memory, rows[r] + i * rows[r + 5], m)
            total = a[0] * x[0]
            for j in range(1, m):
                total += a[j] * x[j]
            y[i] += total
    return 0


@helper(forceinline=True)
def add_few_columns(memory, a, b, x, y, n, distance, spikes):
    """``y = b + A.dot(x)`` for a matrix with few rows: sums are kept in a register."""
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


@kernel("aa=wnm==", cost=0.05, cost_of_row=25.0)
def dot_events(memory, table):
    """``y = b + A.dot(x)`` for a vector of spikes, mostly zero; b may be y.

    The columns are those of `dot_columns`, and the address of the events: a count and the indices
    of the elements of x that are not zero. Whatever is done at a time, a sum is added up in the
    order of the events.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 8 * integers(table, 1)[0])
    for r in range(1, rows.size, 8):
        a, n, m, distance = rows[r], rows[r + 4], rows[r + 5], rows[r + 6]
        x = vector(memory, rows[r + 2], m)
        spikes = integers(rows[r + 7] + 8, integers(rows[r + 7], 1)[0])
        if n == 1:
            total = vector(memory, rows[r + 1], 1)[0]
            for k in range(spikes.size):
                one_by_one()
                weight = vector(memory, a + spikes[k] * distance, 1)[0]
                total += weight * x[np.uint64(spikes[k])]
            vector(memory, rows[r + 3], 1)[0] = total
            continue
        if n <= 2 * n_lanes(memory):
            add_few_columns(memory, a, rows[r + 1], x, rows[r + 3], n, distance, spikes)
            continue
        b, y = vector(memory, rows[r + 1], n), vector(memory, rows[r + 3], n)
        if rows[r + 1] != rows[r + 3]:
            for i in range(n):
                y[i] = b[i]
        add_columns(memory, a, x, y, distance, spikes)
    return 0


@helper(forceinline=True)
def add_rows_of_events(memory, a, x, y, distance, spikes):
    """``y += A.dot(x)`` for a matrix that is stored by row: four rows at a time, spike by spike."""
    m, last, zero = x.size, y.size - 1, x[0] - x[0]
    for i in range(0, y.size, 4):  # what would be beyond the last is the last one again
        i1, i2, i3 = min(i + 1, last), min(i + 2, last), min(i + 3, last)
        row0, row1 = vector(memory, a + i * distance, m), vector(memory, a + i1 * distance, m)
        row2, row3 = vector(memory, a + i2 * distance, m), vector(memory, a + i3 * distance, m)
        total0, total1, total2, total3 = zero, zero, zero, zero
        for k in range(spikes.size):
            one_by_one()
            j = np.uint64(spikes[k])
            height = x[j]
            total0 += row0[j] * height
            total1 += row1[j] * height
            total2 += row2[j] * height
            total3 += row3[j] * height
        total0, total1 = y[i] + total0, y[i1] + total1
        total2, total3 = y[i2] + total2, y[i3] + total3
        y[i], y[i1], y[i2], y[i3] = total0, total1, total2, total3


@kernel("r=wnm==", reassociate=True, cost=0.1)
def dot_rows_events(memory, table):
    """``y += A.dot(x)`` for a vector of spikes and a matrix that changes, stored by row.

    After the sizes come the events, see `dot_events`, and the distance from row to row, in bytes.
    Where many neurons spike, all of a row is read.
    """
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        n, m, distance = rows[r + 3], rows[r + 4], rows[r + 6]
        x, y = vector(memory, rows[r + 1], m), vector(memory, rows[r + 2], n)
        spikes = integers(rows[r + 5] + 8, integers(rows[r + 5], 1)[0])
        if spikes.size * WIDE <= m:
            add_rows_of_events(memory, rows[r], x, y, distance, spikes)
            continue
        for i in range(n):
            a = vector(memory, rows[r] + i * distance, m)
            total = x[0] - x[0]
            for j in range(m):
                total += a[j] * x[j]
            y[i] += total
    return 0


@kernel("==========", reassociate=True)
def dot_strided(memory, table):
    """``y += A.dot(x)`` for a matrix and vectors with gaps of some bytes."""
    rows = integers(table, 1 + 10 * integers(table, 1)[0])
    for r in range(1, rows.size, 10):
        n, m, step = rows[r + 3], rows[r + 4], rows[r + 6]
        x = packed(memory, rows[r + 1], rows[r + 7], m, rows[r + 9])
        for i in range(n):
            row = rows[r] + i * rows[r + 5]
            total = x[0] * element(memory, row, step, 0)
            if step == x.itemsize:
                a = vector(memory, row, m)
                for j in range(1, m):
                    total += a[j] * x[j]
            else:
                for j in range(1, m):
                    total += element(memory, row, step, j) * x[j]
            vector(memory, rows[r + 2] + i * rows[r + 8], 1)[0] += total
    return 0


def pieces(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Corresponding contiguous parts of arrays of one shape, row by row if need be."""
    if all(map(contiguous, arrays)):
        yield arrays
    elif arrays[0].ndim > 1:
        for parts in zip(*arrays):
            yield from pieces(*parts)
    else:
        for i in range(arrays[0].size):
            yield tuple(array[i : i + 1] for array in arrays)


def places(array: np.ndarray) -> tuple[int, np.ndarray]:
    """Lowest address of an array, and where its elements lie from there on, in elements."""
    grids = np.indices(array.shape)
    steps = [stride // array.itemsize for stride in array.strides]
    offsets = np.zeros(array.shape, np.int64)
    for grid, step in zip(grids, steps):
        offsets += grid * step
    lowest = int(offsets.min(initial=0))
    return start(array) + lowest * array.itemsize, offsets - lowest


@lowers(Reset)
def lower_reset(operator: Reset, lowering: Lowering) -> Lowered:
    """Fill."""
    value = lowering.parameters([operator.value])
    dst = lowering.array(operator.dst)
    if wide(dst):
        return [(fill, (start(part), value, part.size)) for (part,) in pieces(dst)]
    number: np.ndarray = np.empty(1, dst.dtype)
    lowered = copy_planes(np.broadcast_to(number, dst.shape), dst, inc=False)
    return [(used, (value, *row[1:])) for used, row in lowered]


@lowers(Copy)
def lower_copy(operator: Copy, lowering: Lowering) -> Lowered | None:
    """Copy contiguous parts, or with gaps, or gather by indices."""
    src, dst = lowering.array(operator.src), lowering.array(operator.dst)
    if operator.src_slice is not None or operator.dst_slice is not None:
        return _gather(operator, src, dst, lowering)
    if contiguous(dst) and lowering.is_fixed(operator.src) and not operator.inc:
        src_start = lowering.copied(operator.src, np.broadcast_to(src, dst.shape))
        return [(copy, (src_start, start(dst), dst.size))]
    src = np.broadcast_to(src, dst.shape)
    if wide(src, dst):
        used = copy_inc if operator.inc else copy
        return [(used, (start(a), start(b), a.size)) for a, b in pieces(src, dst)]
    return copy_planes(src, dst, operator.inc)


def _gather(operator: Copy, src: Any, dst: Any, lowering: Lowering) -> Lowered | None:
    lowering.relies_on(operator, partial(_contents, operator.src_slice, operator.dst_slice))
    selected, target = as_selection(operator.src_slice), as_selection(operator.dst_slice)
    is_list = isinstance(target, np.ndarray)
    if is_list and not operator.inc and has_repeats(target, len(dst)):
        return None
    (src_start, src_places), (dst_start, dst_places) = places(src), places(dst)
    try:
        src_places, dst_places = src_places[selected], dst_places[target]
    except IndexError:
        return None
    if not reaches(src_places.shape, dst_places.shape):
        return None
    src_places = np.broadcast_to(src_places, dst_places.shape)
    indices = np.concatenate([src_places.ravel(), dst_places.ravel()])
    address = lowering.constant(indices, np.int64)
    return [(gather, (src_start, dst_start, address, dst_places.size, int(operator.inc)))]


def _contents(*selections: Any) -> list[Any]:
    """What selections are made of, which can be compared."""
    return [each if each is None else np.array(each).tolist() for each in selections]


def wide(*arrays: np.ndarray) -> bool:
    """Whether arrays of one shape are best worked on by their contiguous `pieces`."""
    return all(map(contiguous, arrays)) or (
        arrays[0].ndim > 1
        and arrays[0].shape[-1] >= WIDE
        and all(array.strides[-1] == array.itemsize for array in arrays)
    )


def planes(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Corresponding two-dimensional parts of arrays of one shape, mostly with long rows."""
    if arrays[0].size == 0:
        return
    if arrays[0].ndim < 2:
        yield from planes(*(array[np.newaxis] for array in arrays))
    elif arrays[0].ndim == 2:
        n, m = arrays[0].shape
        yield tuple(array.T for array in arrays) if m < min(WIDE, n) else arrays
    else:
        for parts in zip(*arrays):
            yield from planes(*parts)


def copy_planes(src: np.ndarray, dst: np.ndarray, inc: bool) -> Lowered:
    """Copy, or add, between arrays of one shape, whatever their strides."""
    return [
        (copy_strided, (start(u), start(v), *u.shape, *u.strides, *v.strides, int(inc)))
        for u, v in planes(src, dst)
    ]


@lowers(ElementwiseInc)
def lower_elementwise_inc(operator: ElementwiseInc, lowering: Lowering) -> Lowered:
    """Multiply by a vector or by a scalar."""
    return multiply(*(lowering.array(signal) for signal in (operator.A, operator.X, operator.Y)))


def multiply(a: np.ndarray, x: np.ndarray, y: np.ndarray) -> Lowered:
    """Add the product of two arrays that broadcast to the shape of the third."""
    if x.size == 1:
        a, x = x, a
    x = np.broadcast_to(x, y.shape)
    if a.size == 1 and wide(x, y):
        return [(scale_inc, (start(a), start(u), start(v), u.size)) for u, v in pieces(x, y)]
    a = np.broadcast_to(a, y.shape)
    if wide(a, x, y):
        return [
            (multiply_inc, (start(u), start(v), start(w), u.size)) for u, v, w in pieces(a, x, y)
        ]
    return [
        (
            multiply_strided,
            (start(u), start(v), start(w), *u.shape, *u.strides, *v.strides, *w.strides),
        )
        for u, v, w in planes(a, x, y)
    ]


@lowers(DotInc)
def lower_dot_inc(operator: DotInc, lowering: Lowering) -> Lowered:
    """Multiply by columns, by rows or by spikes, whichever does the least work."""
    if operator.X in lowering.spiking and operator.X not in lowering.events:
        looking, events = _look_for_spikes(operator, lowering)
        used = _lower_dot_inc(operator, lowering, events)
        return looking + [(replace(kernel, stage=3), row) for kernel, row in used]
    return _lower_dot_inc(operator, lowering, lowering.events.get(operator.X))


def _look_for_spikes(
    operator: DotInc, lowering: Lowering
) -> tuple[Lowered, list[Population] | None]:
    """Rows that look for spikes when they are used: somebody may have changed them."""
    x = lowering.array(operator.X).reshape(-1)
    if not contiguous(x):
        return [], None
    flags = start(lowering.buffer(x.size + BLOCK, np.uint8))
    listing, events = listed_spikes(x.size, flags, lowering)
    return [(flag_spikes, (start(x), flags, x.size)), *listing], events


def _lower_dot_inc(
    operator: DotInc, lowering: Lowering, events: list[Population] | None
) -> Lowered:
    a, x, y = (lowering.array(signal) for signal in (operator.A, operator.X, operator.Y))
    if a.ndim == 0 or x.ndim == 0:
        if operator.reshape:  # of one element
            a, x = a.reshape(()), x.reshape(())
        return multiply(a, x, y)
    x, y = x.reshape(-1), y.reshape(-1)
    a = np.broadcast_to(a, (y.size, x.size))
    n, m = a.shape
    fixed = lowering.is_fixed(operator.A)
    if n * m == 0:
        return []
    if contiguous(x) and contiguous(y):
        if fixed and events is not None:
            columns, begin = lowering.columns(operator.A, a), _beginning(operator, y, lowering)
            if begin != start(y):
                other = lowering.known_product(operator, (columns, begin, start(x), n))
                if other is not None:
                    return [(copy_product, (start(lowering.array(other.Y)), start(y), n))]
            begins = [begin, *repeat(start(y), len(events) - 1)]
            size = n * a.itemsize  # of a column
            return [
                (
                    dot_events,
                    (columns + first * size, b, start(x[first:]), start(y), n, count, size, at),
                )
                for b, (first, count, at) in zip(begins, events)
            ]
        if events is not None and not fixed and a.strides[1] == a.itemsize:
            return [
                (
                    dot_rows_events,
                    (start(a[:, first:]), start(x[first:]), start(y), n, count, at, a.strides[0]),
                )
                for first, count, at in events
            ]
        if fixed and (m < WIDE or m < n // 4):
            columns, begin = lowering.columns(operator.A, a), _beginning(operator, y, lowering)
            return [(dot_columns, (columns, begin, start(x), start(y), n, m, n * a.itemsize))]
        if a.strides[1] == a.itemsize or m == 1:
            return [(dot_rows, (start(a), start(x), start(y), n, m, a.strides[0]))]
    matrix, strides = start(a), a.strides
    if fixed and strides[1] != a.itemsize:
        matrix, strides = lowering.copied(operator.A, a), (m * a.itemsize, a.itemsize)
    work = start(lowering.buffer(m, lowering.dtype))
    row = (matrix, start(x), start(y), n, m, *strides, *x.strides, *y.strides, work)
    return [(dot_strided, row)]


def _beginning(operator: DotInc, y: np.ndarray, lowering: Lowering) -> int:
    """Address of what y is set to in each step before the operator, and nobody else, adds to it.

    What sets it is left out then. Otherwise it is the address of y itself.
    """
    if lowering.is_exposed(operator.Y):
        return start(y)
    setter = lowering.other_writer(operator, operator.Y)
    lowered = lowering.lower(setter) if type(setter) in (Copy, Reset) else None
    if lowered and len(lowered) == 1:
        kernel, row = lowered[0]
        if kernel is fill and row[0] == start(y) and row[2] == y.size:
            lowering.lowered[setter] = []
            return lowering.parameters(np.full(y.size, setter.value))
        if kernel is copy and row[1:] == (start(y), y.size) and lowering.is_fixed(setter.src):
            lowering.lowered[setter] = []
            return row[0]
    return start(y)
