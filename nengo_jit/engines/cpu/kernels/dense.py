"""Kernels for products of matrices and dense vectors."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.operator import element
from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, In, Out, RowsOf
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import (
    REASSOCIATE,
    Address,
    Memory,
    helper,
    use_widest_vectors,
    vector,
)


@helper(forceinline=True)
def packed(memory: Memory, address: int, stride: int, n: int, work: int) -> np.ndarray:
    """A strided vector as a contiguous array: a view, or a copy in ``work``; for use in kernels."""
    array = vector(memory, work, n)
    if stride == array.itemsize:
        return vector(memory, address, n)
    for i in range(n):
        array[i] = vector(memory, address + i * stride, 1)[0]
    return array


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
    """``y = b + A.dot(x)`` for a matrix at ``a``, stored as for `dot_columns`."""
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
    """``y = begin + A.dot(x)`` for a matrix with few columns, m; in place if ``begin == y``.

    The matrix is stored column by column; columns lie ``distance`` bytes apart.
    """
    use_widest_vectors()
    multiply_columns(memory, columns, begin, x, y, n, m, distance)


@helper(forceinline=True, fastmath=REASSOCIATE)
def dot_of(x, y):
    """``x.dot(y)``, added up in any order."""
    total = x[0] * y[0]
    for i in range(1, x.size):
        total += x[i] * y[i]
    return total


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
    """``y += A.dot(x)`` for a matrix with many columns, m, stored row by row."""
    factors, sums = vector(memory, x, m), vector(memory, y, n)
    for i in range(n):
        sums[i] += dot_of(vector(memory, matrix + i * distance, m), factors)


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
    """``y += A.dot(x)`` for a strided matrix and strided vectors.

    Strides are in bytes: "down" to the next row, "right" to the next column, "step" to the next
    element of a vector. If x is not contiguous, it is copied to ``work``.
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
