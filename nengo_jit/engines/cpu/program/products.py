"""Choose how to compute a product of a matrix and a vector: the way that does the least work."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT16
from nengo_jit.engines.cpu.program.contracts import contiguous

LEAST_SEARCHED = 8192  # elements of a matrix whose zeros are counted
SCARCE = 16  # elements per nonzero element above which only nonzero elements are multiplied
SAMPLES, STRIDE = 1024, 7919  # elements that are looked at before all are; the stride is prime
LEAST_HELD = 8192  # elements of a matrix whose products are kept
WIDE = 8  # number of columns above which a matrix is multiplied row by row

Strategy = Enum("Strategy", "NONE ELEMENTWISE EVENTS ROWS_OF_EVENTS NONZEROS COLUMNS ROWS STRIDED")
"""Ways to compute a product; NONE if it is empty."""

# Arrays of which SciPy's matrices consist, by format
FORMATS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
}
MOST = 2**31 - 1  # elements of a matrix, and of a vector, that 32-bit integers can count


def strategy_of(
    a: np.ndarray, x: np.ndarray, y: np.ndarray, is_fixed: bool, has_spikes: bool
) -> Strategy:
    """Choose how ``y += a.dot(x)`` is computed.

    In half precision, zeros of a constant are multiplied like all other elements.

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
    if has_spikes and not is_fixed and is_by_row:
        return Strategy.ROWS_OF_EVENTS
    if has_spikes and (is_fixed or a.T.flags.c_contiguous):
        return Strategy.EVENTS
    if is_fixed and a.dtype != FLOAT16 and is_almost_all_zeros(a):
        return Strategy.NONZEROS
    if is_fixed and (m < WIDE or m < n // 4):
        return Strategy.COLUMNS
    return Strategy.ROWS if is_by_row or m == 1 else Strategy.STRIDED


def is_almost_all_zeros(matrix: np.ndarray) -> bool:
    """Whether it is faster to multiply only the nonzero elements of a matrix."""
    if matrix.size < LEAST_SEARCHED or matrix.ndim != 2:
        return False
    some = matrix.flat[np.arange(SAMPLES) * STRIDE % matrix.size]
    if np.count_nonzero(some) * SCARCE > 2 * SAMPLES:
        return False
    return bool(np.count_nonzero(matrix) * SCARCE <= matrix.size)


def is_worth_holding(size: int, m: int) -> bool:
    """Whether to compare the m elements of x in each step, to save so many multiplications."""
    return m >= WIDE and size >= WIDE * m and size >= LEAST_HELD


def sparse_strategy_of(
    a: Any, x: np.ndarray, y: np.ndarray, is_fixed: bool, has_spikes: bool
) -> Strategy:
    """Choose how ``y += a.dot(x)`` is computed for a sparse matrix; see `strategy_of`.

    It is one of NONE, EVENTS, ROWS, and STRIDED, which is in the order in which it is stored.
    Events leave out zeros of x, which an element that is not finite must be multiplied by.
    """
    if a.nnz == 0:
        return Strategy.NONE
    if not _is_dense(y) or max(a.nnz, *x.strides, x.size) > MOST:
        return Strategy.STRIDED
    if has_spikes and is_fixed and 0 not in x.strides and np.isfinite(a.data).all():
        return Strategy.EVENTS
    return Strategy.ROWS if is_fixed or a.format == "csr" else Strategy.STRIDED


def as_matrix(a: np.ndarray, n: int, m: int) -> np.ndarray:
    """Broadcast a matrix or vector to ``n`` rows and ``m`` columns."""
    return a if a.shape == (n, m) else np.broadcast_to(a, (n, m))


def _is_dense(vector: np.ndarray) -> bool:
    return contiguous(vector if vector.ndim == 1 else vector.reshape(-1))
