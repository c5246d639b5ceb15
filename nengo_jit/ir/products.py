"""Products of matrices and vectors, for any array library."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nengo_jit.ir.arrays import Array, Namespace

if TYPE_CHECKING:
    from scipy.sparse import spmatrix


def dot(a: Array, b: Array) -> Array:
    """Return the product of two matrices, vectors or scalars of shape ``()``.

    It uses the method ``dot`` of arrays that have one, as nengo does: NumPy's ``@`` rounds
    differently for some memory layouts. SciPy's sparse matrices have this method, too.
    """
    method = getattr(a, "dot", None)
    if method is not None:
        return method(b)
    return a @ b if a.ndim and b.ndim else a * b


def outer(xp: Namespace, a: Array, b: Array) -> Array:
    """Return the outer product of two arrays, flattened."""
    column = a[:, None] if a.ndim == 1 else xp.reshape(a, (-1, 1))
    return column * (b if b.ndim == 1 else xp.reshape(b, (-1,)))


def dot_by_groups(xp: Namespace, a: Array, b: Array) -> Array:
    """Return the products of matrices, one for each group.

    It uses ``einsum`` of libraries that have one, as nengo does with NumPy.

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
    """A sparse matrix for libraries without sparse matrices: rows that are padded to one length.

    Attributes
    ----------
    numbers : (k, n) array
        The elements of each of n rows, padded with zeros to k.
    columns : (k, n) array of int
        The column of each element.
    """

    numbers: Array
    columns: Array

    def dot(self, x: Array) -> Array:
        """Return the product with a vector; terms are added in the order of storage."""
        total = self.numbers[0, :] * x[self.columns[0, :]]
        for k in range(1, self.numbers.shape[0]):
            total = total + self.numbers[k, :] * x[self.columns[k, :]]
        return total


def rows_of(matrix: spmatrix) -> Rows:
    """Convert a sparse matrix of SciPy's to rows of NumPy arrays."""
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
    """Whether the indices of a SciPy matrix are in bounds, which SciPy does not check.

    True for other formats than CSR, CSC and COO, which are not checked.
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
