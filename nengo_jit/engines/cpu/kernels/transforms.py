# mypy: disable-error-code="no-untyped-def"
# (kernels are compiled: their arguments have no types in Python)
"""Kernels for sparse matrices and for convolutions.

Convolutions are computed on images whose channels come last, so that the innermost loop runs
over the filters. Other images are copied, to and fro.
"""

from __future__ import annotations

from typing import Any

import nengo.utils.numpy as npext
import numpy as np

from nengo_jit.builder.operator import SparseDotInc
from nengo_jit.builder.transforms import ConvInc, ConvTransposeInc, GeneralConvInc, same_padding
from nengo_jit.engines.cpu.kernels.operator import (
    contiguous,
    copy_planes,
    copy_strided,
    fill,
    lower_dot_inc,
    places,
    start,
)
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.machine import (
    Kernel,
    helper,
    integers,
    kernel,
    use_widest_vectors,
    vector,
)

# after a convolution, where copy_strided as such comes before it
copy_result = Kernel(copy_strided.function, copy_strided.fields, stage=2)


@kernel("r===wnm=", reassociate=True, cost=0.9)
def sparse_dot_rows(memory, table):
    """``y += A.dot(x)`` for a sparse matrix that is stored row by row.

    A row has the addresses of the row ends, the data, the places of the columns in x, x and y.
    """
    rows = integers(table, 1 + 8 * integers(table, 1)[0])
    for r in range(1, rows.size, 8):
        n = rows[r + 5]
        ends, y = integers(rows[r], n + 1), vector(memory, rows[r + 4], n)
        data, columns = vector(memory, rows[r + 1], ends[n]), integers(rows[r + 2], ends[n])
        x = vector(memory, rows[r + 3], 1)
        for i in range(n):
            total = y[i]
            for k in range(np.uint64(ends[i]), np.uint64(ends[i + 1])):
                total += data[k] * x[np.uint64(columns[k])]
            y[i] = total
    return 0


@kernel("======")
def sparse_dot_triplets(memory, table):
    """``y += A.dot(x)`` for a sparse matrix that is stored in any order.

    A row has the addresses of the data, of the places of their rows in y and of their columns in
    x, of x and y, and the number of data.
    """
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n = rows[r + 5]
        data, targets = vector(memory, rows[r], n), integers(rows[r + 1], n)
        sources = integers(rows[r + 2], n)
        x, y = vector(memory, rows[r + 3], 1), vector(memory, rows[r + 4], 1)
        for k in range(n):
            y[np.uint64(targets[k])] += data[k] * x[np.uint64(sources[k])]
    return 0


