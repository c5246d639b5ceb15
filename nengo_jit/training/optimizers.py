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


def optimizer_of(
    chosen: str | optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """Return an optimizer by name, with a learning rate of 0.001, or one of optax's.

    Raises
    ------
    ValidationError
        If there is none of that name, or it is none of optax's.
    """
    if not isinstance(chosen, str):
        if not (hasattr(chosen, "init") and hasattr(chosen, "update")):
            raise ValidationError(
                f"Must be a name, or one of optax's, as optax.adam(0.001) is (got {chosen!r})",
                attr="optimizer",
            )
        return optax.with_extra_args_support(chosen)
    if chosen not in OPTIMIZERS:
        known = ", ".join(f"'{each}'" for each in OPTIMIZERS)
        raise ValidationError(
            f"Unknown optimizer {chosen!r}; known ones: {known}, and all of optax's",
            attr="optimizer",
        )
    return optax.with_extra_args_support(OPTIMIZERS[chosen](RATE))
