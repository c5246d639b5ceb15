"""Kernels for the operators of ``builder/operator.py``."""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.kernels.spikes import flag_spikes, listing
from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, In, Out, RowsOf
from nengo_jit.engines.cpu.language.kernel import Row, kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import (
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
    vector_from,
)
from nengo_jit.engines.cpu.program.arena import Pool
from nengo_jit.engines.cpu.program.contracts import contiguous, reaches
from nengo_jit.engines.cpu.program.fusion import Part
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.program.populations import BLOCK, Population
from nengo_jit.engines.cpu.program.products import WIDE, Strategy, as_matrix
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo_jit.ir.selection import as_selection, has_repeats
from nengo_jit.ir.signal import Signal


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


@kernel()
def fill(memory: Memory, dst: Out, value: Address, n: Count) -> None:
    """``dst[:] = value[0]``."""
    target, number = vector(memory, dst, n), vector(memory, value, 1)[0]
    for i in range(n):
        target[i] = number


@kernel()
def copy(memory: Memory, src: In, dst: Out, n: Count) -> None:
    """``dst[:] = src``."""
    source, target = vector(memory, src, n), vector(memory, dst, n)
    for i in range(n):
        target[i] = source[i]


copy_product = copy.variant(stage=1)  # after what makes the product


@kernel()
def copy_inc(memory: Memory, src: In, dst: Out, n: Count) -> None:
    """``dst[:] += src``."""
    source, target = vector(memory, src, n), vector(memory, dst, n)
    for i in range(n):
        target[i] += source[i]


@kernel()
def gather(
    memory: Memory, src: Address, dst: Address, indices: Address, size: int, inc: int
) -> None:
    """``dst[target] = src[source]``, or ``+=``, with lists of indices: sources, then targets."""
    given, changed = vector_from(memory, src), vector_from(memory, dst)
    source, target = int64s(indices, size), int64s(indices + 8 * size, size)
    for i in range(size):
        if inc:
            changed[target[i]] += given[source[i]]
        else:
            changed[target[i]] = given[source[i]]


@kernel()
def copy_strided(
    memory: Memory,
    src: Address,
    dst: Address,
    height: int,
    width: int,
    src_down: int,
    src_right: int,
    dst_down: int,
    dst_right: int,
    inc: int,
) -> None:
    """``dst = src``, or ``+=``, for matrices with gaps: it is so many bytes down and right."""
    for i in range(height):
        source, target = src + i * src_down, dst + i * dst_down
        if inc:
            for j in range(width):
                number = element(memory, source, src_right, j)
                vector(memory, target + j * dst_right, 1)[0] += number
        else:
            for j in range(width):
                number = element(memory, source, src_right, j)
                vector(memory, target + j * dst_right, 1)[0] = number


@kernel()
def multiply_strided(
    memory: Memory,
    a: Address,
    x: Address,
    y: Address,
    height: int,
    width: int,
    a_down: int,
    a_right: int,
    x_down: int,
    x_right: int,
    y_down: int,
    y_right: int,
) -> None:
    """``y += a * x`` for matrices with gaps: it is so many bytes down and right."""
    for i in range(height):
        a_row, x_row, y_row = a + i * a_down, x + i * x_down, y + i * y_down
        for j in range(width):
            product = element(memory, a_row, a_right, j) * element(memory, x_row, x_right, j)
            vector(memory, y_row + j * y_right, 1)[0] += product


@kernel()
def multiply_inc(memory: Memory, a: In, x: In, y: Out, n: Count) -> None:
    """``y += a * x``."""
    factors, numbers = vector(memory, a, n), vector(memory, x, n)
    total = vector(memory, y, n)
    for i in range(n):
        total[i] += factors[i] * numbers[i]


@kernel()
def scale_inc(memory: Memory, a: Address, x: In, y: Out, n: Count) -> None:
    """``y += a[0] * x``."""
    factor = vector(memory, a, 1)[0]
    numbers, total = vector(memory, x, n), vector(memory, y, n)
    for i in range(n):
        total[i] += factor * numbers[i]


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


@kernel()
def dot_columns(
    memory: Memory,
    columns: In,
    begin: In,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: int,
) -> None:
    """``y = begin + A.dot(x)`` for a matrix with m columns, which are few; y may be its beginning.

    The matrix is stored column by column, ``distance`` bytes from one to the next.
    """
    use_widest_vectors()
    multiply_columns(memory, columns, begin, x, y, n, m, distance)


