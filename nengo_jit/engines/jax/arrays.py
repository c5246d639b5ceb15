"""The array library that operators compute with on the device: `jax.numpy`, and `elementary`."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.jax import elementary
from nengo_jit.engines.jax.spikes import Spikes, columns_of
from nengo_jit.ir.arrays import Array
from nengo_jit.ir.products import Rows

xp = ModuleType("xp", jnp.__doc__)
vars(xp).update(vars(jnp), expm1=elementary.expm1, log1p=elementary.log1p)


class PaddedRows(NamedTuple):
    """A sparse matrix, as rows that are padded to one length; see `nengo_jit.ir.products.Rows`.

    Attributes
    ----------
    numbers, columns
        See `Rows`.
    spikes : Spikes or None
        The same matrix for inputs that are mostly zero; None if such inputs are not special.
    """

    numbers: jax.Array
    columns: jax.Array
    spikes: Spikes | None = None

    def dot(self, x: jax.Array) -> jax.Array:
        """Return the product with a vector."""
        return self._all(x) if self.spikes is None else self.spikes.dot(x, self._all)

    def _all(self, x: jax.Array) -> jax.Array:
        return jnp.sum(self.numbers * x[self.columns], axis=0)


Constant: TypeAlias = jax.Array | PaddedRows


def copied(array: Array | np.ndarray) -> jax.Array:
    """Copy an array to the device. Unlike `jax.numpy.array`, this compiles nothing."""
    on_device: jax.Array = jax.device_put(array, may_alias=False)
    return on_device


def to_device(value: np.ndarray | Rows, has_spikes: bool = False) -> Constant:
    """Copy an array, or a sparse matrix, to the device.

    Parameters
    ----------
    value : numpy.ndarray or Rows
        The array.
    has_spikes : bool
        Whether a sparse matrix may spare elements that are multiplied by zero. These would have no
        gradient then.
    """
    if isinstance(value, Rows):
        columns = columns_of(value) if has_spikes else None
        spikes = None if columns is None else Spikes(*map(copied, columns))
        return PaddedRows(copied(value.numbers), copied(value.columns), spikes)
    return copied(value)
