"""Lower buckets to operations of JAX: a pure function from blocks to blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nengo_jit.engines.jax.arrays import Constant, xp
from nengo_jit.engines.jax.bucket import Argument, Bucket, Drawn, Key, Leaf, Read, Static, Write
from nengo_jit.engines.jax.columns import Column, Index, Part, in_turns, indices_of

State: TypeAlias = tuple[jax.Array, ...]  # the blocks
Constants: TypeAlias = Sequence[Constant]


class Batched(NamedTuple):
    """An argument of a bucket.

    Attributes
    ----------
    value : jax.Array or object
        The value.
    is_batched : bool
        Whether it has a leading axis for the members of a batch.
    """

    value: Any
    is_batched: bool = False


class Lowered:
    """A sequence of buckets as a function of constants, blocks and what the host has drawn.

    For a batch, blocks and drawn numbers have a leading axis, but for those that are the same for
    all members.

    Parameters
    ----------
    buckets : iterable of Bucket
        The buckets, in order.
    columns : iterable of Column
        Other columns that will be read.

    Attributes
    ----------
    operators : list of Operator
        The members of all buckets, in order.
    indices : list of numpy.ndarray
        Indices that are constants, too, since large literals take long to compile.
    drawn : list of Drawn
        What the host has to draw for a step.
    written : set of int
        The blocks that are written.
    """

    def __init__(self, buckets: Iterable[Bucket], columns: Iterable[Column] = ()):
        self.buckets = tuple(buckets)
        self.operators = [each for bucket in self.buckets for each in bucket.members]
        self.indices: list[np.ndarray] = []
        self._number: dict[int, int] = {}  # of an index, by id
        self._turns = {
            id(write): in_turns(write.column)
            for bucket in self.buckets
            for write in bucket.results
            if write.is_added
        }
        for bucket in self.buckets:
            read = [each.column for each in bucket.arguments if isinstance(each, Read)]
            for column in (*read, *(write.column for write in bucket.results)):
                self._note(column.indices)
        for turns in self._turns.values():
            self._note(indices_of(turns))
        for column in columns:
            self._note(column.indices)
        arguments = (each for bucket in self.buckets for each in bucket.arguments)
        results = (write for bucket in self.buckets for write in bucket.results)
        self.written = {part.block for write in results for part in write.column.parts}
        self.drawn = [each for each in arguments if isinstance(each, Drawn)]

    def _note(self, indices: Iterable[Index]) -> None:
        for index in indices:
            if isinstance(index, np.ndarray) and id(index) not in self._number:
                self._number[id(index)] = len(self.indices)
                self.indices.append(index)

    def run(
        self,
        leaves: Constants,
        indices: Sequence[jax.Array],
        state: State,
        drawn: State,
        number: jax.Array,
    ) -> State:
        """Return the blocks after the step of a number, counted from one; can be traced."""
        blocks = list(state)
        numbers = iter(drawn)
        for bucket in self.buckets:
            values = [
                self._value(each, leaves, indices, blocks, numbers, number)
                for each in bucket.arguments
            ]
            for write, result in zip(bucket.results, _computed(bucket, values)):
                self._store(write, result, indices, blocks)
        return tuple(blocks)

    def read(
        self, column: Column, indices: Sequence[jax.Array], blocks: Sequence[jax.Array]
    ) -> jax.Array:
        """Return the values of a column."""
        parts = [self._part(part.index, blocks[part.block], indices) for part in column.parts]
        if not parts:
            return jnp.zeros(column.shape)
        values = parts[0]
        if len(parts) > 1:
            axes = jnp.broadcast_shapes(*(each.shape[:-1] for each in parts))
            wide = [jnp.broadcast_to(each, (*axes, each.shape[-1])) for each in parts]
            values = jnp.concatenate(wide, -1)
        if column.order is not None:
            values = self._part(column.order, values, indices)
        return jnp.reshape(values, (*values.shape[:-1], *column.shape))

    def _part(self, index: Index, values: jax.Array, indices: Sequence[jax.Array]) -> jax.Array:
        if isinstance(index, slice):
            return values[..., index]
        place = values.at[..., indices[self._number[id(index)]]]
        return place.get(mode="promise_in_bounds")

    def _value(
        self,
        argument: Argument,
        leaves: Constants,
        indices: Sequence[jax.Array],
        blocks: list[jax.Array],
        drawn: Iterator[jax.Array],
        number: jax.Array,
    ) -> Batched:
        if isinstance(argument, Static):
            return Batched(argument.value)
        if isinstance(argument, Leaf):
            return Batched(leaves[argument.number], argument.is_batched)
        if isinstance(argument, Key):
            return _keys(argument, leaves, number)
        if isinstance(argument, Read):
            values, shape = self.read(argument.column, indices, blocks), argument.column.shape
        else:
            values, shape = next(drawn), argument.shape
        return Batched(values, values.ndim > len(shape))

    def _store(
        self,
        write: Write,
        flat: jax.Array,
        indices: Sequence[jax.Array],
        blocks: list[jax.Array],
    ) -> None:
        column = write.column
        parts: Sequence[Part] = self._turns[id(write)] if write.is_added else column.parts
        for part in parts:
            values = self._part(part.places, flat, indices)
            if write.is_added:
                values = self._part(part.index, blocks[part.block], indices) + values
            self._set(part.block, part.index, values, indices, blocks)

    def _set(
        self,
        number: int,
        index: Index,
        values: jax.Array,
        indices: Sequence[jax.Array],
        blocks: list[jax.Array],
    ) -> None:
        block = blocks[number]
        values = values.astype(block.dtype)
        values = jnp.broadcast_to(values, (*block.shape[:-1], values.shape[-1]))
        if not isinstance(index, slice):
            place = block.at[..., indices[self._number[id(index)]]]
            blocks[number] = place.set(values, mode="promise_in_bounds", unique_indices=True)
        elif values.shape == block.shape:
            blocks[number] = values
        else:
            start = (*[0] * (block.ndim - 1), index.start)
            blocks[number] = lax.dynamic_update_slice(block, values, start)


def _keys(key: Key, leaves: Constants, number: jax.Array) -> Batched:
    """Return the keys of a step."""
    keys = leaves[key.leaf.number]
    assert isinstance(keys, jax.Array)
    fold: Callable[..., jax.Array] = jax.random.fold_in
    for _ in range(keys.ndim - 1):
        fold = jax.vmap(fold, (0, None))
    return Batched(fold(keys, number), key.leaf.is_batched)


def _computed(bucket: Bucket, values: Sequence[Batched]) -> Sequence[jax.Array]:
    """Return the results of a bucket, each (size,), or (n_members, size) if they differ."""
    is_mapped = [not isinstance(each, Static) and each.is_mapped for each in bucket.arguments]
    compute: Callable[..., Sequence[Any]] = partial(bucket.function, xp)

    def flat(*arguments: Any) -> Sequence[jax.Array]:
        results = _over_axis(compute, is_mapped, arguments)
        shapes = [write.column.shape for write in bucket.results]
        return [
            jnp.ravel(jnp.broadcast_to(jnp.asarray(each), shape))
            for each, shape in zip(results, shapes)
        ]

    return _over_axis(flat, [each.is_batched for each in values], [each.value for each in values])


def _over_axis(
    function: Callable[..., Sequence[Any]], is_mapped: Sequence[bool], arguments: Sequence[Any]
) -> Sequence[Any]:
    """Call a function for each element along the first axis of those arguments that are mapped."""
    if not any(is_mapped):
        return function(*arguments)

    def of_one(*mapped: Any) -> Sequence[Any]:
        own = iter(mapped)
        merged = [next(own) if is_own else value for is_own, value in zip(is_mapped, arguments)]
        return function(*merged)

    mapped = [value for is_own, value in zip(is_mapped, arguments) if is_own]
    results: Sequence[Any] = jax.vmap(of_one)(*mapped)
    return results