@kernel(reassociate=True)
def dot_rows(
    memory: Memory,
    matrix: RowsOf,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``y += A.dot(x)`` for a matrix with m columns, which are many."""
    factors, sums = vector(memory, x, m), vector(memory, y, n)
    for i in range(n):
        row = vector(memory, matrix + i * distance, m)
        total = row[0] * factors[0]
        for j in range(1, m):
            total += row[j] * factors[j]
        sums[i] += total


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
    """``y = begin + A.dot(x)`` for spikes, which are mostly zero; y may be its beginning.

    The matrix is that of `dot_columns`. The events are a count and the indices of the elements of
    x that are not zero. Whatever is done at a time, a sum is added up in the order of the events.
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


@kernel(reassociate=True, cost=0.1)
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
    """``y += A.dot(x)`` for a vector of spikes and a matrix that changes, stored by row.

    For the events see `dot_events`. Where many neurons spike, all of a row is read.
    """
    heights, sums = vector(memory, x, m), vector(memory, y, n)
    spikes = int64s(events + 8, int64s(events, 1)[0])
    if spikes.size * WIDE <= m:
        add_rows_of_events(memory, matrix, heights, sums, distance, spikes)
    else:
        for i in range(n):
            row = vector(memory, matrix + i * distance, m)
            total = heights[0] - heights[0]
            for j in range(m):
                total += row[j] * heights[j]
            sums[i] += total


@kernel(reassociate=True)
def dot_strided(
    memory: Memory,
    matrix: Address,
    x: Address,
    y: Address,
    height: int,
    width: int,
    down: int,
    right: int,
    x_step: int,
    y_step: int,
    work: Address,
) -> None:
    """``y += A.dot(x)`` for a matrix and vectors with gaps; x is copied to ``work`` if it has any.

    It is so many bytes down and right, and from one element of a vector to the next.
    """
    factors = packed(memory, x, x_step, width, work)
    for i in range(height):
        row = matrix + i * down
        total = factors[0] * element(memory, row, right, 0)
        if right == factors.itemsize:
            numbers = vector(memory, row, width)
            for j in range(1, width):
                total += numbers[j] * factors[j]
        else:
            for j in range(1, width):
                total += element(memory, row, right, j) * factors[j]
        vector(memory, y + i * y_step, 1)[0] += total


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


def places(array: np.ndarray) -> tuple[Address, np.ndarray]:
    """Lowest address of an array, and where its elements lie from there on, in elements."""
    grids = np.indices(array.shape)
    steps = [stride // array.itemsize for stride in array.strides]
    offsets = np.zeros(array.shape, np.int64)
    for grid, step in zip(grids, steps):
        offsets += grid * step
    lowest = int(offsets.min(initial=0))
    return offset(start(array), lowest * array.itemsize), offsets - lowest


@lowers(Reset)
def lower_reset(operator: Reset, lowering: Lowering) -> Lowered:
    """Fill."""
    value = lowering.arena.parameters([operator.value])
    dst = lowering.array(operator.dst)
    if wide(dst):
        return [fill.row(dst=start(part), value=value, n=part.size) for (part,) in pieces(dst)]
    number: np.ndarray = np.empty(1, dst.dtype)
    everywhere = np.broadcast_to(number, dst.shape)
    return [copy_plane(value, u, v, inc=False) for u, v in planes(everywhere, dst)]


@lowers(Copy)
def lower_copy(operator: Copy, lowering: Lowering) -> Lowered | None:
    """Copy contiguous parts, or with gaps, or gather by indices."""
    src, dst = lowering.array(operator.src), lowering.array(operator.dst)
    if operator.src_slice is not None or operator.dst_slice is not None:
        return _gather(operator, src, dst, lowering)
    if contiguous(dst) and lowering.facts.is_fixed(operator.src) and not operator.inc:
        src_start = lowering.copied(operator.src, np.broadcast_to(src, dst.shape))
        return [copy.row(src=src_start, dst=start(dst), n=dst.size)]
    src = np.broadcast_to(src, dst.shape)
    if wide(src, dst):
        used = copy_inc if operator.inc else copy
        return [used.row(src=start(a), dst=start(b), n=a.size) for a, b in pieces(src, dst)]
    return copy_planes(src, dst, operator.inc)


def _gather(operator: Copy, src: Any, dst: Any, lowering: Lowering) -> Lowered | None:
    lowering.assumptions.rely_on(
        operator, partial(_contents, operator.src_slice, operator.dst_slice)
    )
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
    row = gather.row(
        src=src_start,
        dst=dst_start,
        indices=lowering.arena.constant(indices, np.int64),
        size=dst_places.size,
        inc=int(operator.inc),
    )
    return [row]


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
    return [copy_plane(start(u), u, v, inc) for u, v in planes(src, dst)]


def copy_plane(address: Address, src: np.ndarray, dst: np.ndarray, inc: bool) -> Row:
    """Copy, or add, a matrix at an address, laid out like another one, to a matrix."""
    height, width = dst.shape
    (src_down, src_right), (dst_down, dst_right) = src.strides, dst.strides
    return copy_strided.row(
        src=address,
        dst=start(dst),
        height=height,
        width=width,
        src_down=src_down,
        src_right=src_right,
        dst_down=dst_down,
        dst_right=dst_right,
        inc=int(inc),
    )


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
        return [
            scale_inc.row(a=start(a), x=start(u), y=start(v), n=u.size) for u, v in pieces(x, y)
        ]
    a = np.broadcast_to(a, y.shape)
    if wide(a, x, y):
        return [
            multiply_inc.row(a=start(u), x=start(v), y=start(w), n=u.size)
            for u, v, w in pieces(a, x, y)
        ]
    return [_multiply_plane(*parts) for parts in planes(a, x, y)]


def _multiply_plane(a: np.ndarray, x: np.ndarray, y: np.ndarray) -> Row:
    height, width = y.shape
    (a_down, a_right), (x_down, x_right), (y_down, y_right) = a.strides, x.strides, y.strides
    return multiply_strided.row(
        a=start(a),
        x=start(x),
        y=start(y),
        height=height,
        width=width,
        a_down=a_down,
        a_right=a_right,
        x_down=x_down,
        x_right=x_right,
        y_down=y_down,
        y_right=y_right,
    )


@lowers(DotInc)
def lower_dot_inc(operator: DotInc, lowering: Lowering) -> Lowered:
    """Multiply by columns, by rows or by spikes, whichever does the least work."""
    if operator.X not in lowering.fusion.searched:
        return _lower_product(operator, lowering, lowering.populations.lists_of)
    x = lowering.array(operator.X).reshape(-1)
    if not contiguous(x):
        return _lower_product(operator, lowering, lowering.populations.lists_of)
    # Somebody may have changed the spikes, so they are looked for when they are used.
    flags = start(lowering.arena.buffer(x.size + BLOCK, np.uint8))
    lists = lowering.populations.lists_for(x.size)
    rows = _lower_product(operator, lowering, lambda _: lists)
    return [
        flag_spikes.row(output=start(x), flags=flags, n=x.size),
        *listing(flags, lists),
        *(row.for_kernel(row.kernel.variant(stage=3)) for row in rows),
    ]


def _lower_product(
    operator: DotInc,
    lowering: Lowering,
    lists_of: Callable[[Signal], Sequence[Population]],
) -> Lowered:
    """Rows for a product, given where spikes are listed."""
    a, x, y = (lowering.array(signal) for signal in (operator.A, operator.X, operator.Y))
    strategy = lowering.fusion.strategies[operator]
    if strategy is Strategy.NONE:
        return []
    if strategy is Strategy.ELEMENTWISE:
        if operator.reshape:  # of one element
            a, x = a.reshape(()), x.reshape(())
        return multiply(a, x, y)
    x, y = x.reshape(-1), y.reshape(-1)
    a = as_matrix(a, y.size, x.size)
    n, m = a.shape
    if strategy is Strategy.EVENTS:
        other = lowering.fusion.duplicate_of.get(operator)
        if other is not None:
            result = start(lowering.array(other.Y))
            return [copy_product.row(src=result, dst=start(y), n=n)]
        factors = factors_of(operator, lowering)
        begins = chain([factors["begin"]], repeat(start(y)))
        size = factors["distance"]  # of a column
        return [
            dot_events.row(
                columns=offset(factors["columns"], first * size),
                begin=begin,
                x=start(x[first:]),
                y=start(y),
                n=n,
                m=count,
                distance=size,
                events=listed,
            )
            for begin, (first, count, listed) in zip(begins, lists_of(operator.X))
        ]
    if strategy is Strategy.ROWS_OF_EVENTS:
        return [
            dot_rows_events.row(
                matrix=start(a[:, first:]),
                x=start(x[first:]),
                y=start(y),
                n=n,
                m=count,
                events=listed,
                distance=a.strides[0],
            )
            for first, count, listed in lists_of(operator.X)
        ]
    if strategy is Strategy.COLUMNS:
        return [dot_columns.row(**factors_of(operator, lowering), y=start(y), n=n)]
    if strategy is Strategy.ROWS:
        row = dot_rows.row(matrix=start(a), x=start(x), y=start(y), n=n, m=m, distance=a.strides[0])
        return [row]
    matrix, (down, right) = start(a), a.strides
    if right != a.itemsize and lowering.facts.is_fixed(operator.A):
        matrix, down, right = lowering.copied(operator.A, a), m * a.itemsize, a.itemsize
    row = dot_strided.row(
        matrix=matrix,
        x=start(x),
        y=start(y),
        height=n,
        width=m,
        down=down,
        right=right,
        x_step=x.strides[0],
        y_step=y.strides[0],
        work=start(lowering.arena.buffer(m, lowering.dtype)),
    )
    return [row]


def factors_of(operator: DotInc, lowering: Lowering) -> dict[str, Any]:
    """The columns of a row of `dot_columns` that say what is multiplied, and added to what."""
    y, x = lowering.array(operator.Y).reshape(-1), lowering.array(operator.X).reshape(-1)
    matrix = as_matrix(lowering.array(operator.A), y.size, x.size)
    return {
        "columns": lowering.columns(operator.A, matrix),
        "begin": _beginning(operator, y, lowering),
        "x": start(x),
        "m": x.size,
        "distance": y.nbytes,
    }


def _beginning(operator: DotInc, y: np.ndarray, lowering: Lowering) -> Address:
    """Address of what the sum y begins with: a constant, or else y itself."""
    setter = lowering.part_of(operator, Part.BIAS)
    if setter is None:
        return start(y)
    if type(setter) is Reset:
        return lowering.arena.parameters(np.full(y.size, setter.value))
    bias = np.broadcast_to(lowering.array(setter.src), lowering.array(setter.dst).shape)
    return lowering.copied(setter.src, bias, Pool.BEGINNINGS)
