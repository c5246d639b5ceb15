"""Divide groups of operators into buckets.

There are two forms. Elementwise operators of any sizes become one operator on flat arrays. Others
are mapped over a leading axis, if all shapes are the same. Everything here is NumPy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from nengo_jit.engines.jax.blocks import Blocks, Region
from nengo_jit.engines.jax.bucket import (
    Argument,
    Bucket,
    Constants,
    Drawn,
    Leaf,
    Packing,
    Read,
    Static,
    Write,
)
from nengo_jit.engines.jax.columns import Column, column_of
from nengo_jit.engines.jax.fitting import takes_draws
from nengo_jit.engines.jax.noise import Noise, drawing
from nengo_jit.engines.jax.python.buckets import buckets_of_tapes
from nengo_jit.engines.jax.python.placing import Placement
from nengo_jit.ir.base import Operator
from nengo_jit.ir.compute import Computation, computation
from nengo_jit.ir.filters import first_order, scale
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, ElementwiseInc, Reset
from nengo_jit.ir.processes import SimProcess, given
from nengo_jit.ir.products import Rows, rows_of
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan

ELEMENTWISE_FILTERS = (first_order, scale, given)


def types_of(operator: Operator) -> tuple[object, ...]:
    """Return the types of an operator's numbers: a block has numbers of one type."""
    return tuple(each.dtype.str for each in operator.all_signals)


def key_of(operator: Operator, dt: float) -> tuple[object, ...]:
    """Return a key: operators of one kind with equal keys, which are lowered, can be one bucket."""
    known = computation(operator, dt)
    assert known is not None, "only such operators are lowered"
    return _key(operator, known)


def _key(operator: Operator, known: Computation) -> tuple[object, ...]:
    signals = (*known.inputs, *known.outputs)
    kinds = tuple((each.dtype.str, each.base.readonly) for each in signals)
    if isinstance(operator, Copy):
        return kinds
    fixed = tuple(None if _is_number(each) else each for each in known.parameters)
    if _is_elementwise(operator, known):
        return fixed, kinds
    if any(each.sparse for each in signals):
        return (operator,)
    shapes = tuple(each.shape for each in signals)
    arrays = tuple(np.shape(each) for each in known.parameters if isinstance(each, np.ndarray))
    return fixed, kinds, shapes, arrays


class Bucketing:
    """Divides the groups of a plan into buckets.

    Parameters
    ----------
    plan : Plan
        The plan, with groups.
    signals : SignalDict
        The engine's memory.
    blocks : Blocks
        Where the signals lie.
    placement : Placement
        Where operators with Python code run.
    noise : mapping of (Operator, Noise)
        Operators with random numbers that the device draws.
    constants : Constants
        Gets the arrays that buckets refer to.
    """

    def __init__(
        self,
        plan: Plan,
        signals: SignalDict,
        blocks: Blocks,
        placement: Placement,
        noise: Mapping[Operator, Noise],
        constants: Constants,
    ):
        self._plan, self._signals, self._blocks = plan, signals, blocks
        self._placement, self._noise = placement, noise
        self.constants = constants

    def buckets_of(self, members: Sequence[Operator]) -> Iterator[Bucket]:
        """Divide operators of one kind, which run on the device, into buckets."""
        found: dict[object, list[tuple[Operator, Computation]]] = {}
        taped = {op: self._placement.taped[op] for op in members if op in self._placement.taped}
        yield from buckets_of_tapes(taped, self.constants)
        for operator in members:
            if operator in taped:
                continue
            known = self._computation(operator)
            if any(each.size for each in known.outputs):
                noise = self._noise.get(operator)
                key = _key(operator, known), None if noise is None else noise.sampler
                found.setdefault(key, []).append((operator, known))
        for pairs in found.values():
            form = _form_of(*pairs[0], len(pairs))
            if pairs[0][0] not in self._noise:
                yield form(pairs, self.constants, self._signals, self._blocks).bucket()
            else:
                bucket = Mapped(pairs, self.constants, self._signals, self._blocks).bucket()
                yield drawing(bucket, [self._noise[op] for op, _ in pairs], self.constants)

    def _computation(self, operator: Operator) -> Computation:
        if operator in self._placement.ahead:
            return Computation(given, (), [], operator.outputs(), operator.place())
        known = computation(operator, self._plan.dt)
        assert known is not None, "only such operators are lowered"
        return known


