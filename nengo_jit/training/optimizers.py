"""Optimizers by name, and optimizers of stacks."""

from __future__ import annotations

from collections.abc import Callable

import optax
from nengo.exceptions import ValidationError

from nengo_jit.training.expressions import is_alike
from nengo_jit.training.stacks import Stacked, Stacks

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


def of_stacks(
    optimizer: optax.GradientTransformation, stacks: Stacks, trained: Stacked
) -> optax.GradientTransformation:
    """Return an optimizer for stacks that does what one does for parameters by name.

    Parameters
    ----------
    optimizer : optax.GradientTransformation
        The optimizer, for a dictionary of parameters by name.
    stacks : Stacks
        Where parameters are.
    trained : dict of (str, jax.Array)
        The stacks that are trained.
    """
    if is_alike(optimizer, stacks, trained):
        return optimizer

    def init(trained: Stacked) -> optax.OptState:
        return optimizer.init(stacks.by_name(trained))

    def update(
        slopes: Stacked, state: optax.OptState, trained: Stacked
    ) -> tuple[Stacked, optax.OptState]:
        params, named = stacks.by_name(trained), stacks.by_name(slopes)
        updates, state = optimizer.update(named, state, params)
        return stacks.stacked(updates), state

    return optax.GradientTransformation(init, update)
