"""Kernels for learning rules in half precision, in the order of nengo's operations."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import TypedDict

import numpy as np

from nengo_jit.engines.cpu.kernels.half import ITEMSIZE
from nengo_jit.engines.cpu.language.columns import Count, Factor, In, Out, Own
from nengo_jit.engines.cpu.language.kernel import Row, kernel, start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    float64s,
    scalars,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.ir.learning_rules import SimOja, SimVoja


@kernel(exact=True)
def half_oja(
    memory: Memory,
    pre: In,
    delta: Out,
    weights: In,
    post: Address,
    parameters: Address,
    n: Count,
    m: Factor,
    distance: int,
    weights_distance: int,
) -> None:
    """``delta = -beta * weights * (alpha * post * post) + outer(alpha * post, pre)``.

    The parameters are alpha and minus beta; all else is as in `learning_rules.py`.
    """
    activities, heights = vector(memory, pre, n), vector(memory, post, m)
    p = scalars(memory, parameters, 2)
    for i in range(m):
        changes = vector(memory, delta + i * distance, n)
        row, gain = vector(memory, weights + i * weights_distance, n), p[0] * heights[i]
        forgetting = gain * heights[i]
        for j in range(n):
            changes[j] = p[1] * row[j] * forgetting + gain * activities[j]


@kernel(exact=True)
def half_voja(
    memory: Memory,
    pre: In,
    delta: Out,
    weights: In,
    post: Address,
    scale: Address,
    learning: Address,
    alpha: Address,
    n: Count,
    m: Factor,
    distance: int,
    weights_distance: int,
) -> None:
    """``delta = alpha * learning * (scale * outer(post, pre) - post * weights)``."""
    activities, heights = vector(memory, pre, n), vector(memory, post, m)
    scales = vector(memory, scale, m)
    rate = scalars(memory, alpha, 1)[0] * vector(memory, learning, 1)[0]
    for i in range(m):
        changes = vector(memory, delta + i * distance, n)
        row = vector(memory, weights + i * weights_distance, n)
        for j in range(n):
            target = scales[i] * (heights[i] * activities[j])
            changes[j] = rate * (target - heights[i] * row[j])


@kernel(reassociate=True, contract=False)
def half_rls(
    memory: Memory,
    pre: Address,
    error: Address,
    inverse: Own,
    delta: Own,
    product: Address,
    n: Factor,
    m: int,
) -> None:
    """Recursive least squares, where error and P (``inverse``) have double precision.

    ``delta = -k * outer(error, P r)`` and ``P -= k * outer(P r, P r)``, where
    ``k = 1 / (1 + r P r)``. ``product`` is scratch memory for 2 n numbers of double precision.
    """
    use_widest_vectors()
    activities, both = vector(memory, pre, n), float64s(product, 2 * n)
    r, products, errors = both[:n], both[n:], float64s(error, m)
    for j in range(n):
        r[j] = np.float64(activities[j])
    total = 0.0
    for i in range(n):
        row, product_of_row = float64s(inverse + 8 * i * n, n), 0.0
        for j in range(n):
            product_of_row += row[j] * r[j]
        products[i] = product_of_row
        total += product_of_row * r[i]
    k = 1.0 / (1.0 + total)
    for i in range(m):
        changes = vector(memory, delta + ITEMSIZE * i * n, n)
        for j in range(n):
            changes[j] = errors[i] * (-k * products[j])
    for j in range(n):
        r[j] = k * products[j]
    for i in range(n):
        row, height = float64s(inverse + 8 * i * n, n), products[i]
        for j in range(n):
            row[j] -= height * r[j]


class DeltaColumns(TypedDict):
    """The columns that `half_oja` and `half_voja` share."""

    delta: Address
    weights: Address
    post: Address
    n: int
    m: int
    distance: int
    weights_distance: int


def delta_in_half(rule: SimOja | SimVoja, scale: Address, lowering: Lowering) -> Row:
    """Return the row that computes a delta with a loss, in the order of nengo's operations.

    Parameters
    ----------
    rule : SimOja or SimVoja
        The rule.
    scale : Address
        Of the scale of Voja's rule.
    lowering : Lowering
        The context.
    """
    delta, weights = lowering.array(rule.delta), lowering.array(rule.weights)
    alpha, (m, n) = rule.learning_rate * lowering.dt, delta.shape
    shared: DeltaColumns = {
        "delta": start(delta),
        "weights": start(weights),
        "post": lowering.address(rule.post_filtered),
        "n": n,
        "m": m,
        "distance": delta.strides[0],
        "weights_distance": weights.strides[0],
    }
    if isinstance(rule, SimOja):
        pre = lowering.address(rule.pre_filtered)
        parameters = lowering.arena.parameters([alpha, -rule.beta])
        return half_oja.row(pre=pre, parameters=parameters, **shared)
    return half_voja.row(
        pre=lowering.address(rule.pre_decoded),
        scale=scale,
        learning=lowering.address(rule.learning_signal),
        alpha=lowering.arena.parameters([alpha]),
        **shared,
    )