class Form(ABC):
    """Makes a bucket of operators.

    Parameters
    ----------
    pairs : sequence of (Operator, Computation)
        Operators with one key.
    constants : Constants
        Gets the arrays that the bucket refers to.
    signals : SignalDict
        The engine's memory.
    blocks : Blocks
        Where the signals lie.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Operator, Computation]],
        constants: Constants,
        signals: SignalDict,
        blocks: Blocks,
    ):
        self._members = tuple(operator for operator, _ in pairs)
        self._known = [known for _, known in pairs]
        self._constants, self._signals, self._blocks = constants, signals, blocks
        self._dtype = self._known[0].outputs[0].dtype

    @property
    @abstractmethod
    def is_mapped(self) -> bool:
        """bool: whether the function is mapped over the members."""

    @abstractmethod
    def _numbers(self, values: Sequence[Any]) -> Leaf:
        """The argument for a parameter: numbers that differ among members, or arrays."""

    @abstractmethod
    def _constant(self, column: Sequence[Signal]) -> Leaf:
        """The argument for a read-only signal of each member."""

    @abstractmethod
    def _column(self, column: Sequence[Signal]) -> Column:
        """Where a writable signal of each member lies."""

    @abstractmethod
    def _drawn_shape(self) -> tuple[int, ...]:
        """Shape of what the host draws for all members in a step."""

    def bucket(self) -> Bucket:
        """Make the bucket."""
        first, known = self._members[0], self._known
        arguments = [self._parameter(each) for each in zip(*(each.parameters for each in known))]
        arguments += [self._operand(each) for each in zip(*(each.inputs for each in known))]
        if takes_draws(first) or known[0].function is given:
            arguments.append(Drawn(self._members, self._drawn_shape(), self.is_mapped))
        results = tuple(
            Write(self._column(column), column[0] in first.incs)
            for column in zip(*(each.outputs for each in known))
        )
        return Bucket(self._members, known[0].function, tuple(arguments), results, self.is_mapped)

    def _parameter(self, values: Sequence[Any]) -> Argument:
        first = values[0]
        if isinstance(first, np.ndarray) and first.ndim == 0:
            first, values = first.item(), [each.item() for each in values]
        if not _is_number(first):
            return Static(first)
        if isinstance(first, float) and all(each == first for each in values):
            return Static(first)
        return self._numbers(values)

    def _operand(self, column: Sequence[Signal]) -> Argument:
        if column[0].base.readonly:  # a read-only view may be one of memory that changes
            return self._constant(column)
        return Read(self._column(column), self.is_mapped)

    def _packed(
        self,
        form: object,
        column: Sequence[Signal],
        pack: Callable[[Sequence[np.ndarray]], np.ndarray],
    ) -> int:
        """Add a constant that is made of the values of signals; returns its number."""
        return self._constants.pack(form, Packing(tuple(column), pack), self._signals.__getitem__)

    def _add(self, array: np.ndarray) -> Leaf:
        """Add a constant, with floating-point numbers in the precision of the simulation."""
        if array.dtype.kind == "f" and self._dtype.kind == "f":
            array = array.astype(self._dtype)
        return Leaf(self._constants.add(array), self.is_mapped)


class Mapped(Form):
    """One operator, or several of equal shapes; see `Form`."""

    @property
    def is_mapped(self) -> bool:
        return len(self._members) > 1

    def _numbers(self, values: Sequence[Any]) -> Leaf:
        return self._add(np.stack(values) if self.is_mapped else np.asarray(values[0]))

    def _constant(self, column: Sequence[Signal]) -> Leaf:
        first = column[0]
        if first.sparse:
            return Leaf(self._constants.share((first,), lambda: self._matrix(first)), False)
        return Leaf(self._packed("mapped", column, self._stacked), self.is_mapped)

    def _matrix(self, signal: Signal) -> np.ndarray | Rows:
        matrix = self._signals[signal]  # dense if SciPy is not installed
        return matrix if isinstance(matrix, np.ndarray) else rows_of(matrix)

    def _stacked(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(arrays) if self.is_mapped else arrays[0]

    def _column(self, column: Sequence[Signal]) -> Column:
        regions = [self._blocks.region_of(each) for each in column]
        return column_of(regions, self._shape(column[0].shape))

    def _drawn_shape(self) -> tuple[int, ...]:
        return self._shape(self._known[0].outputs[0].shape)

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (len(self._members), *shape) if self.is_mapped else shape


class Flat(Form):
    """Elementwise operators of any shapes, as one operator on flat arrays; see `Form`."""

    is_mapped = False

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        """Shape of what each member writes."""
        return [each.outputs[0].shape for each in self._known]

    @cached_property
    def _sizes(self) -> list[int]:
        return list(map(prod, self._shapes))

    def _numbers(self, values: Sequence[Any]) -> Leaf:
        return self._add(np.repeat(np.ravel(values), self._sizes))

    def _constant(self, column: Sequence[Signal]) -> Leaf:
        return Leaf(self._packed("flat", column, self._joined), False)

    def _joined(self, values: Sequence[np.ndarray]) -> np.ndarray:
        first = values[0]
        if first.size == 1 and all(each.size == 1 and (each == first).all() for each in values):
            return first.reshape(())
        return np.concatenate([_spread(each, shape) for each, shape in zip(values, self._shapes)])

    def _column(self, column: Sequence[Signal]) -> Column:
        regions = [self._blocks.region_of(each) for each in column]
        if all(each.shape[1:] == shape for each, shape in zip(column, self._shapes)):
            n_rows = column[0].shape[0]  # the state of a filter: one row, or none
            return column_of(regions, (n_rows, sum(self._sizes)))
        spread = [
            Region(region.block, _spread(region.elements, shape))
            for region, shape in zip(regions, self._shapes)
        ]
        return column_of(spread, self._drawn_shape())

    def _drawn_shape(self) -> tuple[int, ...]:
        return (sum(self._sizes),)


class Copied(Flat):
    """Copies of any shapes, with any selections; see `Form`. The selections become indices."""

    @cached_property
    def _targets(self) -> list[Region]:
        """What each member writes to."""
        regions = [self._blocks.region_of(each.outputs[0]) for each in self._known]
        return [
            Region(region.block, region.elements[known.place])
            for region, known in zip(regions, self._known)
        ]

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [target.elements.shape for target in self._targets]

    def bucket(self) -> Bucket:
        is_added = bool(self._members[0].incs)
        written = Write(column_of(self._targets, self._drawn_shape()), is_added)
        copied = self._operand([known.inputs[0] for known in self._known])
        arguments = (Static(False), Static(None), copied)
        return Bucket(self._members, Copy.compute, arguments, (written,), False)

    def _constant(self, column: Sequence[Signal]) -> Leaf:
        number = self._packed(self._members, column, self._copied)
        return Leaf(number, False)

    def _copied(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(self._selected(arrays))

    def _column(self, column: Sequence[Signal]) -> Column:
        regions = [self._blocks.region_of(each) for each in column]
        selected = self._selected([region.elements for region in regions])
        spread = [Region(region.block, each) for region, each in zip(regions, selected)]
        return column_of(spread, self._drawn_shape())

    def _selected(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the operators select of arrays, in the shape of their destinations."""
        selected = []
        for known, array, shape in zip(self._known, arrays, self._shapes):
            chosen: Any = known.function(np, *known.parameters, array)[0]
            selected.append(_spread(chosen, shape))
        return selected


def _form_of(operator: Operator, known: Computation, n: int) -> type[Form]:
    if isinstance(operator, Copy):
        return Copied
    return Flat if n > 1 and _is_elementwise(operator, known) else Mapped


def _spread(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Repeat elements as in an assignment to an array of some shape, and flatten."""
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    return np.broadcast_to(array, shape).ravel()


def _is_number(value: object) -> bool:
    return isinstance(value, float | np.ndarray)


def _is_elementwise(operator: Operator, known: Computation) -> bool:
    if known.function is given:
        return True
    if isinstance(operator, SimProcess):
        arrays = [each for each in known.parameters if isinstance(each, np.ndarray)]
        is_simple = known.parameters[0] in ELEMENTWISE_FILTERS
        return is_simple and all(each.ndim == 0 for each in arrays)
    return isinstance(operator, SimNeurons | ElementwiseInc | Reset)
