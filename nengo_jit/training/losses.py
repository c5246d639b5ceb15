"""Losses: from the samples of a probe, and their target, to a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_jit.labels import SEPARATOR

Loss: TypeAlias = Callable[[jax.Array, jax.Array | None], jax.Array]
Losses: TypeAlias = str | Loss | Mapping[Probe, str | Loss]
Penalty: TypeAlias = Callable[[Mapping[str, jax.Array]], jax.Array]

REAL = (jnp.floating, jnp.integer, jnp.bool_)
NUMBERS = (jax.Array, np.ndarray, np.generic, float, int)


def scalar(
    value: object, what: str, attr: str, kinds: Iterable[type] = (jnp.floating,)
) -> jax.Array:
    """Return what a user's function has returned, which must be one number of some kinds.

    Raises
    ------
    ValidationError
        If it is something else; the message begins with ``what``.
    """
    number = jnp.asarray(value) if isinstance(value, NUMBERS) else None
    if number is None or number.shape or not is_of(number.dtype, kinds):
        kind = type(value).__name__
        found = kind if number is None else f"{number.dtype} in the shape {number.shape}"
        names = " or ".join(each.__name__ for each in kinds)
        raise ValidationError(f"{what} must be one number ({names}), not {found}", attr=attr)
    return number


def is_of(dtype: np.dtype, kinds: Iterable[type]) -> bool:
    """Whether a type of numbers, JAX's own included, is of some kinds."""
    return any(jnp.issubdtype(dtype, each) for each in kinds)


def mse(output: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean squared error.

    Parameters
    ----------
    output : (batch, samples, size) jax.Array
        The samples of a probe.
    target : jax.Array
        Three dimensions that broadcast to it.
    """
    return jnp.mean((output - target) ** 2)


def cross_entropy_last(output: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the cross-entropy of the softmax of the last sample; see `cross_entropy_mean`."""
    return _cross_entropy(output[:, -1], labels)


def cross_entropy_mean(output: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the cross-entropy of the softmax of the mean over samples.

    Parameters
    ----------
    output : (batch, samples, classes) jax.Array
        The samples of a probe.
    labels : (batch,) jax.Array of int
        The classes.
    """
    return _cross_entropy(jnp.mean(output, axis=1), labels)


def _cross_entropy(scores: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))


def firing_rates(low: float, high: float, weight: float = 1.0) -> Loss:
    """Return a loss for a probe of neurons, which needs no target.

    Parameters
    ----------
    low, high : float
        Range of rates (hertz), averaged over a sequence, that cost nothing.
    weight : float
        Factor on the mean squared distance to that range (per square kilohertz).
    """

    def loss(output: jax.Array, target: jax.Array | None = None) -> jax.Array:
        rates = jnp.mean(output, axis=1)
        outside = (rates - jnp.clip(rates, low, high)) / 1000.0
        return weight * jnp.mean(outside**2)

    return loss


def weight_penalty(
    l1: float = 0.0, l2: float = 0.0, attributes: str | Iterable[str] = ("transform", "decoders")
) -> Penalty:
    """Return a penalty on weights, for `Trainer.fit`.

    Parameters
    ----------
    l1, l2 : float
        Factors on the sum of absolute values, and on the sum of squares.
    attributes : str or iterable of str
        Which of the trained parameters are penalised.
    """
    chosen_names = [attributes] if isinstance(attributes, str) else attributes
    endings = tuple(f"{SEPARATOR}{each}" for each in chosen_names)

    def penalty(params: Mapping[str, jax.Array]) -> jax.Array:
        chosen = [each for name, each in params.items() if name.endswith(endings)]
        sums = [l1 * jnp.sum(abs(each)) + l2 * jnp.sum(each**2) for each in chosen]
        return jnp.sum(jnp.stack(sums)) if sums else jnp.zeros(())

    return penalty


LOSSES: dict[str, Callable[..., jax.Array]] = {
    "mse": mse,
    "cross_entropy_last": cross_entropy_last,
    "cross_entropy_mean": cross_entropy_mean,
}


def is_of_labels(loss: Loss) -> bool:
    """Whether the targets of a loss are labels, so that there is an accuracy."""
    return loss in (cross_entropy_last, cross_entropy_mean)


def accuracy(loss: Loss, output: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the share of labels that have the highest score, for a loss of labels."""
    scores = output[:, -1] if loss is cross_entropy_last else jnp.mean(output, axis=1)
    return jnp.mean(jnp.argmax(scores, axis=-1) == labels)


def losses_of(chosen: Losses, targets: Mapping[Probe, object]) -> dict[Probe, Loss]:
    """Return the loss of each probe.

    Parameters
    ----------
    chosen : str, callable or mapping of (nengo.Probe, str or callable)
        One loss for all probes that have a target, or one for each probe.
    targets : mapping
        Probes that have a target.

    Raises
    ------
    ValidationError
        If there is no loss of that name, or a probe with a target has none.
    """
    if not isinstance(chosen, Mapping):
        chosen = dict.fromkeys(targets, chosen)
    missing = [probe for probe in targets if probe not in chosen]
    if missing:
        raise ValidationError(f"{missing[0]} has a target but no loss", attr="loss")
    if not chosen:
        raise ValidationError("There is no target", attr="y")
    return {probe: _loss(each) for probe, each in chosen.items()}


def _loss(chosen: str | Loss) -> Loss:
    if callable(chosen):
        return chosen
    if chosen not in LOSSES:
        known = ", ".join(f"'{each}'" for each in LOSSES)
        raise ValidationError(f"Unknown loss {chosen!r}; known losses: {known}", attr="loss")
    return LOSSES[chosen]
