"""Kernels for correlations: what windows of an image contribute to sums, as in convolutions.

Sums stay in vector registers while the taps of a window are gone through. The lanes of a vector
are the filters of a pixel, or neighbouring pixels of a filter. The taps are listed in *runs*: a
run is a number of taps whose operands lie at regular distances. A table of runs has four integers
(the number of runs, the taps of each, and the distances, in bytes, from one tap to the next), then
two for each run: the offsets of its first operands. One operand of a tap is a number, of the image
or of the kernel, the other one is a vector; distances and offsets of numbers come first.
"""

from __future__ import annotations

from nengo_jit.engines.cpu.kernels.dense import is_kept
from nengo_jit.engines.cpu.language.columns import Count, Factor, In, Out
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    add_product,
    add_products,
    helper,
    int32s,
    int64s,
    is_single,
    load_lanes,
    n_lanes,
    store_lanes,
    use_widest_vectors,
    vector,
)

AT_ONCE = 4  # numbers that are multiplied by the same vectors, or vectors by the same number


@helper(forceinline=True)
def are_zero(memory: Memory, x0: int, x1: int, x2: int, x3: int) -> bool:
    """Return whether the numbers at four addresses are all +0."""
    if is_single(memory):
        bits = int32s(x0, 1)[0] | int32s(x1, 1)[0]
        return (bits | int32s(x2, 1)[0] | int32s(x3, 1)[0]) == 0
    bits = int64s(x0, 1)[0] | int64s(x1, 1)[0]
    return (bits | int64s(x2, 1)[0] | int64s(x3, 1)[0]) == 0


@helper(forceinline=True)
def sum_products(
    memory: Memory,
    y0: int,
    y1: int,
    y2: int,
    y3: int,
    begin: int,
    count: int,
    n: int,
    n_more: int,
    gap: int,
    x0: int,
    x1: int,
    x2: int,
    x3: int,
    v: int,
    w: int,
    runs: int,
    skip: int,
) -> None:
    """Add up the products of four numbers and two vectors, for all taps.

    The sums for the numbers at x0 go to n lanes at y0 and to ``n_more`` lanes ``gap`` bytes further
    on, and so forth, for the first ``count`` numbers; the addresses of others must be readable. The
    sums begin with what lies ``begin`` bytes from there.
    """
    header = int64s(runs, 4)
    length, to_number, to_vector = header[1], header[2], header[3]
    offsets = int64s(runs + 32, 2 * header[0])
    n1, n2, n3 = n * (count > 1), n * (count > 2), n * (count > 3)
    m1, m2, m3 = n_more * (count > 1), n_more * (count > 2), n_more * (count > 3)
    more = begin + gap
    a0, b0 = load_lanes(memory, y0 + begin, n), load_lanes(memory, y0 + more, n_more)
    a1, b1 = load_lanes(memory, y1 + begin, n1), load_lanes(memory, y1 + more, m1)
    a2, b2 = load_lanes(memory, y2 + begin, n2), load_lanes(memory, y2 + more, m2)
    a3, b3 = load_lanes(memory, y3 + begin, n3), load_lanes(memory, y3 + more, m3)
    for r in range(header[0]):
        s, t = offsets[2 * r], offsets[2 * r + 1]
        for _ in range(length):
            if not (skip and are_zero(memory, x0 + s, x1 + s, x2 + s, x3 + s)):
                c, d = load_lanes(memory, v + t, n), load_lanes(memory, w + t, n_more)
                u0, u1 = vector(memory, x0 + s, 1)[0], vector(memory, x1 + s, 1)[0]
                u2, u3 = vector(memory, x2 + s, 1)[0], vector(memory, x3 + s, 1)[0]
                a0, b0 = add_product(a0, u0, c), add_product(b0, u0, d)
                a1, b1 = add_product(a1, u1, c), add_product(b1, u1, d)
                a2, b2 = add_product(a2, u2, c), add_product(b2, u2, d)
                a3, b3 = add_product(a3, u3, c), add_product(b3, u3, d)
            s += to_number
            t += to_vector
    store_lanes(y0, n, a0)
    store_lanes(y1, n1, a1)
    store_lanes(y2, n2, a2)
    store_lanes(y3, n3, a3)
    if n_more > 0:
        store_lanes(y0 + gap, n_more, b0)
        store_lanes(y1 + gap, m1, b1)
        store_lanes(y2 + gap, m2, b2)
        store_lanes(y3 + gap, m3, b3)


