"""Least-squares solutions without regularisation: nengo's ``Lstsq`` and those with noise.

The Gram matrix A.T A takes a fraction of the time of A's singular values, but squares the condition
number. So each solution here comes with an estimate of its rounding error. Where that is too large,
the result is None, and the caller has to call nengo's code.
"""

from __future__ import annotations

import numpy as np

from nengo_jit.builder.linalg import dot_transposed, gram, lapack

EPS = float(np.finfo(np.float64).eps)
ROUNDING = 4 * EPS  # norm of the error of a Gram matrix and its eigenvectors, relative to its own
CLEAR = 1e-13  # difference of eigenvalues from the limit, relative to the largest
TOLERANCE = 5e-10  # estimated relative error of a solution
MOST_CONDITIONED = 1e7  # of a Gram matrix with a unit diagonal, in the 1-norm, by an estimate
BLOCK = 64  # columns that LAPACK works on together


def can_solve(activities: np.ndarray) -> bool:
    """Whether the functions here may be used for a (n_points, n_neurons) matrix of rates."""
    m, n = activities.shape
    if lapack() is None or not m >= n >= 3 or activities.dtype != np.float64:
        return False
    return bool(np.isfinite(activities.max()))  # NumPy or SciPy raises an error otherwise


class Truncated:
    """Solves ``A x = y`` by the largest singular values of A, as `numpy.linalg.lstsq` does.

    The squares of the singular values are eigenvalues of the Gram matrix.

    Parameters
    ----------
    matrix : (n, n) numpy.ndarray
        The Gram matrix; only elements on and below the diagonal are read.
    rcond : float
        Singular values up to ``rcond`` times the largest count as zero.

    Attributes
    ----------
    singular_values : (n,) numpy.ndarray
        In descending order, with an absolute error of about 1e-8 times the largest at most.
    rank : int
        The number of those that do not count as zero.
    """

    def __init__(self, matrix: np.ndarray, rcond: float):
        from scipy.linalg import eigh_tridiagonal

        n, library = len(matrix), lapack()
        assert library is not None
        size = int(library.dsytrd_lwork(n, lower=1)[0])
        reflectors, diagonal, beside, scales, _ = library.dsytrd(matrix, lower=1, lwork=size)
        values, _ = library.dsterf(diagonal, beside)
        self._largest, least = values[-1], rcond**2 * values[-1]
        first = int(np.searchsorted(values, least, side="right"))
        self.singular_values = np.sqrt(np.maximum(values[::-1], 0))
        self.rank = n - first
        self._values, vectors = eigh_tridiagonal(
            diagonal, beside, select="i", select_range=(first, n - 1), lapack_driver="stemr"
        )
        # the product of reflectors leaves the first element as it is
        vectors[1:] = library.dormqr(
            *("L", "N", reflectors[1:, :-1], scales, vectors[1:]), lwork=BLOCK * self.rank
        )[0]
        self._vectors = vectors
        dropped = values[first - 1] if first else -np.inf
        clear = CLEAR * self._largest
        self._is_clear = values[first] - least > clear and least - dropped > clear
        self._gaps = self._values - dropped

    def solve(self, right: np.ndarray) -> np.ndarray | None:
        """Solve for right-hand sides.

        Parameters
        ----------
        right : (n, size) numpy.ndarray
            ``A.T y``.

        Returns
        -------
        (n, size) numpy.ndarray or None
            None if the rounding error may be too large.

        Notes
        -----
        A change E of the matrix changes x by ``f[a, b] (v_a . E v_b) (v_b . right)``, summed over
        pairs of eigenvectors, in direction v_a, with divided differences f[a, b] of
        ``f(w) = 1 / w``, or 0 for small w (Higham, "Functions of Matrices", chapter 3).
        """
        along = self._vectors.T @ right
        parts = along / self._values[:, np.newaxis]
        left_over = np.linalg.norm(right - self._vectors @ along)
        least, gap = self._values[0], self._gaps[0]
        size = np.linalg.norm(parts)
        error = size / least + np.linalg.norm(parts / self._gaps[:, np.newaxis])
        error += left_over / (least * gap)
        if not self._is_clear or not ROUNDING * self._largest * error <= TOLERANCE * size:
            return None
        solution: np.ndarray = self._vectors @ parts
        return solution


def solve_well_conditioned(
    matrix: np.ndarray, targets: np.ndarray, threads: int
) -> np.ndarray | None:
    """Return the least-squares solution of a system whose Gram matrix is well-conditioned.

    Parameters
    ----------
    matrix : (m, n) numpy.ndarray
        The matrix, for which `can_solve` is true.
    targets : (m, size) numpy.ndarray
        The right-hand sides.
    threads : int
        Number of threads to use at most.

    Returns
    -------
    (n, size) numpy.ndarray or None
        None if the Gram matrix is ill-conditioned, even with the columns of the matrix scaled.
    """
    product, library = gram(matrix, threads), lapack()
    assert library is not None
    norms = np.sqrt(product.diagonal())
    if not norms.all():
        return None
    product /= norms
    product /= norms[:, np.newaxis]
    # LAPACK reads by columns: to it, this is the triangle on and above the diagonal
    factor, failed = library.dpotrf(product.T, clean=False, overwrite_a=True)
    if failed or not library.dpocon(factor, len(norms))[0] * MOST_CONDITIONED >= 1:
        return None
    right = dot_transposed(matrix, targets, threads) / norms[:, np.newaxis]
    solution: np.ndarray = library.dpotrs(factor, right)[0]
    return solution / norms[:, np.newaxis]
