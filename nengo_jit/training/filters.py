"""Synapses whose time constants are trained: the parameters of their filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from nengo.synapses import Alpha, Lowpass

from nengo_jit.engines.jax.bucket import Bucket, Constants, Leaf
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.ir.filters import scale
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.training.parameters import Params


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
    bucket : Bucket
        The bucket.
    first : int
        Number of the constant that is the first of these parameters.
    """

    bucket: Bucket
    first: int


class Filters:
    """Replaces the constants of filters by functions of time constants.

    Parameters
    ----------
    names : mapping of (Signal, str)
        The parameters that are trained, by the signal that a synapse writes.
    constants : Constants
        The constants of the program; gets those that depend on parameters.
    dt : float
        Length of a step (seconds).
    """

    def __init__(self, names: Mapping[Signal, str], constants: Constants, dt: float):
        self._names, self._constants, self._dt = names, constants, dt
        self._replaced: list[Replaced] = []

    def replaced(self, bucket: Bucket) -> Bucket:
        """Return a bucket that takes constants which `leaves` computes, where it has to."""
        operators = [each for each in bucket.members if isinstance(each, SimProcess)]
        if not any(each.output in self._names for each in operators):
            return bucket
        function, *_ = operators[0].parameters(self._dt) or ()
        if function is scale:  # a time constant far below a step is none
            return bucket
        with as_given():
            values = self._parameters(bucket, {})
        numbers = [self._constants.add(np.asarray(each)) for each in values]
        self._replaced.append(Replaced(bucket, numbers[0]))
        is_mapped = bucket.is_mapped
        changed = tuple(Leaf(number, is_mapped) for number in numbers)
        kept = bucket.arguments[0], *bucket.arguments[1 + len(changed) :]
        return replace(bucket, arguments=(kept[0], *changed, *kept[1:]))

    def leaves(self, params: Params) -> dict[int, jax.Array]:
        """Return constants by number; can be traced."""
        return {
            first + place: value
            for bucket, first in self._replaced
            for place, value in enumerate(self._parameters(bucket, params))
        }

    def _parameters(self, bucket: Bucket, params: Params) -> list[jax.Array]:
        """Return the parameters of all members, as arrays for the function of the bucket."""
        dtype = bucket.members[0].outputs()[0].dtype
        columns = zip(*(self._of_member(each, params) for each in bucket.members))
        if bucket.is_mapped:
            return [jnp.stack(column).astype(dtype) for column in columns]
        if len(bucket.members) == 1:
            return [column[0].astype(dtype) for column in columns]
        sizes = np.array([each.output.size for each in bucket.members])
        return [jnp.repeat(jnp.stack(each), sizes).astype(dtype) for each in columns]

    def _of_member(self, operator: SimProcess, params: Params) -> tuple[jax.Array, ...]:
        name = self._names.get(operator.output)
        if name in params:
            formula = FORMULAS[type(operator.process)]
            return formula(jnp.exp(params[name]), self._dt)
        _, *values = operator.parameters(self._dt) or ()
        return tuple(map(jnp.asarray, values))
