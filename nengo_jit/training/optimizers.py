"""Optimizers by name, and optimizers of stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def of_stacks(
    optimizer: optax.GradientTransformationExtraArgs, stacks: Stacks, trained: Stacked
) -> optax.GradientTransformationExtraArgs:
    """Return an optimizer for stacks that does what one does for parameters by name.

    Parameters
    ----------
    optimizer : optax.GradientTransformationExtraArgs
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
        slopes: Stacked, state: optax.OptState, trained: Stacked, **options: Any
    ) -> tuple[Stacked, optax.OptState]:
        if options:  # of a search along a line
            value_of = options["value_fn"]
            options |= {
                "grad": stacks.by_name(options["grad"]),
                "value_fn": lambda params: value_of(stacks.stacked(params)),
            }
        params, named = stacks.by_name(trained), stacks.by_name(slopes)
        updates, state = optimizer.update(named, state, params, **options)
        return stacks.stacked(updates), state

    return optax.GradientTransformationExtraArgs(init, update)