@helper(forceinline=True)
def scale_vectors(
    memory: Memory,
    y: int,
    begin: int,
    n0: int,
    n1: int,
    n2: int,
    n3: int,
    x0: int,
    x1: int,
    x2: int,
    x3: int,
    w: int,
    runs: int,
) -> None:
    """Add up the products of a number and four vectors, for all taps.

    The sums, as many as there are numbers in each vector, lie side by side; see `sum_products`.
    """
    header = int64s(runs, 4)
    length, to_number, to_vector = header[1], header[2], header[3]
    offsets, itemsize = int64s(runs + 32, 2 * header[0]), vector(memory, w, 1).itemsize
    y1, y2 = y + n0 * itemsize, y + (n0 + n1) * itemsize
    y3 = y2 + n2 * itemsize
    a0, a1 = load_lanes(memory, y + begin, n0), load_lanes(memory, y1 + begin, n1)
    a2, a3 = load_lanes(memory, y2 + begin, n2), load_lanes(memory, y3 + begin, n3)
    for r in range(header[0]):
        s, t = offsets[2 * r], offsets[2 * r + 1]
        for _ in range(length):
            u = vector(memory, w + s, 1)[0]
            a0 = add_product(a0, u, load_lanes(memory, x0 + t, n0))
            a1 = add_product(a1, u, load_lanes(memory, x1 + t, n1))
            a2 = add_product(a2, u, load_lanes(memory, x2 + t, n2))
            a3 = add_product(a3, u, load_lanes(memory, x3 + t, n3))
            s += to_number
            t += to_vector
    store_lanes(y, n0, a0)
    store_lanes(y1, n1, a1)
    store_lanes(y2, n2, a2)
    store_lanes(y3, n3, a3)


@helper(forceinline=True)
def multiply_channels(
    memory: Memory, y: int, begin: int, n: int, x: int, w: int, runs: int
) -> None:
    """Add up the products of a vector of the image and one of the kernel, for all taps.

    As much is done as fits in four registers; see `sum_products`.
    """
    header, m = int64s(runs, 4), n_lanes(memory)
    offsets, block = int64s(runs + 32, 2 * header[0]), m * vector(memory, y, 1).itemsize
    y1, y2, y3 = y + block, y + 2 * block, y + 3 * block
    n1, n2, n3 = n - m, n - 2 * m, n - 3 * m
    a0, a1 = load_lanes(memory, y + begin, n), load_lanes(memory, y1 + begin, n1)
    a2, a3 = load_lanes(memory, y2 + begin, n2), load_lanes(memory, y3 + begin, n3)
    for r in range(header[0]):
        s, t = x + offsets[2 * r], w + offsets[2 * r + 1]
        for _ in range(header[1]):
            a0 = add_products(a0, load_lanes(memory, s, n), load_lanes(memory, t, n))
            s1, t1 = s + block, t + block
            a1 = add_products(a1, load_lanes(memory, s1, n1), load_lanes(memory, t1, n1))
            s2, t2 = s1 + block, t1 + block
            a2 = add_products(a2, load_lanes(memory, s2, n2), load_lanes(memory, t2, n2))
            s3, t3 = s2 + block, t2 + block
            a3 = add_products(a3, load_lanes(memory, s3, n3), load_lanes(memory, t3, n3))
            s += header[2]
            t += header[3]
    store_lanes(y, n, a0)
    store_lanes(y1, n1, a1)
    store_lanes(y2, n2, a2)
    store_lanes(y3, n3, a3)


