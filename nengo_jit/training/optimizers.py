"""Optimizers by name."""

from __future__ import annotations

from collections.abc import Callable

import optax
from nengo.exceptions import ValidationError

RATE = 1e-3  # learning rate of optimizers that are chosen by name

OPTIMIZERS: dict[str, Callable[[float], optax.GradientTransformation]] = {
    "adam": optax.adam,
    "adamw": optax.adamw,
    "rmsprop": optax.rmsprop,
    "sgd": optax.sgd,
}


def optimizer_of(chosen: str | optax.GradientTransformation) -> optax.GradientTransformation:
    """Return an optimizer by name, with a learning rate of 0.001; one of optax's as it is.

    Raises
    ------
    ValidationError
        If there is none of that name.
    """
    if not isinstance(chosen, str):
        return chosen
    if chosen not in OPTIMIZERS:
        known = ", ".join(f"'{each}'" for each in OPTIMIZERS)
        raise ValidationError(
            f"Unknown optimizer {chosen!r}; known ones: {known}, and all of optax's",
            attr="optimizer",
        )
    return OPTIMIZERS[chosen](RATE)
