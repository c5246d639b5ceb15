"""Kernels for products of matrices and dense vectors."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.kernels.operator import element
from nengo_jit.engines.cpu.language.columns import (
    Count,
    Distance,
    Factor,
    In,
    InOut,
    Out,
    RowsOf,
)
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
    store_lanes,
    use_widest_vectors,
    vector,
)

FEW = 256  # numbers of a column that are added in registers
PART = 16_384  # bytes of x that stay in the first cache, with as many of a row

# Words of the record of a product that is kept, see `held.py`
WORDS = 9
STATE = 4  # number of words that change
TO_DO, MISSES, ON_PATH, STEPS, MOST_STEPS, DECAY, VELOCITY, RESULTS, FIRST = range(WORDS)
# Values of TO_DO: nothing is known; compute ``A x``; compute ``A x`` and ``A v``; advance ``A x``
# along the path; keep ``A x``, since x is the same.
FORGOTTEN, COMPUTE, BOTH, ADVANCE, KEEP = range(5)


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
    """``y = b + A.dot(x)`` for a matrix at ``a``, stored as for `dot_columns`.

    Columns with few numbers are added in registers, without what comes before and after a loop.
    """
    factors, total = vector(memory, x, m), vector(memory, y, n)
    if n <= FEW:
        for i in range(0, n, n_lanes(memory)):
            begin, rest = i * factors.itemsize, n - i
            lanes = load_lanes(memory, b + begin, rest)
            for k in range(m):
                column = load_lanes(memory, a + k * distance + begin, rest)
                lanes = add_product(lanes, factors[k], column)
            store_lanes(y + begin, rest, lanes)
        return
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
def is_kept(record: int) -> bool:
    """Whether the result of a product in place, which may have a record, is still right."""
    return record != 0 and int64s(record, WORDS)[TO_DO] == KEEP


@helper(forceinline=True)
def multiply_columns_held(memory, a, b, x, y, n, m, distance, record):
    """As `multiply_columns`; if the product is kept in y, do what its record says."""
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
    """``y = begin + A.dot(x)`` for a matrix with few columns, m; in place if ``begin == y``.

    The matrix is stored column by column; columns lie ``distance`` bytes apart. A product that is
    kept, in y itself, has a record, see `held.py`; for others it is zero.
    """
    use_widest_vectors()
    multiply_columns_held(memory, columns, begin, x, y, n, m, distance, record)


@helper(forceinline=True, fastmath=REASSOCIATE)
def dot_of(x, y):
    """``x.dot(y)``, added up in any order."""
    total = x[0] * y[0]
    for i in range(1, x.size):
        total += x[i] * y[i]
    return total


@helper(forceinline=True)
def add_rows(memory, matrix, x, y, n, m, distance):
    """``y += A.dot(x)`` for a matrix that is stored row by row.

    All rows are multiplied by one part of x after the other, so that it comes from the first cache.
    """
    sums = vector(memory, y, n)
    size = PART // sums.itemsize
    for first in range(0, m, size):
        begin, count = first * sums.itemsize, min(size, m - first)
        factors = vector(memory, x + begin, count)
        for i in range(n):
            sums[i] += dot_of(vector(memory, matrix + i * distance + begin, count), factors)


@helper(forceinline=True)
def multiply_rows(memory, matrix, x, y, n, m, distance):
    """``y = A.dot(x)``, as in `add_rows`."""
    products = vector(memory, y, n)
    for i in range(n):
        products[i] = 0
    add_rows(memory, matrix, x, y, n, m, distance)


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
    add_rows(memory, matrix, x, y, n, m, distance)


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
    """As `dot_rows`; compute the products, which are kept, as their record says, see `held.py`.

    Rows whose path is not finite are computed in each step: infinities do not follow a path.
    """
    words = int64s(record, WORDS)
    kept, sums, to_do = vector(memory, products, n), vector(memory, y, n), words[TO_DO]
    if to_do < ADVANCE:
        multiply_rows(memory, matrix, x, products, n, m, distance)
    if BOTH <= to_do <= ADVANCE:
        path = words[RESULTS] + (products - words[FIRST])
        velocity, decay = vector(memory, path, n), vector(memory, words[DECAY], 1)[0]
        if to_do == BOTH:
            multiply_rows(memory, matrix, words[VELOCITY], path, n, m, distance)
        are_finite = True
        for i in range(n if to_do == ADVANCE else 0):
            kept[i] = decay * kept[i] + velocity[i]
            are_finite &= velocity[i] - velocity[i] == 0
        for i in range(0 if are_finite else n):
            if velocity[i] - velocity[i] != 0:
                row, product = matrix + i * distance, products + i * kept.itemsize
                multiply_rows(memory, row, x, product, 1, m, distance)
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
