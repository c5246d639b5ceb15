"""Products of matrices and vectors that suit a batch."""

from __future__ import annotations

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.operator import DotInc


def transposed_product(
    xp: Namespace, shape: tuple[int, ...] | None, A: Array, X: Array
) -> tuple[Array, ...]:
    """Compute `DotInc`, a product with a matrix as ``X.dot(A.T)``.

    For a batch, JAX puts the axis of its members where that of X is. So the result has it first, as
    all other arrays have, and elementwise operators read what lies together.
    """
    if A.ndim == 2 and X.ndim == 1:
        return DotInc.compute(xp, shape, X, A.T)
    return DotInc.compute(xp, shape, A, X)
