"""Kernels for recursive least squares (RLS).

A step multiplies the inverse correlation P by the activities, ``q = P.dot(pre)``, and then makes a
rank-one update, ``P -= k * outer(q, q)``. To read P once in a step, the update waits for the next
product: `rls_pass` does both in one pass. When user code reads P, another pass makes the pending
update first.

While P is symmetric to the bit, only its upper triangle is updated and read. The lower one is set
when user code reads P. If a user has made P asymmetric, all of it is updated and read.

P is divided into bands of rows, each of which adds up a product of its own. Their number follows
from the size of P alone, so that results do not depend on the number of threads. Bands have rows
from the top and from the bottom of P, so that all are the same work in either form.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.kernels.dense import dot_of
from nengo_jit.engines.cpu.kernels.half_rules import half_rls
from nengo_jit.engines.cpu.kernels.learning_rules import change_by, lower_delta
from nengo_jit.engines.cpu.language.columns import Count, Factor, Own
from nengo_jit.engines.cpu.language.kernel import kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import (
    FLOAT16,
    Address,
    Memory,
    add_product,
    add_products,
    helper,
    int64s,
    load_lanes,
    n_lanes,
    store_lanes,
    sum_lanes,
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
def update_corner(row, i, heights, product, pre, sums):
    """Do what `rls_pass` does with a row of a square on the diagonal, of which i come before."""
    for j in range(i, row.size):
        value = row[j] - heights[i] * product[j]
        row[j] = value
        sums[i] += value * pre[j]
        if j > i:
            sums[j] += value * pre[i]


@helper(forceinline=True)
def mirror_rows(memory, inverse, top, height, n):
    """Copy some rows of the upper triangle to the columns of the lower one."""
    itemsize = vector(memory, inverse, 0).itemsize
    for j in range(top, n):
        target = vector(memory, inverse + (j * n + top) * itemsize, height)
        for i in range(min(height, j - top)):
            target[i] = vector(memory, inverse + ((top + i) * n + j) * itemsize, 1)[0]


@kernel(contract=False, cost=0.4)
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
    blocks: Factor,
    is_last: int,
) -> None:
    """Update some rows of P, ``P -= outer(heights, product)``, and ``sums = P.dot(pre)`` for them.

    Four rows at a time are read: a block. The blocks are taken from the top and from the bottom of
    P in turn, from the place ``first`` on. The pass before user code reads P sets the lower
    triangle, and leaves no update pending.
    """
    totals, factors = vector(memory, sums, n), vector(memory, heights, n)
    activities = vector(memory, pre, n)
    itemsize, is_half = totals.itemsize, int64s(symmetric, 1)[0] != 0
    for i in range(n):
        totals[i] = 0
    for place in range(first, first + blocks):
        block = place // 2 if place % 2 == 0 else (n + 3) // 4 - 1 - place // 2
        i0, left = 4 * block, 0
        height = min(4, n - i0)
        if is_half:
            left = i0 + height
            for i in range(height):
                row = vector(memory, inverse + ((i0 + i) * n + i0) * itemsize, height)
                update_corner(
                    row,
                    i,
                    vector(memory, heights + i0 * itemsize, height),
                    vector(memory, product + i0 * itemsize, height),
                    vector(memory, pre + i0 * itemsize, height),
                    vector(memory, sums + i0 * itemsize, height),
                )
        # What would be beyond the last row is the last one again.
        i1, i2, i3 = min(i0 + 1, n - 1), min(i0 + 2, n - 1), min(i0 + 3, n - 1)
        row0, row1 = inverse + i0 * n * itemsize, inverse + i1 * n * itemsize
        row2, row3 = inverse + i2 * n * itemsize, inverse + i3 * n * itemsize
        h0, h1, h2, h3 = -factors[i0], -factors[i1], -factors[i2], -factors[i3]
        r0, r1, r2, r3 = activities[i0], activities[i1], activities[i2], activities[i3]
        zeros = load_lanes(memory, pre, 0)
        total0, total1, total2, total3 = zeros, zeros, zeros, zeros
        for j in range(left, n, n_lanes(memory)):
            at, rest = j * itemsize, n - j
            q, r = load_lanes(memory, product + at, rest), load_lanes(memory, pre + at, rest)
            p0 = add_product(load_lanes(memory, row0 + at, rest), h0, q)
            p1 = add_product(load_lanes(memory, row1 + at, rest), h1, q)
            p2 = add_product(load_lanes(memory, row2 + at, rest), h2, q)
            p3 = add_product(load_lanes(memory, row3 + at, rest), h3, q)
            store_lanes(row0 + at, rest, p0)
            store_lanes(row1 + at, rest, p1)
            store_lanes(row2 + at, rest, p2)
            store_lanes(row3 + at, rest, p3)
            if rest < n_lanes(memory):  # zeros beyond the end, where an infinite height gives NaN
                p0, p1 = load_lanes(memory, row0 + at, rest), load_lanes(memory, row1 + at, rest)
                p2, p3 = load_lanes(memory, row2 + at, rest), load_lanes(memory, row3 + at, rest)
            total0, total1 = add_products(total0, p0, r), add_products(total1, p1, r)
            total2, total3 = add_products(total2, p2, r), add_products(total3, p3, r)
            if is_half:
                added = add_product(load_lanes(memory, sums + at, rest), r0, p0)
                added = add_product(add_product(added, r1, p1), r2, p2)
                store_lanes(sums + at, rest, add_product(added, r3, p3))
        at0, at1, at2, at3 = totals[i0], totals[i1], totals[i2], totals[i3]
        totals[i0], totals[i1] = at0 + sum_lanes(total0), at1 + sum_lanes(total1)
        totals[i2], totals[i3] = at2 + sum_lanes(total2), at3 + sum_lanes(total3)
        if is_last:
            if is_half:
                mirror_rows(memory, inverse, i0, height, n)
            for i in range(i0, i0 + height):
                factors[i] = 0


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


def n_bands_of(n: int) -> int:
    """How many bands a matrix of n rows has: a power of two."""
    return min(MOST_BANDS, 1 << max(0, (n // LEAST).bit_length() - 1))


@lowers(SimRLS)
def lower_sim_rls(operator: SimRLS, lowering: Lowering) -> Lowered:
    """Update P and multiply it by the activities, then compute the factors.

    Where others may read P in a step, it is updated at the end of each.
    """
    pre, error = lowering.array(operator.pre_filtered), lowering.array(operator.error)
    if lowering.dtype == FLOAT16:
        row = half_rls.row(
            pre=start(pre),
            error=start(error),
            inverse=lowering.address(operator.inv_gamma),
            delta=lowering.address(operator.delta),
            product=start(lowering.arena.buffer(2 * pre.size, np.float64)),
            n=pre.size,
            m=error.size,
        )
        return [row]
    change = change_by(operator, lowering)
    n, itemsize = pre.size, pre.itemsize
    heights = start(lowering.arena.buffer(n, lowering.dtype))
    n_bands, distance = n_bands_of(n), align(n * itemsize, ALIGNMENT)
    sums = start(lowering.arena.buffer(n_bands * distance, np.uint8))
    shared: dict[str, Any] = {
        "inverse": start(lowering.array(operator.inv_gamma)),
        "symmetric": start(lowering.arena.buffer(1)),
        "product": change.kept,
        "heights": heights,
        "n": n,
    }
    blocks = -(-n // 4)
    cuts = [band * blocks // n_bands for band in range(n_bands + 1)]
    bands = [
        {
            "pre": start(pre),
            "sums": offset(sums, band * distance),
            "first": first,
            "blocks": last - first,
            **shared,
        }
        for band, (first, last) in enumerate(pairwise(cuts))
    ]
    factors = rls_factors.row(
        sums=sums,
        n_bands=n_bands,
        distance=distance,
        pre=start(pre),
        error=start(error),
        product=change.kept,
        heights=heights,
        gain=change.gain,
        n=n,
        m=error.size,
    )
    begin, flush = rls_begin, rls_pass.variant(stage=2, when="after")
    if _may_wait(operator, lowering):
        lowering.delayed.add(operator.inv_gamma.base)
    else:
        begin, flush = begin.variant(when="always"), flush.variant(when="always")
    return [
        begin.row(m=n, **shared),
        *(rls_pass.row(is_last=0, **band) for band in bands),
        factors,
        *(flush.row(is_last=1, **band) for band in bands),
        lower_delta(operator, change, lowering),
    ]


def _may_wait(operator: SimRLS, lowering: Lowering) -> bool:
    """Whether nothing but the rule accesses P within a step."""
    facts, inverse = lowering.facts, operator.inv_gamma
    return (
        not facts.is_exposed(inverse)
        and not facts.uses.readers_of(inverse)
        and facts.uses.is_only_writer(operator, inverse)
    )
