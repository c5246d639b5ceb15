"""Spikes through sparse matrices: only the columns of neurons that spike are added."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nengo_jit.ir.products import Rows

PART = 16  # one in so many neurons may spike in a step, or the whole matrix is multiplied
MOST_PADDING = 4  # places in padded columns for each element of a matrix


Dot: TypeAlias = Callable[[jax.Array], jax.Array]


class Spikes(NamedTuple):
    """A sparse matrix, as columns that are padded to one length with zeros.

    Attributes
    ----------
    numbers : (m, k) jax.Array
        The elements of each of m columns; others are empty.
    targets : (m, k) jax.Array of int
        The row of each element; the number of rows for padding.
    """

    numbers: jax.Array
    targets: jax.Array

    def dot(self, x: jax.Array, dot_all: Dot) -> jax.Array:
        """Return the product with a vector.

        The list of its nonzero elements has a bound. With more of them, all are multiplied, so none
        is ever left out. Members of a batch, which cannot decide by themselves, always do that.

        Parameters
        ----------
        x : (m,) jax.Array
            The vector.
        dot_all : callable
            Returns the product with a vector of any kind.
        """
        n_rows = jax.eval_shape(dot_all, x).size

        @jax.custom_batching.custom_vmap
        def dot(x: jax.Array) -> jax.Array:
            few = jnp.count_nonzero(x) <= most_spikes(x.size)
            return lax.cond(few, partial(self._add_columns, n_rows), dot_all, x)

        @dot.def_vmap
        def dot_of_members(
            axis_size: int, in_batched: list[bool], x: jax.Array
        ) -> tuple[jax.Array, bool]:
            return jax.vmap(dot_all)(x), True

        result: jax.Array = dot(x)
        return result

    def _add_columns(self, n_rows: int, x: jax.Array) -> jax.Array:
        """Add the columns of nonzero elements."""
        (spiking,) = jnp.nonzero(x, size=most_spikes(x.size), fill_value=x.size)
        heights = x.at[spiking].get(mode="fill", fill_value=0)
        columns = heights[:, None] * self.numbers.at[spiking].get(mode="fill", fill_value=0)
        targets = self.targets.at[spiking].get(mode="fill", fill_value=n_rows)
        return jnp.zeros(n_rows, columns.dtype).at[targets].add(columns, mode="drop")


def most_spikes(n_neurons: int) -> int:
    """Return how many neurons may spike in a step before all columns are multiplied."""
    return max(1, n_neurons // PART)


def columns_of(rows: Rows) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the numbers and targets of `Spikes`; None for matrices that do not suit it.

    These are matrices with infinite elements, whose product with zero is not a number, and those
    whose columns are of such different lengths that padding takes much memory.
    """
    numbers, columns = np.asarray(rows.numbers), np.asarray(rows.columns)
    n_columns = 1 + int(columns.max(initial=0))
    place = np.nonzero(numbers)
    if not np.isfinite(numbers).all() or len(place[0]) == 0:
        return None
    column, row = columns[place], place[1]
    order = np.lexsort((row, column))
    column, row = column[order], row[order]
    n_elements = np.bincount(column, minlength=n_columns)
    if n_elements.max() * n_columns > MOST_PADDING * len(column):
        return None
    shape = n_columns, n_elements.max()
    own = column, np.arange(len(column)) - (np.cumsum(n_elements) - n_elements)[column]
    padded, targets = np.zeros(shape, numbers.dtype), np.full(shape, numbers.shape[1])
    padded[own], targets[own] = numbers[place][order], row
    return padded, targets
