"""Kernels for recursive least squares (RLS).

A step multiplies the inverse correlation P by the activities, ``q = P.dot(pre)``, and then makes a
rank-one update, ``P -= k * outer(q, q)``. To read P once in a step, the update waits for the next
product: `rls_pass` does both in one pass. `rls_flush` makes an update that waits, before anybody
looks at P.

If P is symmetric to the bit, its upper triangle alone is updated and read. The flush copies it to
the lower one. Otherwise, as when a user has changed P, all of it is.

P is divided into bands of rows, each of which adds up a product of its own. Their number follows
from the size of P alone, so that results do not depend on the number of threads. A band takes
rows from the top and from the bottom of P in turn, so that all bands are the same work in either
form.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.kernels.dense import dot_of
from nengo_jit.engines.cpu.kernels.learning_rules import change_by, lower_delta
from nengo_jit.engines.cpu.language.kernel import Address, Count, Factor, Own, kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import (
    REASSOCIATE,
    Memory,
    helper,
    int64s,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.learning_rules import SimRLS
from nengo_jit.ir.memory import ALIGNMENT, align

TILE = 16  # rows, and columns, that are compared with their transpose at a time
LEAST = 64  # rows of a band
MOST_BANDS = 16


@helper()
def is_symmetric(memory, matrix, n):
    """Whether a matrix equals its transpose; false if there is a NaN."""
    itemsize = vector(memory, matrix, 0).itemsize
    for i in range(n):
        row = vector(memory, matrix + i * n * itemsize, n)
        if row[i] != row[i]:
            return False
    for top in range(0, n, TILE):
        for left in range(0, top + 1, TILE):
            for i in range(top, min(top + TILE, n)):
                row = vector(memory, matrix + i * n * itemsize, n)
                for j in range(left, min(left + TILE, i)):
                    if row[j] != vector(memory, matrix + (j * n + i) * itemsize, 1)[0]:
                        return False
    return True


@kernel(when="first", stage=-1, cost=0.2)
def rls_begin(
    memory: Memory,
    inverse: Address,
    symmetric: Own,
    product: Own,
    heights: Own,
    n: Count,
    m: Factor,
) -> None:
    """Note whether P is symmetric, and that no update waits."""
    int64s(symmetric, 1)[0] = is_symmetric(memory, inverse, n)
    products, factors = vector(memory, product, n), vector(memory, heights, m)
    for i in range(n):
        products[i], factors[i] = 0, 0


@helper(forceinline=True)
def row_at(place, n):
    """Which of n rows is at a place: the first, the last, the second, the last but one, ..."""
    return place // 2 if place % 2 == 0 else n - 1 - place // 2


@helper(forceinline=True, fastmath=REASSOCIATE)
def added(total, x, y):
    """``total + x * y``, a term of a sum that may be added up in any order."""
    return total + x * y


@helper(forceinline=True)
def pass_upper(row, product, height, pre, sums):
    """Update a row from the diagonal on, and multiply it and the column that equals it."""
    value = row[0] - height * product[0]
    row[0] = value
    total, own = value * pre[0], pre[0]
    for j in range(1, row.size):
        value = row[j] - height * product[j]
        row[j] = value
        total = added(total, value, pre[j])
        sums[j] = added(sums[j], value, own)
    sums[0] += total


@helper(forceinline=True)
def pass_whole(row, product, height, pre):
    """Update a whole row and multiply it."""
    value = row[0] - height * product[0]
    row[0] = value
    total = value * pre[0]
    for j in range(1, row.size):
        value = row[j] - height * product[j]
        row[j] = value
        total = added(total, value, pre[j])
    return total


@kernel(contract=False, cost=0.15)
def rls_pass(
    memory: Memory,
    inverse: Address,
    symmetric: Address,
    pre: Address,
    product: Address,
    heights: Address,
    sums: Own,
    n: Count,
    first: int,
    rows: Factor,
) -> None:
    """Update some rows of P, ``P -= outer(heights, product)``, and ``sums = P.dot(pre)`` for them.

    The band begins at the place ``first``, see `row_at`.
    """
    use_widest_vectors()
    totals, factors = vector(memory, sums, n), vector(memory, heights, n)
    itemsize, is_half = totals.itemsize, int64s(symmetric, 1)[0] != 0
    for i in range(n):
        totals[i] = 0
    for k in range(rows):
        i = row_at(first + k, n)
        left = i if is_half else 0
        row = vector(memory, inverse + (i * n + left) * itemsize, n - left)
        products = vector(memory, product + left * itemsize, n - left)
        activities = vector(memory, pre + left * itemsize, n - left)
        if is_half:
            others = vector(memory, sums + left * itemsize, n - left)
            pass_upper(row, products, factors[i], activities, others)
        else:
            totals[i] = pass_whole(row, products, factors[i], activities)


@kernel(contract=False, stage=1)
def rls_factors(
    memory: Memory,
    sums: Address,
    n_bands: int,
    distance: int,
    pre: Address,
    error: Address,
    product: Own,
    heights: Own,
    gain: Own,
    n: Count,
    m: int,
) -> None:
    """From the bands' sums the product, ``k * product``, and the factors of the change.

    The gain is ``-k * error``, where k is ``1 / (1 + pre.dot(product))``.
    """
    products, factors = vector(memory, product, n), vector(memory, heights, n)
    for i in range(n):
        products[i] = 0
    for band in range(n_bands):
        totals = vector(memory, sums + band * distance, n)
        for i in range(n):
            products[i] += totals[i]
    k = 1 / (1 + dot_of(products, vector(memory, pre, n)))
    for i in range(n):
        factors[i] = k * products[i]
    errors, gains = vector(memory, error, m), vector(memory, gain, m)
    for i in range(m):
        gains[i] = -k * errors[i]


@kernel(contract=False, stage=2, when="after", cost=0.5)
def rls_flush(
    memory: Memory,
    inverse: Address,
    symmetric: Address,
    product: Address,
    heights: Address,
    sums: Own,
    n: Count,
    first: int,
    rows: Factor,
) -> None:
    """Make the update of P that waits, if any does, and set its lower triangle; see `rls_pass`."""
    products, factors = vector(memory, product, n), vector(memory, heights, n)
    itemsize, is_half = products.itemsize, int64s(symmetric, 1)[0] != 0
    for k in range(rows):
        i = row_at(first + k, n)
        row, height = vector(memory, inverse + i * n * itemsize, n), factors[i]
        for j in range(i if is_half else 0, n):
            row[j] -= height * products[j]
        if is_half:
            for j in range(i + 1, n):
                vector(memory, inverse + (j * n + i) * itemsize, 1)[0] = row[j]
        factors[i] = 0


def n_bands_of(n: int) -> int:
    """How many bands a matrix of n rows has: a power of two."""
    return min(MOST_BANDS, 1 << max(0, (n // LEAST).bit_length() - 1))


@lowers(SimRLS)
def lower_sim_rls(operator: SimRLS, lowering: Lowering) -> Lowered:
    """Update P and multiply it by the activities, then compute the factors.

    Where others may read P in a step, it is updated at the end of each.
    """
    change, numbers_of = change_by(operator, lowering), lowering.arena.numbers_of
    pre, error = lowering.array(operator.pre_filtered), lowering.array(operator.error)
    n, itemsize = pre.size, pre.itemsize
    own = numbers_of(operator, "heights", n)
    n_bands, distance = n_bands_of(n), align(n * itemsize, ALIGNMENT)
    sums = start(lowering.arena.buffer(n_bands * distance, np.uint8))
    shared: dict[str, Any] = {
        "inverse": start(lowering.array(operator.inv_gamma)),
        "symmetric": start(lowering.arena.buffer(1)),
        "product": change.kept,
        "heights": start(own),
        "n": n,
    }
    cuts = [band * n // n_bands for band in range(n_bands + 1)]
    bands = [
        {"sums": offset(sums, band * distance), "first": first, "rows": last - first, **shared}
        for band, (first, last) in enumerate(pairwise(cuts))
    ]
    factors = rls_factors.row(
        sums=sums,
        n_bands=n_bands,
        distance=distance,
        pre=start(pre),
        error=start(error),
        product=change.kept,
        heights=start(own),
        gain=change.gain,
        n=n,
        m=error.size,
    )
    begin, flush = rls_begin, rls_flush
    if _may_wait(operator, lowering):
        lowering.delayed.add(operator.inv_gamma.base)
    else:
        begin, flush = begin.but(when="always"), flush.but(when="always")
    return [
        begin.row(m=n, **shared),
        *(rls_pass.row(pre=start(pre), **band) for band in bands),
        factors,
        *(flush.row(**band) for band in bands),
        lower_delta(operator, change, lowering),
    ]


def _may_wait(operator: SimRLS, lowering: Lowering) -> bool:
    """Whether nobody sees in a step whether P has been updated."""
    facts, inverse = lowering.facts, operator.inv_gamma
    return (
        not facts.is_exposed(inverse)
        and not facts.uses.readers_of(inverse)
        and facts.uses.is_only_writer(operator, inverse)
    )
