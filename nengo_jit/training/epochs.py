"""The compiled parts of training: an epoch, and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from nengo_jit.engines.jax.lowering import State
from nengo_jit.training.losses import Loss, Penalty, scalar
from nengo_jit.training.metrics import Metric
from nengo_jit.training.program import Arrays, Program
from nengo_jit.training.stacks import Stacked

PENALTY = ""  # in place of the name of a probe

Samples: TypeAlias = tuple[Arrays, Arrays]  # inputs by node, targets by probe


class Learned(NamedTuple):
    """What an epoch changes.

    Attributes
    ----------
    trained : dict of (str, jax.Array)
        The parameters that are trained, in stacks.
    optimizer : optax.OptState
        State of the optimizer.
    state : tuple of jax.Array or None
        State of the network for each member of a batch, if it carries over to the next batch.
    """

    trained: Stacked
    optimizer: optax.OptState
    state: State | None


class Found(NamedTuple):
    """What the batches of an epoch have found.

    Attributes
    ----------
    losses : dict of (str, (batches,) jax.Array)
        The loss of each probe, and the penalty.
    metrics : dict of (str, (batches,) jax.Array)
        By name.
    """

    losses: Arrays
    metrics: Arrays


class Epochs:
    """Runs epochs of training with one loss and one optimizer.

    Parameters
    ----------
    program : Program
        The network.
    losses : dict of (str, callable)
        By name of a probe.
    penalty : callable or None
        From the parameters that are trained to a number that is added to the loss.
    metrics : dict of (str, callable)
        By name, functions of outputs and targets.
    optimizer : optax.GradientTransformationExtraArgs
        The optimizer, for stacks.
    remat : "auto", int or None
        See `nengo_jit.training.Trainer`.
    """

    def __init__(
        self,
        program: Program,
        losses: Mapping[str, Loss],
        penalty: Penalty | None,
        metrics: Mapping[str, Metric],
        optimizer: optax.GradientTransformationExtraArgs,
        remat: str | int | None,
    ):
        self._program, self._losses = program, dict(losses)
        self._penalty, self._metrics = penalty, dict(metrics)
        self._optimizer, self._remat = optimizer, remat
        self.run = jax.jit(self._run)

    def _run(
        self, learned: Learned, fixed: Stacked, shared: Arrays, samples: Samples, order: jax.Array
    ) -> tuple[Learned, Found]:
        """Train with batches, one after the other.

        Parameters
        ----------
        learned : Learned
            What was learned before.
        fixed : dict of (str, jax.Array)
            The other parameters, in stacks.
        shared : dict of (str, (steps, size_out) jax.Array)
            Inputs that all samples have in common.
        samples : tuple of dict
            Inputs and targets, samples first.
        order : (batches, batch) jax.Array of int
            The samples of each batch.

        Returns
        -------
        Learned, Found
        """

        def batch(learned: Learned, rows: jax.Array) -> tuple[Learned, Found]:
            inputs, targets = jax.tree.map(lambda each: each[rows], samples)
            loss = partial(self._loss, fixed, shared, inputs, targets, learned.state)
            (value, (state, found)), slopes = jax.value_and_grad(loss, has_aux=True)(
                learned.trained
            )
            updates, optimizer = self._optimizer.update(
                slopes,
                learned.optimizer,
                learned.trained,
                value=value,  # this and the rest for optimizers that search along a line
                grad=slopes,
                value_fn=lambda trained: loss(trained)[0],
            )
            trained = optax.apply_updates(learned.trained, updates)
            return Learned(trained, optimizer, state), found

        result: tuple[Learned, Found] = lax.scan(batch, learned, order)
        return result

    def _loss(
        self,
        fixed: Stacked,
        shared: Arrays,
        inputs: Arrays,
        targets: Arrays,
        state: State | None,
        trained: Stacked,
    ) -> tuple[jax.Array, tuple[State | None, Found]]:
        params = {**fixed, **trained}
        after, outputs = run_batch(self._program, params, state, shared, inputs, self._remat)
        values = loss_values(self._program, self._losses, outputs, targets)
        if self._penalty is not None:
            penalty = self._penalty(self._program.stacks.by_name(trained))
            values[PENALTY] = scalar(penalty, "The penalty", "penalty")
        total = jnp.sum(jnp.stack(list(values.values())))
        metrics = {name: each(outputs, targets) for name, each in self._metrics.items()}
        return total, (None if state is None else after, Found(values, metrics))


def loss_values(
    program: Program, losses: Mapping[str, Loss], outputs: Arrays, targets: Arrays
) -> Arrays:
    """Return the loss of each probe; ValidationError names a probe whose loss is no number."""
    return {
        name: scalar(
            loss(outputs[name], targets.get(name)),
            f"The loss of {program.probes[name]}",
            "loss",
        )
        for name, loss in losses.items()
    }


def run_batch(
    program: Program,
    params: Stacked,
    state: State | None,
    shared: Arrays,
    inputs: Arrays,
    remat: str | int | None = None,
) -> tuple[State, Arrays]:
    """Run a batch of samples; can be traced.

    Parameters
    ----------
    program : Program
        The network.
    params : dict of (str, jax.Array)
        All parameters, in stacks.
    state : tuple of (batch, ...) jax.Array or None
        The state of each member; None for the initial state.
    shared : dict of (str, (steps, size_out) jax.Array)
        Inputs that all samples have in common.
    inputs : dict of (str, (batch, steps, size_out) jax.Array)
        All others.
    remat : "auto", int or None
        See `nengo_jit.training.Trainer`.

    Returns
    -------
    tuple of (batch, ...) jax.Array, dict of (str, (batch, samples, size) jax.Array)
        The states, and the samples of all probes.
    """

    def one(state: State, inputs: Arrays) -> tuple[State, Arrays]:
        return program.run(params, state, {**shared, **inputs}, remat)

    if state is None:
        initial = program.initial_state(params)
        return jax.vmap(lambda inputs: one(initial, inputs))(inputs)
    return jax.vmap(one)(state, inputs)


def batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    """Divide an order of samples into equal batches, and the rest.

    Returns
    -------
    list of (batches, size) numpy.ndarray of int
        Whole batches, then one smaller batch, where there are any.
    """
    n_whole = len(order) // size * size
    parts = [order[:n_whole].reshape(-1, size), order[n_whole:].reshape(1, -1)]
    return [part for part in parts if part.size]
