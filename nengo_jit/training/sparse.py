"""Sparse transforms that are trained: their elements, in the order of the program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from nengo.transforms import SparseMatrix

from nengo_jit.engines.jax.arrays import PaddedRows
from nengo_jit.engines.jax.bucket import Bucket, Leaf
from nengo_jit.ir.operator import SparseDotInc
from nengo_jit.ir.products import rows_of
from nengo_jit.ir.signal import Signal

if TYPE_CHECKING:
    from scipy.sparse import coo_matrix


class SparseLeaf(NamedTuple):
    """A constant that is a sparse matrix.

    Attributes
    ----------
    signal : Signal
        The matrix.
    places : (k, n) numpy.ndarray of int
        For each element of padded rows, its number in the matrix, counted from one, or zero.
    columns : (k, n) numpy.ndarray of int
        The column of each element.
    """

    signal: Signal
    places: np.ndarray
    columns: np.ndarray

    def filled(self, elements: jax.Array) -> PaddedRows:
        """Return the matrix with other elements, in the order of SciPy's COO format."""
        padded = jnp.concatenate([jnp.zeros(1, elements.dtype), elements])
        return PaddedRows(padded[self.places], jnp.asarray(self.columns))


def elements_of(matrix: object) -> coo_matrix | None:
    """Return the elements of a sparse matrix, in SciPy's COO format; None without SciPy."""
    if isinstance(matrix, SparseMatrix):
        matrix = matrix.allocate()
    return matrix.tocoo() if hasattr(matrix, "tocoo") else None


def sparse_leaves(buckets: Iterable[Bucket]) -> dict[int, SparseLeaf]:
    """Return the sparse matrices among the constants of buckets, by number."""
    found = {}
    for bucket in buckets:
        operator = bucket.members[0]
        leaves = [each for each in bucket.arguments if isinstance(each, Leaf)]
        if not isinstance(operator, SparseDotInc) or not leaves:
            continue
        elements = elements_of(operator.A.initial_value)
        if elements is None:
            continue
        numbered = elements.copy()
        numbered.data = np.arange(1, numbered.data.size + 1)
        rows = rows_of(numbered)
        found[leaves[0].number] = SparseLeaf(
            operator.A, np.asarray(rows.numbers), np.asarray(rows.columns)
        )
    return found