@helper(forceinline=True)
def next_window(i: int, j: int, n_columns: int) -> tuple[int, int]:
    """Return row and column of a window, which is in the next row if this one is at its end."""
    if j == n_columns:
        return i + 1, 0
    return i, j


@kernel(cost=0.04, stage=1)
def correlate_filters(
    memory: Memory,
    begin: In,
    y: Out,
    first_y: Address,
    x: Address,
    weights: Address,
    geometry: Address,
    runs: Address,
    n: Count,
    m: Factor,
    record: Address,
) -> None:
    """``y = begin`` and what windows of ``x`` contribute, the filters of a pixel side by side.

    ``y`` is the address of the first output to compute, ``first_y`` that of the first of all. The
    geometry is ten integers: filters, filters in a group; columns of the output; whether each
    filter has a channel for itself; phases of rows and of columns, see below; the strides of the
    input from window to window, down and to the right, and from group to group (bytes); whether
    products with zero may be skipped.

    Neighbouring windows of a transposed convolution see different parts of the kernel. Every
    second one, say, sees the same: then there are two phases, with windows and runs of their own.
    The tables of runs, for each phase of rows those of all phases of columns, are ``size`` integers
    long, which is the eleventh number of the geometry.

    If the sums are kept, they have a record, see `held.py`.
    """
    if is_kept(record):
        return
    use_widest_vectors()
    g, itemsize, lanes = int64s(geometry, 11), vector(memory, y, 1).itemsize, n_lanes(memory)
    filters, per_group, width, is_channelwise = g[0], g[1], g[2], g[3]
    row_phases, column_phases, down, right, to_group = g[4], g[5], g[6], g[7], g[8]
    to_begin, pixel = begin - y, filters * itemsize
    first = (y - first_y) // itemsize
    p_first, f_first = divmod(first, filters)
    p_last, f_last = divmod(first + n, filters)  # the pixel that is not complete
    i_first, j_first = divmod(p_first, width)
    for phase in range(row_phases * column_phases):
        table = runs + 8 * g[10] * phase
        a, b = divmod(phase, column_phases)
        n_columns = (width - b + column_phases - 1) // column_phases
        if n_columns == 0:
            continue
        i, j = (i_first - a + row_phases - 1) // row_phases, 0
        if i * row_phases + a == i_first:
            j = (j_first - b + column_phases - 1) // column_phases
        i, j = next_window(i, j, n_columns)
        p = (i * row_phases + a) * width + j * column_phases + b
        while p < p_last or (p == p_last and f_last > 0):
            f, f_end = f_first if p == p_first else 0, f_last if p == p_last else filters
            is_complete, count = f == 0 and f_end == filters and not is_channelwise, 1
            x0, y0 = x + i * down + j * right, first_y + p * pixel
            x1, y1, x2, y2, x3, y3 = x0, y0, x0, y0, x0, y0
            i, j = next_window(i, j + 1, n_columns)
            p = (i * row_phases + a) * width + j * column_phases + b
            if is_complete and p < p_last:
                count, x1, y1 = 2, x + i * down + j * right, first_y + p * pixel
                i, j = next_window(i, j + 1, n_columns)
                p = (i * row_phases + a) * width + j * column_phases + b
                x2, x3 = x1, x1
                if p < p_last:
                    count, x2, y2 = 3, x + i * down + j * right, first_y + p * pixel
                    i, j = next_window(i, j + 1, n_columns)
                    p = (i * row_phases + a) * width + j * column_phases + b
                    x3 = x2
                    if p < p_last:
                        count, x3, y3 = 4, x + i * down + j * right, first_y + p * pixel
                        i, j = next_window(i, j + 1, n_columns)
                        p = (i * row_phases + a) * width + j * column_phases + b
            while f < f_end:
                u, v = f * itemsize, weights + f * itemsize
                if is_channelwise:
                    n_here = f_end - f
                    multiply_channels(memory, y0 + u, to_begin, n_here, x0 + f * to_group, v, table)
                    f += AT_ONCE * lanes
                else:
                    group = f // per_group if per_group < filters else 0
                    n_here, t = min((group + 1) * per_group, f_end) - f, group * to_group
                    sum_products(
                        memory,
                        y0 + u,
                        y1 + u,
                        y2 + u,
                        y3 + u,
                        to_begin,
                        count,
                        min(n_here, lanes),
                        min(n_here - lanes, lanes),
                        lanes * itemsize,
                        x0 + t,
                        x1 + t,
                        x2 + t,
                        x3 + t,
                        v,
                        v + lanes * itemsize,
                        table,
                        g[9],
                    )
                    f += min(n_here, 2 * lanes)


