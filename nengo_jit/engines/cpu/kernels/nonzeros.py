"""Products with constant dense matrices that are almost all zeros, by their nonzero elements.

If x is not finite, all elements are multiplied: zero times infinity is NaN.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.operator import element
from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, Out, RowsOf
from nengo_jit.engines.cpu.language.kernel import Row, kernel, start
from nengo_jit.engines.cpu.language.primitives import Address, Memory, int32s, int64s, vector
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.ir.signal import Signal


@kernel(reassociate=True, cost=0.9, cost_of_row=100.0)
def dot_nonzeros(
    memory: Memory,
    ends: RowsOf,
    first_end: Address,
    values: Address,
    columns: Address,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: Distance,
    matrix: Address,
    width: int,
    down: int,
    right: int,
) -> None:
    """``y += A.dot(x)`` for a matrix with about m nonzero elements in a row.

    Their values and columns are listed row by row. The list of row i begins at ``ends[i]`` and
    ends at ``ends[i + 1]``. The matrix has ``width`` columns; its strides are ``down`` and
    ``right`` bytes.
    """
    factors, sums, stops = vector(memory, x, width), vector(memory, y, n), int64s(ends, n + 1)
    numbers, places = vector(memory, values, stops[n]), int32s(columns, stops[n])
    are_finite = True
    for j in range(width):
        are_finite &= factors[j] - factors[j] == 0
    top = matrix + (ends - first_end) // distance * down
    for i in range(n):
        total = factors[0] - factors[0]
        if are_finite:
            for k in range(np.uint64(stops[i]), np.uint64(stops[i + 1])):
                total += numbers[k] * factors[np.uint64(places[k])]
        else:
            for j in range(width):
                total += element(memory, top + i * down, right, j) * factors[j]
        sums[i] += total


def multiply_nonzeros(
    signal: Signal, a: np.ndarray, x: np.ndarray, y: np.ndarray, lowering: Lowering
) -> Row:
    """Return the row for a product with a constant matrix.

    Parameters
    ----------
    signal : Signal
        The constant that the matrix is.
    a : (n, m) numpy.ndarray
        The matrix.
    x, y : numpy.ndarray
        The (m,) and (n,) vectors, without gaps.
    lowering : Lowering
        Provides memory.
    """
    rows, columns = np.nonzero(a)
    values = a[rows, columns]

    def are_the_same() -> bool:
        return np.count_nonzero(a) == len(values) and np.array_equal(a[rows, columns], values)

    arena = lowering.arena
    lowering.assumptions.assume(signal, are_the_same)
    ends = arena.constant(np.searchsorted(rows, np.arange(y.size + 1)), np.int64)
    return dot_nonzeros.row(
        ends=ends,
        first_end=ends,
        values=arena.constant(values),
        columns=arena.constant(columns, np.int32),
        x=start(x),
        y=start(y),
        n=y.size,
        m=max(len(values) // y.size, 1),
        distance=8,
        matrix=start(a),
        width=x.size,
        down=a.strides[0],
        right=a.strides[1],
    )
