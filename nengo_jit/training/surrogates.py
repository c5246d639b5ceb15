"""Surrogate gradients: what training takes as the derivative of a spike.

A spike is a step function of the distance to the threshold, so its derivative is zero almost
everywhere. Training replaces it by a peak around the threshold. The values stay the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from nengo.exceptions import ValidationError

from nengo_jit.engines.jax.arrays import xp

SLOPE = 10.0  # of fast_sigmoid: at 1 / SLOPE of the threshold, the derivative is a quarter

Surrogate: TypeAlias = Callable[[jax.Array], jax.Array]


def fast_sigmoid(distance: jax.Array) -> jax.Array:
    """Return ``1 / (1 + 10 |x|)²``, the derivative of a fast sigmoid.

    Source: Zenke and Ganguli, "SuperSpike: Supervised learning in multilayer spiking neural
    networks", Neural Computation 30 (2018).
    """
    return 1.0 / (1.0 + SLOPE * abs(distance)) ** 2


def arctan(distance: jax.Array) -> jax.Array:
    """Return ``1 / (1 + (pi x)²)``, the derivative of an arctangent.

    Source: Fang et al., "Incorporating learnable membrane time constant to enhance learning of
    spiking neural networks", ICCV (2021), with their ``alpha`` of 2.
    """
    return 1.0 / (1.0 + (jnp.pi * distance) ** 2)


def triangle(distance: jax.Array) -> jax.Array:
    """Return ``max(0, 1 - |x|)``.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking
    neurons", NeurIPS (2018).
    """
    return jnp.maximum(0.0, 1.0 - abs(distance))


SURROGATES: dict[str, Surrogate] = {
    "fast_sigmoid": fast_sigmoid,
    "arctan": arctan,
    "triangle": triangle,
}


def surrogate_of(choice: str | Surrogate | None) -> Surrogate:
    """Return a surrogate by name; None is the fast sigmoid, a function is returned as it is.

    Raises
    ------
    ValidationError
        If there is none of that name.
    """
    if callable(choice):
        return choice
    name = "fast_sigmoid" if choice is None else choice
    if name not in SURROGATES:
        known = ", ".join(f"'{each}'" for each in SURROGATES)
        raise ValidationError(f"Unknown surrogate {name!r}; known ones: {known}", attr="surrogate")
    return SURROGATES[name]


class Spiked(NamedTuple):
    """The condition of a spike.

    Attributes
    ----------
    fired : jax.Array of bool
        Whether there is one.
    distance : jax.Array
        Distance to the threshold, in thresholds.
    """

    fired: jax.Array
    distance: jax.Array


@lru_cache
def vocabulary(surrogate: Surrogate) -> ModuleType:
    """Return the array library for formulas whose gradients are needed.

    In forward mode, the derivative of ``where(above(x, t), a, b)`` with respect to ``x`` is
    ``surrogate(distance) (a - b) / |t|``, and that of ``floor(x)`` is one: neuron types that count
    spikes in whole numbers have the gradient of their rate.
    """

    def where(condition: Any, if_true: Any, if_false: Any) -> jax.Array:
        if not isinstance(condition, Spiked):
            return jnp.where(condition, if_true, if_false)
        shape, dtype = condition.distance.shape, condition.distance.dtype
        values = (jnp.broadcast_to(jnp.asarray(each, dtype), shape) for each in (if_true, if_false))
        return _selected(surrogate, *condition, *values)

    library = ModuleType("xp", xp.__doc__)
    greater, greater_equal = partial(_compared, jnp.greater), partial(_compared, jnp.greater_equal)
    own = {"where": where, "floor": _floor, "greater": greater, "greater_equal": greater_equal}
    vars(library).update(vars(xp), **own, expm1=_expm1, log1p=_log1p)
    return library


def _compared(compare: Callable[..., jax.Array], x: jax.Array, threshold: Any) -> Spiked:
    return Spiked(compare(x, threshold), (x - threshold) / abs(threshold))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _selected(
    surrogate: Surrogate, fired: jax.Array, distance: jax.Array, a: jax.Array, b: jax.Array
) -> jax.Array:
    return jnp.where(fired, a, b)


@_selected.defjvp
def _selected_jvp(
    surrogate: Surrogate, primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]
) -> tuple[jax.Array, jax.Array]:
    fired, distance, a, b = primals
    _, distance_dot, a_dot, b_dot = tangents
    slope = surrogate(distance) * (a - b)
    return jnp.where(fired, a, b), slope * distance_dot + jnp.where(fired, a_dot, b_dot)


@jax.custom_jvp
def _floor(x: jax.Array) -> jax.Array:
    return jnp.floor(x)


@_floor.defjvp
def _floor_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return jnp.floor(primals[0]), tangents[0]


# Of these the library has long series, whose derivatives would take long to compile.


@jax.custom_jvp
def _expm1(x: jax.Array) -> jax.Array:
    value: jax.Array = xp.expm1(x)
    return value


@_expm1.defjvp
def _expm1_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    value = xp.expm1(primals[0])
    return value, (value + 1.0) * tangents[0]


@jax.custom_jvp
def _log1p(x: jax.Array) -> jax.Array:
    value: jax.Array = xp.log1p(x)
    return value


@_log1p.defjvp
def _log1p_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return xp.log1p(primals[0]), tangents[0] / (1.0 + primals[0])
