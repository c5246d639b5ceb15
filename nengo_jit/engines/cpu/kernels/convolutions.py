"""Kernels for convolutions.

They work on images whose channels come last, so that the innermost loop runs over the filters.
Other images are copied before and after.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from nengo_jit.engines.cpu.kernels.operator import copy_planes, copy_strided, fill
from nengo_jit.engines.cpu.language.columns import Count, Factor, Out
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    add_product,
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
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc, same_padding

AT_ONCE = 4  # pixels that `correlate_windows` computes together

# runs after a convolution; `copy_strided` itself runs before it
copy_result = copy_strided.variant(stage=2)


@helper(forceinline=True)
def add_products(
    memory: Memory, y: int, x: int, w: int, n: int, length: int, distance: int, skip: int
) -> None:
    """``y += x.dot(w)`` for n numbers at y, ``length`` numbers at x, and as many rows at w.

    The rows lie ``distance`` bytes apart and are added four at a time. If ``skip`` is set, four
    whose factors are all zero are left out.
    """
    result, factors = vector(memory, y, n), vector(memory, x, length)
    fours = length - length % 4
    for i in range(0, fours, 4):
        x0, x1, x2, x3 = factors[i], factors[i + 1], factors[i + 2], factors[i + 3]
        if skip and x0 == 0 and x1 == 0 and x2 == 0 and x3 == 0:
            continue
        w0 = vector(memory, w + i * distance, n)
        w1 = vector(memory, w + (i + 1) * distance, n)
        w2 = vector(memory, w + (i + 2) * distance, n)
        w3 = vector(memory, w + (i + 3) * distance, n)
        for f in range(n):
            result[f] += x0 * w0[f] + x1 * w1[f] + x2 * w2[f] + x3 * w3[f]
    for i in range(fours, length):
        x0 = factors[i]
        if skip and x0 == 0:
            continue
        w0 = vector(memory, w + i * distance, n)
        for f in range(n):
            result[f] += x0 * w0[f]


@helper(forceinline=True)
def are_zero(memory: Memory, x0: int, x1: int, x2: int, x3: int) -> bool:
    """Return whether the numbers at four addresses are all +0."""
    if is_single(memory):
        bits = int32s(x0, 1)[0] | int32s(x1, 1)[0]
        return (bits | int32s(x2, 1)[0] | int32s(x3, 1)[0]) == 0
    bits = int64s(x0, 1)[0] | int64s(x1, 1)[0]
    return (bits | int64s(x2, 1)[0] | int64s(x3, 1)[0]) == 0


@helper(forceinline=True)
def correlate_windows(
    memory: Memory, y: int, n: int, x0: int, x1: int, x2: int, x3: int, w: int, geometry: np.ndarray
) -> None:
    """Add to n filters of four pixels at y what their windows contribute.

    The sums stay in registers, two for each pixel: a weight is loaded once for four pixels, and a
    number of the image once for two registers. If there are fewer pixels, the address of the last
    window is repeated.
    """
    itemsize, m = vector(memory, y, 1).itemsize, n_lanes(memory)
    pixel, block = geometry[0] * itemsize, m * itemsize
    height, width, length = geometry[3], geometry[4], geometry[5] * itemsize
    to_row, to_column, skip = geometry[6], geometry[7], geometry[8]
    for first in range(0, n, 2 * m):
        # filters left, for each pixel; none for a repeated window
        n0 = n - first
        n1, n2, n3 = n0 * (x1 != x0), n0 * (x2 != x1), n0 * (x3 != x2)
        y0 = y + first * itemsize
        y1, y2, y3 = y0 + pixel, y0 + 2 * pixel, y0 + 3 * pixel
        a0, b0 = load_lanes(memory, y0, n0), load_lanes(memory, y0 + block, n0 - m)
        a1, b1 = load_lanes(memory, y1, n1), load_lanes(memory, y1 + block, n1 - m)
        a2, b2 = load_lanes(memory, y2, n2), load_lanes(memory, y2 + block, n2 - m)
        a3, b3 = load_lanes(memory, y3, n3), load_lanes(memory, y3 + block, n3 - m)
        v = w + first * itemsize
        for k in range(height):
            for q in range(width):
                start = k * to_row + q * to_column
                for u in range(start, start + length, itemsize):
                    if not (skip and are_zero(memory, x0 + u, x1 + u, x2 + u, x3 + u)):
                        c, d = load_lanes(memory, v, n0), load_lanes(memory, v + block, n0 - m)
                        u0, u1 = vector(memory, x0 + u, 1)[0], vector(memory, x1 + u, 1)[0]
                        u2, u3 = vector(memory, x2 + u, 1)[0], vector(memory, x3 + u, 1)[0]
                        a0, b0 = add_product(a0, u0, c), add_product(b0, u0, d)
                        a1, b1 = add_product(a1, u1, c), add_product(b1, u1, d)
                        a2, b2 = add_product(a2, u2, c), add_product(b2, u2, d)
                        a3, b3 = add_product(a3, u3, c), add_product(b3, u3, d)
                    v += pixel
        store_lanes(y0, n0, a0)
        store_lanes(y1, n1, a1)
        store_lanes(y2, n2, a2)
        store_lanes(y3, n3, a3)
        if n0 > m:
            store_lanes(y0 + block, n0 - m, b0)
            store_lanes(y1 + block, n1 - m, b1)
            store_lanes(y2 + block, n2 - m, b2)
            store_lanes(y3 + block, n3 - m, b3)


@helper(forceinline=True)
def correlate_channels(
    memory: Memory, y: int, n: int, x: int, w: int, geometry: np.ndarray
) -> None:
    """Add to n filters of the pixel at y what its window contributes, one channel to each."""
    result = vector(memory, y, n)
    for k in range(geometry[3]):
        for q in range(geometry[4]):
            channels = vector(memory, x + k * geometry[6] + q * geometry[7], n)
            tap = (k * geometry[4] + q) * geometry[0]
            weights = vector(memory, w + tap * result.itemsize, n)
            for f in range(n):
                result[f] += channels[f] * weights[f]


@kernel(cost=0.04, stage=1)
def convolve(
    memory: Memory,
    y: Out,
    first_y: Address,
    windows: Address,
    weights: Address,
    geometry: Address,
    n: Count,
    m: Factor,
) -> None:
    """`nengo_jit.ir.transforms.ConvInc` on padded images with channels last.

    ``y`` is the address of the first output to compute, ``first_y`` that of the first of all.
    There is the address of a window into the input for each pixel of the output. The geometry is
    nine integers: filters, groups, channels in a group; rows and columns of the kernel, and the
    contiguous numbers for each; the strides of the input from row to row and from column to
    column (bytes); whether zeros may be skipped.
    """
    use_widest_vectors()
    g, itemsize = int64s(geometry, 9), vector(memory, y, 1).itemsize
    filters, groups, inputs = g[0], g[1], g[2]
    per_group = filters // groups
    pixel, f = divmod((y - first_y) // itemsize, filters)
    seen = int64s(windows, pixel + n)
    done = 0
    while done < n:
        target, f_end = y + done * itemsize, min(filters, f + n - done)
        n_pixels = 1
        if groups > 1 and per_group == 1 and inputs == 1:
            source = seen[pixel] + f * itemsize
            correlate_channels(memory, target, f_end - f, source, weights + f * itemsize, g)
            done += f_end - f
        else:
            if f == 0 and f_end == filters:
                n_pixels = min(AT_ONCE, (n - done) // filters)
            last = pixel + n_pixels - 1
            x0, x1 = seen[pixel], seen[min(pixel + 1, last)]
            x2, x3 = seen[min(pixel + 2, last)], seen[last]
            while f < f_end:  # group by group
                group = f // per_group if groups > 1 else 0
                n_here = min((group + 1) * per_group, f_end) - f
                u, v = group * inputs * itemsize, weights + f * itemsize
                correlate_windows(memory, target, n_here, x0 + u, x1 + u, x2 + u, x3 + u, v, g)
                target += n_here * itemsize
                done += n_here * n_pixels
                f += n_here
        pixel, f = pixel + n_pixels, 0


@kernel(cost=0.15, stage=1)
def convolve_transposed(
    memory: Memory,
    y: Out,
    first_y: Address,
    x: Address,
    weights: Address,
    geometry: Address,
    n: Count,
    m: Factor,
) -> None:
    """`nengo_jit.ir.transforms.ConvTransposeInc` on images with channels last.

    The columns are those of `convolve`, with the input in place of the windows, and another
    geometry, see `transposed_geometry`.
    """
    use_widest_vectors()
    itemsize, g = vector(memory, y, 1).itemsize, int64s(geometry, 13)
    height, width, channels, out_width, filters = g[0], g[1], g[2], g[4], g[5]
    first = (y - first_y) // itemsize
    done = 0
    while done < n:
        pixel, f = divmod(first + done, filters)
        i, j = divmod(pixel, out_width)
        count = min(filters - f, n - done)
        bottom, right = i + g[10], j + g[11]
        for k in range(bottom % g[8], min(g[6], bottom + 1), g[8]):
            row = (bottom - k) // g[8]
            if row >= height:
                continue
            for q in range(right % g[9], min(g[7], right + 1), g[9]):
                column = (right - q) // g[9]
                if column >= width:
                    continue
                add_products(
                    memory,
                    y + done * itemsize,
                    x + (row * width + column) * channels * itemsize,
                    weights + ((k * g[7] + q) * channels * filters + f) * itemsize,
                    count,
                    channels,
                    filters * itemsize,
                    g[12],
                )
        done += count


class ConvColumns(TypedDict):
    """The columns that `convolve` and `convolve_transposed` share."""

    y: Address
    first_y: Address
    weights: Address
    geometry: Address
    n: int
    m: int


@lowers(ConvInc)
@lowers(ConvTransposeInc)
@lowers(GeneralConvInc)
def lower_conv_inc(operator: GeneralConvInc, lowering: Lowering) -> Lowered:
    """Convolve; copy images that need padding, are strided or have channels first."""
    W, X, Y = operator._images(lowering.facts.signals)
    before: Lowered = []
    after: Lowered = []
    margins = [(0, 0)] * 2 if operator.is_transpose else paddings(operator, W, X, Y)
    if not contiguous(X) or np.any(margins):
        height, width = (size + sum(margin) for size, margin in zip(X.shape, margins))
        image = lowering.arena.buffer(height * width * X.shape[2], lowering.dtype)
        image = image.reshape(height, width, X.shape[2])
        (top, _), (left, _) = margins
        before += copy_planes(X, image[top : top + len(X), left : left + X.shape[1]], inc=False)
        X = image
    if not contiguous(Y):
        image = lowering.arena.buffer(Y.size, lowering.dtype).reshape(Y.shape)
        zero = lowering.arena.parameters([0.0])
        before.append(fill.row(dst=start(image), value=zero, n=image.size))
        after += [row.for_kernel(copy_result) for row in copy_planes(image, Y, inc=True)]
        Y = image
    skip = lowering.facts.is_fixed(operator.W) and bool(np.isfinite(W).all())
    if skip:
        lowering.assumptions.assume(operator.W, lambda: bool(np.isfinite(W).all()))
    if operator.is_transpose:
        numbers = transposed_geometry(operator, W, X, Y)
        work = W[..., 0].size // int(np.prod(operator._strides))
    else:
        numbers, work = correlation_geometry(W, X), W[..., 0].size
    common: ConvColumns = {
        "y": start(Y),
        "first_y": start(Y),
        "weights": start(W),
        "geometry": lowering.arena.constant([*numbers, int(skip)], np.int64),
        "n": Y.size,
        "m": max(work, 1),
    }
    if operator.is_transpose:
        row = convolve_transposed.row(x=start(X), **common)
    else:
        down, right = (stride * step for stride, step in zip(operator._strides, X.strides))
        rows, columns = np.ogrid[: Y.shape[0], : Y.shape[1]]
        windows = lowering.arena.constant(start(X) + down * rows + right * columns, np.int64)
        row = convolve.row(windows=windows, **common)
    return [*before, row, *after]


def correlation_geometry(W: np.ndarray, X: np.ndarray) -> list[int]:
    """Return the geometry for `convolve`, without the last number."""
    (height, width, inputs, filters), groups = W.shape, X.shape[2] // W.shape[2]
    length = inputs
    if groups == 1:  # a row of a window is contiguous
        width, length = 1, width * inputs
    return [filters, groups, inputs, height, width, length, *X.strides[:2]]


def transposed_geometry(
    operator: GeneralConvInc, W: np.ndarray, X: np.ndarray, Y: np.ndarray
) -> list[int]:
    """Return the geometry for `convolve_transposed`, without whether zeros may be skipped.

    It is the shapes of the input and of the output; rows and columns of the kernel; strides, and
    how much is cropped, of rows and of columns.
    """
    (top, _), (left, _) = paddings(operator, W, X, Y)
    return [*X.shape, *Y.shape, *W.shape[:2], *operator._strides, top, left]


def paddings(
    operator: GeneralConvInc, W: np.ndarray, X: np.ndarray, Y: np.ndarray
) -> list[tuple[int, int]]:
    """Return the padding before and after the image: of rows, then of columns."""
    if operator.conv.padding != "same":
        return [(0, 0)] * 2
    small, large = (X, Y) if operator.is_transpose else (Y, X)
    return [
        same_padding(large.shape[axis], small.shape[axis], W.shape[axis], stride)
        for axis, stride in enumerate(operator._strides)
    ]
