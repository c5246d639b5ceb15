"""Synapses whose time constants are trained: the parameters of their filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from nengo.synapses import Alpha, Lowpass

from nengo_jit.engines.jax.bucket import Bucket, Constants, Leaf
from nengo_jit.ir.filters import scale
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.training.stacks import Stacked, Stacks


def lowpass(tau: jax.Array, dt: float) -> tuple[jax.Array, ...]:
    """Return ``a`` and ``b`` of `nengo_jit.ir.filters.first_order`.

    Parameters
    ----------
    tau : () jax.Array
        Time constant (seconds).
    dt : float
        Length of a step (seconds).
    """
    return jnp.exp(-dt / tau), -jnp.expm1(-dt / tau)


def alpha(tau: jax.Array, dt: float) -> tuple[jax.Array, ...]:
    """Return ``A``, ``B`` and ``C`` of `nengo_jit.ir.filters.without_passthrough`.

    They are the zero-order hold of ``1 / (tau s + 1)²`` in controllable canonical form, which
    nengo computes by a matrix exponential. For parameters see `lowpass`.
    """
    ratio = dt / tau
    decay = jnp.exp(-ratio)
    A = decay * jnp.stack([jnp.stack([1 - ratio, -ratio / tau]), jnp.stack([dt, 1 + ratio])])
    B = jnp.stack([dt * decay, tau**2 * (1 - (1 + ratio) * decay)])
    C = jnp.stack([jnp.zeros_like(tau), 1 / tau**2])
    return A, jnp.reshape(B, (2, 1)), jnp.reshape(C, (1, 2))


FORMULAS = {Lowpass: lowpass, Alpha: alpha}


class Replaced(NamedTuple):
    """A bucket of filters whose parameters depend on time constants.

    Attributes
    ----------
    first : int
        Number of the constant that is the first of these parameters.
    given : list of (members, ...) numpy.ndarray
        The parameters that the build has found.
    formula : callable
        From a time constant to parameters.
    chosen : (n,) numpy.ndarray of int
        The members whose time constants are parameters.
    names : list of str
        The names of these.
    sizes : tuple of int or None
        How many numbers each member filters, if parameters are repeated for these; None if the
        function of the bucket is mapped over the members.
    """

    first: int
    given: list[np.ndarray]
    formula: Callable[..., tuple[jax.Array, ...]]
    chosen: np.ndarray
    names: list[str]
    sizes: tuple[int, ...] | None

    def values(self, log_tau: jax.Array, dt: float) -> list[jax.Array]:
        """Return the parameters as arrays for the function of the bucket."""
        found = jax.vmap(lambda each: self.formula(jnp.exp(each), dt))(log_tau)
        dtypes = [each.dtype for each in self.given]
        columns = [
            jnp.asarray(each).at[self.chosen].set(value.astype(dtype))
            for each, value, dtype in zip(self.given, found, dtypes)
        ]
        if self.sizes is None:
            return columns
        if len(self.sizes) == 1:
            return [each[0] for each in columns]
        return [jnp.repeat(each, np.array(self.sizes)) for each in columns]


class Filters:
    """Replaces the constants of filters by functions of time constants.

    Parameters
    ----------
    names : mapping of (Signal, str)
        The parameters that are trained, by the signal that a synapse writes.
    stacks : Stacks
        Where parameters are.
    constants : Constants
        The constants of the program; gets those that depend on parameters.
    dt : float
        Length of a step (seconds).
    """

    def __init__(
        self, names: Mapping[Signal, str], stacks: Stacks, constants: Constants, dt: float
    ):
        self._names, self._stacks = names, stacks
        self._constants, self._dt = constants, dt
        self._replaced: list[Replaced] = []

    def replaced(self, bucket: Bucket) -> Bucket:
        """Return a bucket that takes constants which `leaves` computes, where it has to."""
        operators = [each for each in bucket.members if isinstance(each, SimProcess)]
        chosen = [row for row, each in enumerate(operators) if each.output in self._names]
        if not chosen:
            return bucket
        function, *_ = operators[0].parameters(self._dt) or ()
        if function is scale:  # a time constant far below a step is none
            return bucket
        dtype = operators[0].output.dtype
        numbers = [(each.parameters(self._dt) or ())[1:] for each in operators]
        given = [np.array(column, dtype) for column in zip(*numbers)]
        leaves = [Leaf(self._constants.add(each), bucket.is_mapped) for each in given]
        formula = FORMULAS[type(operators[chosen[0]].process)]
        names = [self._names[operators[row].output] for row in chosen]
        sizes = None if bucket.is_mapped else tuple(each.output.size for each in operators)
        self._replaced.append(
            Replaced(leaves[0].number, given, formula, np.array(chosen), names, sizes)
        )
        kept = bucket.arguments[0], *bucket.arguments[1 + len(leaves) :]
        return replace(bucket, arguments=(kept[0], *leaves, *kept[1:]))

    def leaves(self, stacks: Stacked) -> dict[int, jax.Array]:
        """Return constants by number; can be traced."""
        return {
            each.first + place: value
            for each in self._replaced
            for place, value in enumerate(each.values(self._log_tau(each, stacks), self._dt))
        }

    def _log_tau(self, replaced: Replaced, stacks: Stacked) -> jax.Array:
        places = [self._stacks.places[name] for name in replaced.names]
        return stacks[places[0].stack][np.array([place.row for place in places])]
