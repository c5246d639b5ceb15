"""Products of large matrices, in threads, and solutions of systems of equations.

Each task of a thread computes some rows of a product, or a part of the sum, in one call to the
linear algebra library. The division into tasks depends on the matrices' sizes only, so results do
not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import cache, partial, reduce
from types import ModuleType

import numpy as np

from nengo_jit.builder import cholesky
from nengo_jit.parallel import for_each, parallel_map

PANEL = 250  # rows of a Gram matrix that are computed together
LARGE = 400  # neurons: larger Gram matrices are computed in panels
ROWS = 1 << 18  # elements of a matrix per task
NEGLIGIBLE = 1e-13  # relative to the largest element: below it, signs are rounding errors
PATIENCE = 3  # exchanges without progress before single exchanges
MOST_EXCHANGES = 50

Solve = Callable[[np.ndarray], np.ndarray]


@cache
def lapack() -> ModuleType | None:
    """LAPACK, if SciPy is installed; it takes 8 MiB, so it is imported when it is needed."""
    try:
        from scipy.linalg import lapack as found
    except ImportError:
        return None
    return found


def gram(matrix: np.ndarray, threads: int) -> np.ndarray:
    """Return ``matrix.T @ matrix``; if large, only its part on and below the diagonal.

    Parameters
    ----------
    matrix : (m, n) numpy.ndarray
        The matrix.
    threads : int
        Number of threads to use at most.

    Returns
    -------
    (n, n) numpy.ndarray
        Elements above the diagonal are undefined.
    """
    n = matrix.shape[1]
    if n <= LARGE:
        return np.dot(matrix.T, matrix)
    result = np.empty((n, n))

    def fill(panel: tuple[slice, slice]) -> None:
        rows, columns = panel
        np.matmul(matrix[:, rows].T, matrix[:, columns], out=result[rows, columns])

    panels = [slice(start, start + PANEL) for start in range(0, n, PANEL)]
    below = [(rows, slice(rows.start)) for rows in reversed(panels[1:])]  # the largest first
    on_diagonal = [(rows, rows) for rows in panels]  # NumPy sees the symmetry
    for_each(fill, below + on_diagonal, threads)
    return result


def _blocks(matrix: np.ndarray) -> list[slice]:
    """Divide the rows of a matrix into tasks, see `ROWS`."""
    step = -(-ROWS // matrix.shape[1])
    return [slice(start, start + step) for start in range(0, len(matrix), step)]


def dot(a: np.ndarray, b: np.ndarray, threads: int) -> np.ndarray:
    """Return ``np.dot(a, b)``.

    Parameters
    ----------
    a : (m, k) numpy.ndarray
        The larger matrix.
    b : (k, n) numpy.ndarray
        The smaller one.
    threads : int
        Number of threads to use at most.
    """
    if a.size <= ROWS:
        return np.dot(a, b)
    result = np.empty((len(a), b.shape[1]), np.result_type(a, b))

    def fill(rows: slice) -> None:
        np.dot(a[rows], b, out=result[rows])

    for_each(fill, _blocks(a), threads)
    return result


def dot_transposed(a: np.ndarray, b: np.ndarray, threads: int) -> np.ndarray:
    """Return ``np.dot(a.T, b)``, as a sum of products of blocks of rows.

    Parameters
    ----------
    a : (m, k) numpy.ndarray
        The larger matrix.
    b : (m, n) numpy.ndarray
        The smaller one.
    threads : int
        Number of threads to use at most.
    """
    if a.size <= ROWS:
        return np.dot(a.T, b)

    def product(rows: slice) -> np.ndarray:
        return np.dot(a[rows].T, b[rows])

    with closing(parallel_map(product, _blocks(a), threads)) as products:
        return reduce(np.add, products)


def solver_of(matrix: np.ndarray) -> Solve:
    """Return a function that solves systems with a symmetric positive definite matrix.

    Parameters
    ----------
    matrix : (n, n) numpy.ndarray
        The matrix on and below its diagonal. The Cholesky factor overwrites it.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite.
    """
    if cholesky.is_available() and matrix.dtype == np.float64 and matrix.flags.c_contiguous:
        cholesky.factorise(matrix)
        return partial(cholesky.solve, matrix)
    library = lapack()
    if library is None:
        symmetric = np.tril(matrix)
        symmetric += np.tril(matrix, -1).T
        return partial(np.linalg.solve, symmetric)
    # LAPACK reads by columns: to it, this is the triangle on and above the diagonal
    factor, failed = library.dpotrf(matrix.T, clean=False, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("The matrix is not positive definite")
    return lambda right: library.dpotrs(factor, right)[0]


def solve_nonnegative(solve: Solve, right: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Solve the non-negative least squares problem: minimise ``|M x - b|`` for ``x >= 0``.

    If the elements x[A] of a set A are held at zero, the solution of ``M x = b`` has the error
    ``r = M x - b = C y``. C are the columns A of the inverse of M, and
    ``y = -inv(C.T C) (inv(M) b)[A]`` is the gradient with respect to x[A]. The set A is optimal if
    no element of x and y is negative. Otherwise, negative elements move into A or out of it: all at
    once or, if that makes no progress, one by one.

    Parameters
    ----------
    solve : callable
        From `solver_of`, for the matrix M. SciPy is needed.
    right : (n,) numpy.ndarray
        The vector b.

    Returns
    -------
    x, r : (n,) numpy.ndarray
        None in place of both if the set is not found, or if most elements of x are zero, so that
        SciPy's method is likely to be faster.

    Notes
    -----
    Source: block principal pivoting (Júdice & Pires, "A block principal pivoting algorithm for
    large-scale strictly monotone linear complementarity problems", 1994), with products in the
    space of the inverse, so that errors grow with the condition number of M, not with its square.
    """
    n, library = len(right), lapack()
    assert library is not None
    unbounded = x = solve(right)
    least = -NEGLIGIBLE * np.abs(x).max()
    is_held, slope, error = np.zeros(n, bool), np.zeros(n), np.zeros(n)
    fewest, patience = n // 2 + 1, PATIENCE
    for _ in range(MOST_EXCHANGES):
        is_wrong = np.where(is_held, slope < 0, x < least)
        n_wrong = int(np.count_nonzero(is_wrong))
        if n_wrong == 0:
            return np.maximum(x, 0), error
        if n_wrong < fewest:
            fewest, patience = n_wrong, PATIENCE
        elif not is_held.any():
            return None
        elif patience > 0:
            patience -= 1
        else:
            is_wrong[: np.flatnonzero(is_wrong)[-1]] = False
        is_held ^= is_wrong
        held = np.flatnonzero(is_held)
        units = np.zeros((n, held.size), order="F")
        units[held, np.arange(held.size)] = 1
        columns = solve(units)
        triangle = library.dgeqrf(columns)[0][: held.size]
        half_solved, _ = library.dtrtrs(triangle, -unbounded[held], trans=1)
        slope = np.zeros(n)
        slope[held], _ = library.dtrtrs(triangle, half_solved)
        error = columns @ slope[held]
        x = unbounded + solve(error)
        x[held] = 0
    return None
