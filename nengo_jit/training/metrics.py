"""Metrics: numbers for the user, which are not trained for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_jit.training.losses import REAL, Loss, accuracy, is_of_labels, scalar
from nengo_jit.training.program import Arrays, Program

Metric: TypeAlias = Callable[[Arrays, Arrays], jax.Array]  # of outputs and targets by probe
Metrics: TypeAlias = Mapping[str, tuple[Probe, Loss]]

RESERVED = ("loss", "seconds", "accuracy")


def metrics_of(
    program: Program, losses: Mapping[str, Loss], chosen: Metrics | None
) -> dict[str, Metric]:
    """Return metrics by name: ``accuracy`` if a loss has labels, and those that users choose.

    Parameters
    ----------
    program : Program
        The network.
    losses : dict of (str, callable)
        By name of a probe.
    chosen : mapping of (str, (nengo.Probe, callable)), optional
        By name of the metric, a probe and a function like a loss.

    Raises
    ------
    ValidationError
        If a probe is not in the network, or a name has another meaning.
    """
    found: dict[str, Metric] = {}
    labelled = {name: each for name, each in losses.items() if is_of_labels(each)}
    if labelled:
        found["accuracy"] = partial(_mean_accuracy, labelled)
    names = {probe: name for name, probe in program.probes.items()}
    for name, each in (chosen or {}).items():
        if not (isinstance(each, tuple | list) and len(each) == 2 and callable(each[1])):
            raise ValidationError(f"'{name}' needs a probe and a function", attr="metrics")
        probe, function = each
        if probe not in names:
            raise ValidationError(f"{probe} is no probe of the network", attr="metrics")
        if name in RESERVED:
            raise ValidationError(f"'{name}' is the name of another value", attr="metrics")
        found[name] = partial(_of_probe, name, names[probe], function)
    return found


def _mean_accuracy(losses: Mapping[str, Loss], outputs: Arrays, targets: Arrays) -> jax.Array:
    shares = [accuracy(each, outputs[name], targets[name]) for name, each in losses.items()]
    return jnp.mean(jnp.stack(shares))


def _of_probe(name: str, probe: str, function: Loss, outputs: Arrays, targets: Arrays) -> jax.Array:
    value = function(outputs[probe], targets.get(probe))
    return scalar(value, f"The metric '{name}'", "metrics", REAL)