@helper(forceinline=True)
def next_block(
    e: int, j: int, row: int, high: int, width: int, down: int, lanes: int
) -> tuple[int, int, int, int]:
    """Return how many neighbouring pixels begin at element e, and element, column and row of next.

    Element e of a plane is in column j; the windows of its row begin at an address.
    """
    n = min(lanes, width - j, high - e)
    j += n
    if j == width:
        return n, e + n, 0, row + down
    return n, e + n, j, row


@kernel(cost=0.04, stage=1)
def correlate_pixels(
    memory: Memory,
    begin: In,
    y: Out,
    first_y: Address,
    x: Address,
    weights: Address,
    geometry: Address,
    runs: Address,
    n: Count,
    m: Factor,
    record: Address,
) -> None:
    """``y = begin`` and what windows of ``x`` contribute, the pixels of a filter side by side.

    Neighbouring windows lie side by side, too. For columns see `correlate_filters`; the geometry
    is five integers: pixels of the output, and columns; filters in a group; the strides of the
    input from window to window, down, and from group to group (bytes).
    """
    if is_kept(record):
        return
    use_widest_vectors()
    g, itemsize, lanes = int64s(geometry, 5), vector(memory, y, 1).itemsize, n_lanes(memory)
    size, width, per_group, down, to_group = g[0], g[1], g[2], g[3], g[4]
    to_begin, plane = begin - y, size * itemsize
    f, low = divmod((y - first_y) // itemsize, size)
    target, left = first_y + f * plane, n
    while left > 0:  # filter by filter, or four at a time
        high = min(size, low + left)
        group = f // per_group
        i, j = divmod(low, width)
        e, row, w = low, x + group * to_group + i * down, weights + f * itemsize
        together = low == 0 and left >= AT_ONCE * size and f + AT_ONCE <= (group + 1) * per_group
        while e < high:
            y0, x0 = target + e * itemsize, row + j * itemsize
            n0, e, j, row = next_block(e, j, row, high, width, down, lanes)
            x1 = row + j * itemsize if e < high else x0
            n1, e, j, row = next_block(e, j, row, high, width, down, lanes)
            if together:
                sum_products(
                    memory,
                    y0,
                    y0 + plane,
                    y0 + 2 * plane,
                    y0 + 3 * plane,
                    to_begin,
                    AT_ONCE,
                    n0,
                    n1,
                    n0 * itemsize,
                    w,
                    w + itemsize,
                    w + 2 * itemsize,
                    w + 3 * itemsize,
                    x0,
                    x1,
                    runs,
                    0,
                )
            else:
                x2 = row + j * itemsize if e < high else x0
                n2, e, j, row = next_block(e, j, row, high, width, down, lanes)
                x3 = row + j * itemsize if e < high else x0
                n3, e, j, row = next_block(e, j, row, high, width, down, lanes)
                scale_vectors(memory, y0, to_begin, n0, n1, n2, n3, x0, x1, x2, x3, w, runs)
        n_filters = AT_ONCE if together else 1
        left -= n_filters * size if together else high - low
        f, low, target = f + n_filters, 0, target + n_filters * plane