@lowers(SparseDotInc, checked=False)
def lower_sparse_dot_inc(operator: SparseDotInc, lowering: Lowering) -> Lowered | None:
    """Multiply by the data where they are, since they may be changed; copy the indices."""
    matrix: Any = lowering.array(operator.A)
    x, y = lowering.array(operator.X), lowering.array(operator.Y)
    if not matrix.dtype == x.dtype == y.dtype == lowering.dtype:
        return None
    if not npext.is_spmatrix(matrix):  # SciPy is not installed
        return lower_dot_inc(operator, lowering)
    if matrix.shape[1] != len(x) or (matrix.shape[0], *x.shape[1:]) != y.shape:
        return None
    (x_start, x_places), (y_start, y_places) = places(x.reshape(-1)), places(y.reshape(-1))
    if matrix.format == "csr" and contiguous(y):
        ends = lowering.constant(matrix.indptr, np.int64)
        columns = lowering.constant(x_places[matrix.indices], np.int64)
        work = max(matrix.nnz // max(y.size, 1), 1)
        return [
            (
                sparse_dot_rows,
                (ends, start(matrix.data), columns, x_start, y_start, y.size, work, 8),
            )
        ]
    if matrix.format not in ("csr", "csc", "coo"):
        return None
    triplets = matrix.tocoo()  # in the same order
    targets = lowering.constant(y_places[triplets.row], np.int64)
    sources = lowering.constant(x_places[triplets.col], np.int64)
    data = matrix.data
    return [(sparse_dot_triplets, (start(data), targets, sources, x_start, y_start, data.size))]


@helper(inline="always")
def add_products(
    memory: Any, y: int, x: int, w: int, n: int, length: int, distance: int, skip: int
) -> None:
    """``y += x.dot(w)`` for n numbers at y, ``length`` at x and as many rows at w.

    The rows lie ``distance`` bytes apart. Four at a time are done, none where ``skip`` is set
    and all four factors are zero.
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


@kernel("w====nm", cost=0.15, stage=1)
def convolve(memory, table):
    """`nengo_jit.builder.transforms.ConvInc` on images with channels last.

    A row has the address of the outputs to compute and of the first output of all, of the input,
    of the weights and of the geometry.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        y, x, w, n = rows[r], rows[r + 2], rows[r + 3], rows[r + 5]
        itemsize = vector(memory, y, 1).itemsize
        g = integers(rows[r + 4], 15)
        height, width, channels, out_width, filters = g[0], g[1], g[2], g[4], g[5]
        groups, skip = g[12], g[14]
        per_group, inputs = filters // groups, channels // groups
        single = groups > 1 and per_group == 1 and inputs == 1  # a filter has its own channel
        pixel, f = divmod((y - rows[r + 1]) // itemsize, filters)
        i, j = divmod(pixel, out_width)
        done = 0
        while done < n:
            group = f // per_group if groups > 1 else 0
            count = min(filters - f if single else (group + 1) * per_group - f, n - done)
            top, left = i * g[8] - g[10], j * g[9] - g[11]
            q_first, q_last = max(0, -left), min(g[7], width - left)
            length, n_runs = inputs, q_last - q_first
            if groups == 1:
                length, n_runs = inputs * n_runs, min(n_runs, 1)
            target = y + done * itemsize
            for k in range(max(0, -top), min(g[6], height - top)):
                place = ((top + k) * width + left + q_first) * channels + group * inputs
                source = x + place * itemsize
                weights = w + ((k * g[7] + q_first) * inputs * filters + f) * itemsize
                for _ in range(n_runs):
                    if single:
                        result, factors = (
                            vector(memory, target, count),
                            vector(memory, source, count),
                        )
                        taps = vector(memory, weights, count)
                        for c in range(count):
                            result[c] += factors[c] * taps[c]
                    else:
                        add_products(
                            memory, target, source, weights, count, length, filters * itemsize, skip
                        )
                    source += channels * itemsize
                    weights += inputs * filters * itemsize
            done += count
            f += count
            if f == filters:  # the next pixel
                f, j = 0, j + 1
                if j == out_width:
                    i, j = i + 1, 0
    return 0


@kernel("w====nm", cost=0.15, stage=1)
def convolve_transposed(memory, table):
    """`nengo_jit.builder.transforms.ConvTransposeInc` on images with channels last.

    For the columns see `convolve`.
    """
    use_widest_vectors()
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        y, x, w, n = rows[r], rows[r + 2], rows[r + 3], rows[r + 5]
        itemsize = vector(memory, y, 1).itemsize
        g = integers(rows[r + 4], 15)
        height, width, channels, out_width, filters = g[0], g[1], g[2], g[4], g[5]
        first = (y - rows[r + 1]) // itemsize
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
                        w + ((k * g[7] + q) * channels * filters + f) * itemsize,
                        count,
                        channels,
                        filters * itemsize,
                        g[14],
                    )
            done += count
    return 0


@lowers(ConvInc)
@lowers(ConvTransposeInc)
@lowers(GeneralConvInc)
def lower_conv_inc(operator: GeneralConvInc, lowering: Lowering) -> Lowered | None:
    """Convolve; images that do not have their channels last, or have gaps, are copied."""
    if operator.conv.dimensions > 2:
        return None
    W, X, Y = operator._images(lowering.signals)
    if not contiguous(W) or W.size * X.size * Y.size == 0:
        return None
    padding, strides = paddings(operator, W, X, Y), operator._strides
    groups = X.shape[2] // W.shape[2]
    skip = operator.W.base.readonly and bool(np.isfinite(W).all())
    geometry = [*X.shape, *Y.shape, *W.shape[:2], *strides, *padding, groups, 0, int(skip)]
    before: Lowered = []
    after: Lowered = []
    if not contiguous(X):
        image = lowering.buffer(X.size, lowering.dtype).reshape(X.shape)
        before += copy_planes(X, image, inc=False)
        X = image
    if not contiguous(Y):
        image = lowering.buffer(Y.size, lowering.dtype).reshape(Y.shape)
        before.append((fill, (start(image), lowering.parameters([0.0]), image.size)))
        after += [(copy_result, row) for _, row in copy_planes(image, Y, inc=True)]
        Y = image
    used = convolve_transposed if operator.is_transpose else convolve
    work = W[..., 0].size // (int(np.prod(strides)) if operator.is_transpose else 1)
    address = lowering.constant(geometry, np.int64)
    row = (start(Y), start(Y), start(X), start(W), address, Y.size, max(work, 1))
    return [*before, (used, row), *after]


def paddings(operator: GeneralConvInc, W: Any, X: Any, Y: Any) -> tuple[int, int]:
    """How many rows and columns the kernel's first places are before the image's."""
    if operator.conv.padding != "same":
        return 0, 0
    small, large = (X, Y) if operator.is_transpose else (Y, X)
    before = [
        same_padding(large.shape[axis], small.shape[axis], W.shape[axis], stride)[0]
        for axis, stride in enumerate(operator._strides)
    ]
    return before[0], before[1]
