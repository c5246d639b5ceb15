"""The loop over steps, as one function that is compiled once for any number of steps."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from nengo_jit.engines.jax.columns import Column
from nengo_jit.engines.jax.lowering import Constants, Lowered, State

Samples = tuple[jax.Array, ...]


def loop_of(lowered: Lowered, recorded: Sequence[Column], size: int) -> object:
    """Make the function that runs steps on the device.

    Parameters
    ----------
    lowered : Lowered
        A step.
    recorded : sequence of Column
        The signals to record after each step.
    size : int
        Most steps in a call.

    Returns
    -------
    callable
        ``(leaves, indices, state, drawn, n) -> (state, samples)``, where each array in ``drawn``
        and ``samples`` has ``size`` rows, of which ``n`` are used.
    """

    def loop(
        leaves: Constants,
        indices: Sequence[jax.Array],
        state: State,
        drawn: Sequence[jax.Array],
        n: jax.Array,
    ) -> tuple[State, Samples]:
        def step(i: jax.Array, carried: tuple[State, Samples]) -> tuple[State, Samples]:
            state, samples = carried
            numbers = tuple(lax.dynamic_index_in_dim(each, i, keepdims=False) for each in drawn)
            state = lowered.run(leaves, indices, state, numbers)
            values = (lowered.read(column, indices, state) for column in recorded)
            samples = tuple(
                lax.dynamic_update_index_in_dim(rows, value, i, 0)
                for rows, value in zip(samples, values)
            )
            return state, samples

        shapes = [jax.eval_shape(lambda s: lowered.read(c, indices, s), state) for c in recorded]
        samples = tuple(jnp.zeros((size, *each.shape), each.dtype) for each in shapes)
        return lax.fori_loop(0, n, step, (state, samples))

    return jax.jit(loop)
