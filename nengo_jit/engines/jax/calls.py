"""Compiled calls: some operators for one step, or all of them for many steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nengo_jit.engines.jax.arrays import Constant
from nengo_jit.engines.jax.bucket import Bucket
from nengo_jit.engines.jax.columns import Column
from nengo_jit.engines.jax.draws import Draws
from nengo_jit.engines.jax.lowering import Lowered, State
from nengo_jit.engines.jax.memory import DeviceMemory

CHUNK = 1024  # most steps of a call
CHUNK_BYTES = 1 << 25  # most bytes of samples and drawn numbers in a call

Samples: TypeAlias = tuple[jax.Array, ...]


class Segment:
    """Operators between two calls of Python, as one call.

    Parameters
    ----------
    buckets : sequence of Bucket
        The operators.
    leaves : sequence of Constant
        The constants of all buckets of the plan.
    draws : Draws
        Draws what the host has to draw.
    """

    def __init__(self, buckets: Sequence[Bucket], leaves: Sequence[Constant], draws: Draws):
        self._lowered = Lowered(buckets)
        self._leaves, self._draws = leaves, draws
        self._indices = [jnp.asarray(each) for each in self._lowered.indices]
        results = [write for bucket in buckets for write in bucket.results]
        self._written = {part.block for write in results for part in write.column.parts}
        self._call = jax.jit(self._lowered.run)

    def run(self, memory: DeviceMemory, number: int) -> None:
        """Run the operators in the step of a number, counted from one."""
        memory.push()
        drawn = self._draws.take(self._lowered.drawn, number, 1, 1)
        numbers = tuple(each[0] for each in drawn)
        arrays = self._call(self._leaves, self._indices, tuple(memory.arrays), numbers)
        memory.changed_on_device(arrays, self._written)


class Loop:
    """All operators, for many steps in one call, which is compiled for any number of steps.

    Parameters
    ----------
    buckets, leaves, draws
        See `Segment`.
    recorded : sequence of Column
        The signals to record after each step.

    Attributes
    ----------
    size : int
        Most steps in a call.
    """

    def __init__(
        self,
        buckets: Sequence[Bucket],
        leaves: Sequence[Constant],
        draws: Draws,
        recorded: Sequence[Column],
    ):
        self._lowered = Lowered(buckets, recorded)
        self._leaves, self._draws = leaves, draws
        self._indices = [jnp.asarray(each) for each in self._lowered.indices]
        n_numbers = sum(column.size for column in recorded)
        n_numbers += sum(int(np.prod(each.shape)) for each in self._lowered.drawn)
        self.size = max(1, min(CHUNK, CHUNK_BYTES // (8 * max(1, n_numbers))))
        self._call = jax.jit(partial(_run, self._lowered, recorded, self.size))

    def run(self, memory: DeviceMemory, first: int, n: int) -> list[np.ndarray]:
        """Run ``n`` steps from step ``first``, counted from one; returns the samples of each."""
        arrays, samples = self._call(*self.arguments(memory, first, n))
        memory.changed_on_device(arrays, range(len(arrays)))
        return [np.asarray(each)[:n] for each in samples]

    def arguments(self, memory: DeviceMemory, first: int, n: int) -> tuple[object, ...]:
        """What the compiled function takes, see `run`."""
        memory.push()
        drawn = self._draws.take(self._lowered.drawn, first, n, self.size)
        return self._leaves, self._indices, tuple(memory.arrays), drawn, n


def _run(
    lowered: Lowered,
    recorded: Sequence[Column],
    size: int,
    leaves: Sequence[Constant],
    indices: Sequence[jax.Array],
    state: State,
    drawn: Sequence[jax.Array],
    n: jax.Array,
) -> tuple[State, Samples]:
    """Run ``n`` steps; arrays in ``drawn`` and in the samples have ``size`` rows."""
    read: list[Callable[[State], jax.Array]]
    read = [partial(lowered.read, column, indices) for column in recorded]

    def step(i: jax.Array, carried: tuple[State, Samples]) -> tuple[State, Samples]:
        state, samples = carried
        numbers = tuple(lax.dynamic_index_in_dim(each, i, keepdims=False) for each in drawn)
        state = lowered.run(leaves, indices, state, numbers)
        rows = zip(samples, [each(state) for each in read])
        return state, tuple(lax.dynamic_update_index_in_dim(s, row, i, 0) for s, row in rows)

    like = [jax.eval_shape(each, state) for each in read]
    samples = tuple(jnp.zeros((size, *each.shape), each.dtype) for each in like)
    result: tuple[State, Samples] = lax.fori_loop(0, n, step, (state, samples))
    return result
