"""The array library that operators compute with on the device: `jax.numpy`, and `elementary`."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.jax import elementary
from nengo_jit.ir.products import Rows

xp = ModuleType("xp", jnp.__doc__)
vars(xp).update(vars(jnp), expm1=elementary.expm1, log1p=elementary.log1p)


class PaddedRows(NamedTuple):
    """A sparse matrix, as rows that are padded to one length; see `nengo_jit.ir.products.Rows`."""

    numbers: jax.Array
    columns: jax.Array

    def dot(self, x: jax.Array) -> jax.Array:
        """Return the product with a vector."""
        return jnp.sum(self.numbers * x[self.columns], axis=0)


Constant: TypeAlias = jax.Array | PaddedRows


def to_device(value: np.ndarray | Rows) -> Constant:
    """Copy an array, or a sparse matrix, to the device."""
    if isinstance(value, Rows):
        return PaddedRows(jnp.asarray(value.numbers), jnp.asarray(value.columns))
    return jnp.asarray(value)
