"""Surrogate gradients: what training takes as the derivative of a spike.

A spike is a step function of the distance to the threshold, so its derivative is zero almost
everywhere. Training replaces it by a peak around the threshold. The values stay the same.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from nengo.exceptions import ValidationError

from nengo_jit.training.duals import Surrogate

SLOPE = 10.0  # of fast_sigmoid: at 1 / SLOPE of the threshold, the derivative is a quarter


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
