"""Compiled calls: some operators for one step, or all of them for many steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nengo_jit.engines.jax.arrays import Constant, copied
from nengo_jit.engines.jax.bucket import Bucket
from nengo_jit.engines.jax.columns import Column
from nengo_jit.engines.jax.draws import Drawing
from nengo_jit.engines.jax.lowering import Lowered, State
from nengo_jit.engines.jax.memory import DeviceMemory

CHUNK = 1024  # most steps of a call
CHUNK_BYTES = 1 << 23  # most bytes of samples and drawn numbers in a call

Samples: TypeAlias = tuple[jax.Array, ...]
Carried: TypeAlias = tuple[jax.Array, State, Samples]  # with the number of steps that are done


class Segment:
    """Operators between two calls of Python, as one call.

    Parameters
    ----------
    buckets : sequence of Bucket
        The operators.
    leaves : sequence of Constant
        The constants of all buckets of the plan.
    draws : Drawing
        Has drawn what the host has to draw.
    flags : int or None
        The block that says whether the step needs Python, see `Bucket`.

    Attributes
    ----------
    operators : list of Operator
        The operators.
    drawn : list of Drawn
        What has to be drawn before a step.
    """

    def __init__(
        self,
        buckets: Sequence[Bucket],
        leaves: Sequence[Constant],
        draws: Drawing,
        flags: int | None = None,
    ):
        self._lowered = Lowered(buckets)
        self._leaves, self._draws = leaves, draws
        self._indices = list(map(copied, self._lowered.indices))
        self.operators = self._lowered.operators
        self._written = self._lowered.written
        self._flags = flags if flags in self._written else None
        self._call = jax.jit(self._lowered.run)
        self.drawn = self._lowered.drawn

    def run(self, memory: DeviceMemory, number: int) -> bool:
        """Run the operators in the step of a number, counted from one.

        Returns
        -------
        bool
            Whether it could. If not, nothing has changed, and Python is needed.
        """
        memory.push()
        drawn = self._draws.take(self.drawn, number, 1, 1)
        numbers = tuple(each[0] for each in drawn)
        arrays = self._call(self._leaves, self._indices, tuple(memory.arrays), numbers, number)
        if self._flags is not None and np.asarray(arrays[self._flags]).any():
            return False
        memory.changed_on_device(arrays, self._written)
        return True


class Loop:
    """All operators, for many steps in one call, which is compiled for any number of steps.

    Parameters
    ----------
    buckets, leaves, draws, flags
        See `Segment`.
    recorded : sequence of Column
        The signals to record after each step.
    n_members : int
        Number of members of a batch.

    Attributes
    ----------
    operators : list of Operator
        The operators.
    size : int
        Most steps in a call.
    """

    def __init__(
        self,
        buckets: Sequence[Bucket],
        leaves: Sequence[Constant],
        draws: Drawing,
        recorded: Sequence[Column],
        flags: int | None = None,
        n_members: int = 1,
    ):
        self._lowered = Lowered(buckets, recorded)
        self._leaves, self._draws = leaves, draws
        self._indices = list(map(copied, self._lowered.indices))
        self.operators = self._lowered.operators
        self._written = self._lowered.written
        self._flags = flags if flags in self._written else None
        n_numbers = sum(column.size for column in recorded)
        n_numbers += sum(int(np.prod(each.shape)) for each in self._lowered.drawn)
        self.size = max(1, min(CHUNK, CHUNK_BYTES // (8 * n_members * max(1, n_numbers))))
        self._call = jax.jit(partial(_run, self._lowered, recorded, self.size, self._flags))

    def run(self, memory: DeviceMemory, first: int, n: int) -> tuple[int, list[np.ndarray]]:
        """Run at most ``n`` steps from step ``first``, counted from one.

        Returns
        -------
        int
            How many steps it has run. If they are fewer, the next one needs Python.
        list of numpy.ndarray
            The samples of each signal that is recorded.
        """
        n = self._draws.prepare(self._lowered.drawn, first, n)
        if not n:
            return 0, []
        *arguments, _ = self.arguments(memory, first, n)
        n_done, arrays, samples = self._call(*arguments, n)
        if self._flags is not None and int(n_done) < n:
            n = int(n_done)
            if not n:
                return 0, []
            _, arrays, samples = self._call(*arguments, n)
        memory.changed_on_device(arrays, self._written)
        return n, [np.asarray(each)[:n] for each in samples]

    def arguments(self, memory: DeviceMemory, first: int, n: int) -> tuple[object, ...]:
        """What the compiled function takes, see `run`."""
        memory.push()
        drawn = self._draws.take(self._lowered.drawn, first, n, self.size)
        return self._leaves, self._indices, tuple(memory.arrays), drawn, first, n


def _run(
    lowered: Lowered,
    recorded: Sequence[Column],
    size: int,
    flags: int | None,
    leaves: Sequence[Constant],
    indices: Sequence[jax.Array],
    state: State,
    drawn: Sequence[jax.Array],
    first: jax.Array,
    n: jax.Array,
) -> tuple[jax.Array, State, Samples]:
    """Run ``n`` steps from step ``first``, or all before the first one that needs Python.

    Arrays in ``drawn`` and in the samples have ``size`` rows. If a step needs Python, the blocks
    are those after that step, and of no use.
    """
    read: list[Callable[[State], jax.Array]]
    read = [partial(lowered.read, column, indices) for column in recorded]

    def is_lost(state: State) -> jax.Array:
        return jnp.zeros((), bool) if flags is None else jnp.any(state[flags])

    def goes_on(carried: Carried) -> jax.Array:
        i, state, _ = carried
        return (i < n) & ~is_lost(state)

    def step(carried: Carried) -> Carried:
        i, state, samples = carried
        numbers = tuple(lax.dynamic_index_in_dim(each, i, keepdims=False) for each in drawn)
        state = lowered.run(leaves, indices, state, numbers, first + i)
        rows = zip(samples, [each(state) for each in read])
        written = tuple(lax.dynamic_update_index_in_dim(s, row, i, 0) for s, row in rows)
        return i + jnp.where(is_lost(state), 0, 1), state, written

    like = [jax.eval_shape(each, state) for each in read]
    samples = tuple(jnp.zeros((size, *each.shape), each.dtype) for each in like)
    begin: Carried = jnp.zeros((), int), state, samples
    result: Carried = lax.while_loop(goes_on, step, begin)
    return result
