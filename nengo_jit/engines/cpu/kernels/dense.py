"""Kernels for products of matrices and dense vectors."""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

from nengo_jit.engines.cpu.kernels.operator import element
from nengo_jit.engines.cpu.language.kernel import (
    Address,
    Count,
    Distance,
    Factor,
    In,
    InOut,
    Out,
    RowsOf,
    kernel,
)
from nengo_jit.engines.cpu.language.primitives import (
    Memory,
    helper,
    int64s,
    use_widest_vectors,
    vector,
)

# The record of a product that is kept, see `held.py`: where each of its words stands
WORDS = 8
TO_DO, ON_PATH, STEPS, MOST_STEPS, DECAY, VELOCITY, RESULTS, FIRST = range(WORDS)
# What there is to do: nothing is known any more; compute ``A x``; or that and ``A v``, too; let
# both make a step along the path; or nothing, since x is the same.
FORGOTTEN, COMPUTE, BOTH, ADVANCE, KEEP = range(5)


@helper(forceinline=True)
def packed(memory: Any, address: int, stride: int, n: int, work: int) -> Any:
    """A vector with gaps, as an array without any: itself or a copy; for use in kernels."""
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


@helper(forceinline=True)
def multiply_columns_held(memory, a, b, x, y, n, m, distance, record):
    """As `multiply_columns`, or what there is to do instead if the product is kept."""
    to_do = FORGOTTEN if record == 0 else int64s(record, WORDS)[TO_DO]
    if to_do == KEEP:
        return
    if to_do < ADVANCE:
        multiply_columns(memory, a, b, x, y, n, m, distance)
    if to_do < BOTH:
        return
    words, total = int64s(record, WORDS), vector(memory, y, n)
    place, decay = words[RESULTS] + (y - words[FIRST]), vector(memory, words[DECAY], 1)[0]
    velocity = vector(memory, place, n)
    if to_do == BOTH:
        begin, rest = vector(memory, b, n), decay / decay - decay
        for i in range(n):
            velocity[i] = begin[i] * rest
        multiply_columns(memory, a, place, words[VELOCITY], place, n, m, distance)
    else:
        for i in range(n):
            total[i] = decay * total[i] + velocity[i]


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
    record: Address,
) -> None:
    """``y = begin + A.dot(x)`` for a matrix with m columns, which are few; y may be its beginning.

    The matrix is stored column by column, ``distance`` bytes from one to the next. If the product
    is kept, which is in y itself, it has a record; see `held.py`.
    """
    use_widest_vectors()
    multiply_columns_held(memory, columns, begin, x, y, n, m, distance, record)


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
def dot(row, factors):
    """The product of two vectors, which are not empty."""
    total = row[0] * factors[0]
    for j in range(1, row.size):
        total += row[j] * factors[j]
    return total


@kernel(reassociate=True)
def dot_rows_held(
    memory: Memory,
    matrix: RowsOf,
    x: Address,
    products: InOut,
    y: Out,
    n: Count,
    m: Factor,
    distance: Distance,
    record: Address,
) -> None:
    """As `dot_rows`, for products that are kept, by their record; see `held.py`."""
    words, factors = int64s(record, WORDS), vector(memory, x, m)
    kept, sums, to_do = vector(memory, products, n), vector(memory, y, n), words[TO_DO]
    if to_do < BOTH:
        for i in range(n):
            kept[i] = dot(vector(memory, matrix + i * distance, m), factors)
    elif to_do != KEEP:
        velocity = vector(memory, words[RESULTS] + (products - words[FIRST]), n)
        changes, decay = vector(memory, words[VELOCITY], m), vector(memory, words[DECAY], 1)[0]
        are_finite = True
        for i in range(n if to_do == ADVANCE else 0):
            kept[i] = decay * kept[i] + velocity[i]
            are_finite &= velocity[i] - velocity[i] == 0
        for i in range(n if to_do == BOTH or not are_finite else 0):
            row = vector(memory, matrix + i * distance, m)
            if to_do == BOTH:
                velocity[i] = dot(row, changes)
            if to_do == BOTH or velocity[i] - velocity[i] != 0:
                kept[i] = dot(row, factors)
    for i in range(n):
        sums[i] += kept[i]


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
