"""Products of matrices and vectors, for any array library."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nengo_jit.ir.arrays import Array, Namespace

if TYPE_CHECKING:
    from scipy.sparse import spmatrix


def dot(a: Array, b: Array) -> Array:
    """Product of a matrix or vector with a vector or matrix, or with a number of shape ``()``.

    Where arrays have a method ``dot``, it is used: NumPy's is what nengo uses, and its ``@`` rounds
    differently for some layouts in memory. SciPy's sparse matrices have one, too.
    """
    method = getattr(a, "dot", None)
    if method is not None:
        return method(b)
    return a @ b if a.ndim and b.ndim else a * b


def outer(xp: Namespace, a: Array, b: Array) -> Array:
    """Matrix of the products of all elements of one array with all elements of another."""
    column = a[:, None] if a.ndim == 1 else xp.reshape(a, (-1, 1))
    return column * (b if b.ndim == 1 else xp.reshape(b, (-1,)))


def dot_by_groups(xp: Namespace, a: Array, b: Array) -> Array:
    """Products of matrices, one for each group.

    Where there is an ``einsum``, it is used: NumPy's is what nengo uses.

    Parameters
    ----------
    xp : module
        An array library.
    a : (groups, n, k) array
        The left factors.
    b : (groups, k, m) array
        The right factors.

    Returns
    -------
    (n, groups, m) array
    """
    if not hasattr(xp, "einsum"):
        return xp.moveaxis(a @ b, 0, 1)
    contiguous = xp.reshape(xp.reshape(b, (-1,)), b.shape)
    return xp.einsum("gpi,gif->pgf", a, contiguous)


class Rows(NamedTuple):
    """A sparse matrix for libraries that have none: rows of numbers, of one length.

    Attributes
    ----------
    numbers : (k, n) array
        The elements of each of n rows; zeros where a row has less than k.
    columns : (k, n) array of int
        In which column each of them stands.
    """

    numbers: Array
    columns: Array

    def dot(self, x: Array) -> Array:
        """Product with a vector, whose terms are added up in the order in which they are stored."""
        total = self.numbers[0, :] * x[self.columns[0, :]]
        for k in range(1, self.numbers.shape[0]):
            total = total + self.numbers[k, :] * x[self.columns[k, :]]
        return total


def rows_of(matrix: spmatrix) -> Rows:
    """The rows of a sparse matrix of SciPy's, in NumPy."""
    elements = matrix.tocoo()
    order = np.argsort(elements.row, kind="stable")
    row, n = elements.row[order], matrix.shape[0]
    n_elements = np.bincount(row, minlength=n)
    place = np.arange(row.size) - (np.cumsum(n_elements) - n_elements)[row], row
    shape = max(1, int(n_elements.max(initial=0))), n
    numbers, columns = np.zeros(shape, matrix.dtype), np.zeros(shape, np.int64)
    numbers[place], columns[place] = elements.data[order], elements.col[order]
    return Rows(numbers, columns)


def has_valid_indices(matrix: spmatrix) -> bool:
    """Whether the indices of a SciPy matrix point to elements of it: SciPy does not look.

    Formats other than CSR, CSC and COO are not looked at, either.
    """
    if matrix.format in ("csr", "csc"):
        n, m = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
        ends, indices = matrix.indptr, matrix.indices
        return (
            ends.shape == (n + 1,)
            and ends[0] == 0
            and bool((ends[1:] >= ends[:-1]).all())
            and ends[-1] <= min(matrix.data.size, indices.size)
            and _are_below(indices, m)
        )
    if matrix.format == "coo":
        return (
            matrix.row.shape == matrix.col.shape == matrix.data.shape
            and _are_below(matrix.row, matrix.shape[0])
            and _are_below(matrix.col, matrix.shape[1])
        )
    return True


def _are_below(indices: np.ndarray, n: int) -> bool:
    return indices.size == 0 or bool(indices.min() >= 0 and indices.max() < n)
