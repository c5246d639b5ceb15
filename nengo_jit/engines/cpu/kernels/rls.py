"""Kernels for recursive least squares (RLS).

Distances are bytes from row to row.
"""

from __future__ import annotations

from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, In, Out, RowsOf
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.primitives import Address, Memory, helper, vector
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.learning_rules import SimRLS


@kernel(reassociate=True)
def rls_product(
    memory: Memory,
    inverse: RowsOf,
    pre: Address,
    product: Out,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``product = P.dot(pre)``."""
    activities, products = vector(memory, pre, m), vector(memory, product, n)
    for i in range(n):
        row = vector(memory, inverse + i * distance, m)
        total = row[0] * activities[0]
        for j in range(1, m):
            total += row[j] * activities[j]
        products[i] = total


@helper(forceinline=True)
def gain_of(memory: Memory, pre: int, product: int, n: int) -> float:
    """``1 / (1 + pre.dot(product))``."""
    activities, values = vector(memory, pre, n), vector(memory, product, n)
    total = activities[0] * values[0]
    for i in range(1, n):
        total += activities[i] * values[i]
    return 1 / (1 + total)


@kernel(reassociate=True, stage=1)
def rls_delta(
    memory: Memory,
    pre: Address,
    whole: Address,
    error: Address,
    product: In,
    delta: Out,
    n: Count,
    m: Factor,
    distance: int,
) -> None:
    """``delta = -gain * outer(error, product)``, for all or some columns of delta.

    ``whole`` is the address of the whole product, ``product`` that of the part for n columns.
    """
    errors, products = vector(memory, error, m), vector(memory, product, n)
    factor = -gain_of(memory, pre, whole, distance // errors.itemsize)
    for i in range(m):
        changes = vector(memory, delta + i * distance, n)
        height = factor * errors[i]
        for j in range(n):
            changes[j] = height * products[j]


@kernel(reassociate=True, stage=1)
def rls_inverse(
    memory: Memory,
    pre: Address,
    whole: Address,
    product: In,
    inverse: Out,
    n: Count,
    m: Factor,
    distance: int,
) -> None:
    """``P -= gain * outer(product, product)``, for all or some columns of P; see `rls_delta`.

    Rows are taken upwards: `rls_product` read them downwards, so the last ones are in the cache.
    """
    heights, products = vector(memory, whole, m), vector(memory, product, n)
    factor = gain_of(memory, pre, whole, m)
    for i in range(m - 1, -1, -1):
        row = vector(memory, inverse + i * distance, n)
        height = factor * heights[i]
        for j in range(n):
            row[j] -= height * products[j]


@lowers(SimRLS)
def lower_sim_rls(operator: SimRLS, lowering: Lowering) -> Lowered:
    """Compute the product of P and the activities, then delta and the new P."""
    pre, error = lowering.array(operator.pre_filtered), lowering.array(operator.error)
    delta, inverse = lowering.array(operator.delta), lowering.array(operator.inv_gamma)
    product = start(lowering.arena.buffer(pre.size, lowering.dtype))
    n, distance = pre.size, inverse.strides[0]
    of_error = rls_delta.row(
        pre=start(pre),
        whole=product,
        error=start(error),
        product=product,
        delta=start(delta),
        n=n,
        m=error.size,
        distance=distance,
    )
    return [
        rls_product.row(
            inverse=start(inverse), pre=start(pre), product=product, n=n, m=n, distance=distance
        ),
        of_error,
        rls_inverse.row(
            pre=start(pre),
            whole=product,
            product=product,
            inverse=start(inverse),
            n=n,
            m=n,
            distance=distance,
        ),
    ]
