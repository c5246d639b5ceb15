"""Choose how to compute a product of a matrix and a vector: the way that does the least work."""

from __future__ import annotations

from enum import Enum

import numpy as np

from nengo_jit.engines.cpu.program.contracts import contiguous

WIDE = 8  # number of columns above which a matrix is multiplied row by row

Strategy = Enum("Strategy", "NONE ELEMENTWISE EVENTS ROWS_OF_EVENTS COLUMNS ROWS STRIDED")
"""Ways to compute a product; NONE if it is empty."""


def strategy_of(
    a: np.ndarray, x: np.ndarray, y: np.ndarray, is_fixed: bool, has_spikes: bool
) -> Strategy:
    """Choose how ``y += a.dot(x)`` is computed.

    Parameters
    ----------
    a : (n, m) numpy.ndarray
        The matrix, or a vector or scalar.
    x, y : numpy.ndarray
        The vectors: (m,) and (n,), or columns, or scalars.
    is_fixed : bool
        Whether the matrix is constant, so that a copy can be stored column by column.
    has_spikes : bool
        Whether x is the output of spiking neurons.
    """
    if a.ndim == 0 or x.ndim == 0:
        return Strategy.ELEMENTWISE
    n, m = y.size, x.size
    if n * m == 0:
        return Strategy.NONE
    if not (_is_dense(x) and _is_dense(y)):
        return Strategy.STRIDED
    is_by_row = as_matrix(a, n, m).strides[1] == a.itemsize
    if has_spikes and is_fixed:
        return Strategy.EVENTS
    if has_spikes and is_by_row:
        return Strategy.ROWS_OF_EVENTS
    if is_fixed and (m < WIDE or m < n // 4):
        return Strategy.COLUMNS
    return Strategy.ROWS if is_by_row or m == 1 else Strategy.STRIDED


def as_matrix(a: np.ndarray, n: int, m: int) -> np.ndarray:
    """Broadcast a matrix or vector to ``n`` rows and ``m`` columns."""
    return a if a.shape == (n, m) else np.broadcast_to(a, (n, m))


def _is_dense(vector: np.ndarray) -> bool:
    return contiguous(vector if vector.ndim == 1 else vector.reshape(-1))
