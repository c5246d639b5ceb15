"""Cholesky factorisation by the LAPACK that NumPy has loaded: importing SciPy's takes 50 ms."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int64, c_size_t, c_void_p
from functools import cache

import numpy as np

from nengo_jit.parallel import linear_algebra
from nengo_jit.regions import pointer

INTEGER = POINTER(c_int64)
TRIANGLE = b"U"  # LAPACK reads by columns: to it, rows up to the diagonal are an upper triangle
ROUTINES = {  # by name, with the types of their arguments; the last is the length of the first
    "dpotrf": (c_char_p, INTEGER, c_void_p, INTEGER, INTEGER, c_size_t),
    "dpotrs": (
        *(c_char_p, INTEGER, INTEGER, c_void_p, INTEGER, c_void_p, INTEGER, INTEGER, c_size_t),
    ),
}
NAMES = "scipy_{}_64_", "{}_64_"  # in libraries with integers of 64 bits, such as in NumPy's wheels


@cache
def _routines() -> dict[str, Callable[..., None]]:
    """Return LAPACK's routines by name; none if NumPy's library is not a known one."""
    for library in linear_algebra(False).lib_controllers:
        for name in NAMES:
            try:
                found = {each: library.dynlib[name.format(each)] for each in ROUTINES}
            except AttributeError:
                continue
            for each, types in ROUTINES.items():
                found[each].argtypes, found[each].restype = types, None
            return found
    return {}


def is_available() -> bool:
    """Whether the functions here can be used."""
    return bool(_routines())


def factorise(matrix: np.ndarray) -> None:
    """Compute the Cholesky factor of a matrix, in place.

    Parameters
    ----------
    matrix : (n, n) numpy.ndarray
        The matrix on and below its diagonal, in 64 bits, row by row.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite.
    """
    n, failed = c_int64(len(matrix)), c_int64()
    _routines()["dpotrf"](TRIANGLE, byref(n), pointer(matrix), byref(n), byref(failed), 1)
    if failed.value:
        raise np.linalg.LinAlgError("The matrix is not positive definite")


def solve(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a system with a matrix that `factorise` has factorised.

    Parameters
    ----------
    factor : (n, n) numpy.ndarray
        The factor.
    right : (n, size) or (n,) numpy.ndarray
        The right-hand sides.

    Returns
    -------
    (n, size) or (n,) numpy.ndarray
    """
    solution = np.array(right, np.float64, order="F")
    n, size, failed = c_int64(len(factor)), c_int64(solution.size // len(factor)), c_int64()
    _routines()["dpotrs"](
        *(TRIANGLE, byref(n), byref(size), pointer(factor), byref(n)),
        *(pointer(solution), byref(n), byref(failed), 1),
    )
    return solution
