"""Products and solutions with large matrices, in threads.

Each thread computes rows of the result, in one call to the linear algebra library. Rows are cut
by the matrices' sizes alone, so that results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from nengo_jit.parallel import for_each

try:
    import scipy.linalg
except ImportError:
    scipy = None

PANEL = 400  # rows of a Gram matrix that are computed together
LARGE = 256  # size from which on a Gram matrix is computed in panels
ROWS = 1 << 18  # products that are computed together, where each element is read once


def gram(matrix: np.ndarray, threads: int) -> np.ndarray:
    """``matrix.T @ matrix``, of which large ones are computed on and below the diagonal only.

    Parameters
    ----------
    matrix : (m, n) numpy.ndarray
        The matrix.
    threads : int
        How many threads to use at most.

    Returns
    -------
    (n, n) numpy.ndarray
        What is above the diagonal has no meaning.
    """
    n = matrix.shape[1]
    if n <= LARGE:
        return np.dot(matrix.T, matrix)
    result = np.empty((n, n))

    def fill(start: int) -> None:
        stop = min(start + PANEL, n)
        rows = result[start:stop, :stop]
        np.matmul(matrix[:, start:stop].T, matrix[:, :stop], out=rows)

    for_each(fill, reversed(range(0, n, PANEL)), threads)  # the largest first
    return result


def dot(a: np.ndarray, b: np.ndarray, threads: int) -> np.ndarray:
    """``np.dot(a, b)``.

    Parameters
    ----------
    a : (m, k) numpy.ndarray
        The larger matrix.
    b : (k, n) numpy.ndarray
        The smaller one.
    threads : int
        How many threads to use at most.
    """
    if a.size <= ROWS:
        return np.dot(a, b)
    result = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    step = -(-ROWS // a.shape[1])

    def fill(start: int) -> None:
        np.dot(a[start : start + step], b, out=result[start : start + step])

    for_each(fill, range(0, len(a), step), threads)
    return result


def solver_of(matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Function that solves systems of equations with a symmetric positive definite matrix.

    Parameters
    ----------
    matrix : (n, n) numpy.ndarray
        The matrix on and below its diagonal. Its memory is taken for its Cholesky factor.
    """
    if scipy is None:
        symmetric = np.tril(matrix)
        symmetric += np.tril(matrix, -1).T
        return partial(np.linalg.solve, symmetric)
    # LAPACK, which reads by columns, finds in it the triangle on and above the diagonal
    factor = scipy.linalg.cho_factor(matrix.T, overwrite_a=True, check_finite=False)
    return partial(scipy.linalg.cho_solve, factor, check_finite=False)
