"""Sparse transforms that are trained: their elements, in the order of the program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.jax.arrays import PaddedRows
from nengo_jit.engines.jax.bucket import Bucket, Leaf
from nengo_jit.ir.operator import SparseDotInc
from nengo_jit.ir.products import rows_of
from nengo_jit.ir.signal import Signal


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


def sparse_leaves(buckets: Iterable[Bucket]) -> dict[int, SparseLeaf]:
    """Return the sparse matrices among the constants of buckets, by number."""
    found = {}
    for bucket in buckets:
        operator, first = bucket.members[0], bucket.arguments[0]
        if not isinstance(operator, SparseDotInc) or not isinstance(first, Leaf):
            continue
        matrix = operator.A.initial_value
        if not hasattr(matrix, "tocoo"):  # SciPy is not installed
            continue
        numbered = matrix.tocoo()
        numbered.data = np.arange(1, numbered.data.size + 1)
        rows = rows_of(numbered)
        found[first.number] = SparseLeaf(
            operator.A, np.asarray(rows.numbers), np.asarray(rows.columns)
        )
    return found
