"""Buckets: members of a group that are computed as one operation on larger arrays.

There are two ways. Elementwise operators of any sizes become one operator on flat arrays.
Others are mapped over a leading axis, if all shapes are the same. Everything here is NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from nengo_jit.engines.jax.blocks import Blocks, Region
from nengo_jit.engines.jax.columns import Column, column_of
from nengo_jit.ir.base import Operator
from nengo_jit.ir.compute import Computation, computation
from nengo_jit.ir.filters import first_order, scale
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, ElementwiseInc, Reset
from nengo_jit.ir.processes import SimProcess, given
from nengo_jit.ir.products import Rows, rows_of
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons.base import uniform
from nengo_jit.planner.plan import Plan

FLAT_FILTERS = (first_order, scale, given)


@dataclass(frozen=True)
class Static:
    """An argument that is fixed when the program is compiled.

    Attributes
    ----------
    value : object
        A number, or what is no number at all, such as a function.
    """

    value: object


@dataclass(frozen=True)
class Leaf:
    """A constant array, which the compiled program takes as an argument.

    Attributes
    ----------
    number : int
        Its number in `Constants.leaves`.
    is_mapped : bool
        Whether the first axis is that of the members.
    """

    number: int
    is_mapped: bool


@dataclass(frozen=True)
class Read:
    """Values of signals.

    Attributes
    ----------
    column : Column
        The signals of all members.
    """

    column: Column
    is_mapped: bool


@dataclass(frozen=True)
class Drawn:
    """Random numbers, and others that the host computes from the time alone.

    Attributes
    ----------
    members : tuple of Operator
        The operators, whose numbers lie one after the other.
    shape : tuple of int
        Shape of all numbers of a step.
    """

    members: tuple[Operator, ...]
    shape: tuple[int, ...]
    is_mapped: bool


Argument: TypeAlias = Static | Leaf | Read | Drawn


@dataclass(frozen=True)
class Write:
    """Where a result goes.

    Attributes
    ----------
    column : Column
        The signals of all members.
    is_added : bool
        Whether it is added to the value.
    """

    column: Column
    is_added: bool


@dataclass(frozen=True)
class Bucket:
    """Operators that are computed together: ``results = function(xp, *arguments)``.

    Attributes
    ----------
    members : tuple of Operator
        The operators.
    function : callable
        Their `compute`.
    arguments : tuple of Argument
        What it takes.
    results : tuple of Write
        What it returns.
    is_mapped : bool
        Whether the function is mapped over the members, along the first axis of arguments.
    """

    members: tuple[Operator, ...]
    function: Callable[..., object]
    arguments: tuple[Argument, ...]
    results: tuple[Write, ...]
    is_mapped: bool


@dataclass
class Constants:
    """Arrays that never change.

    Attributes
    ----------
    leaves : list of numpy.ndarray or Rows
        The arrays.
    """

    leaves: list[np.ndarray | Rows] = field(default_factory=list)
    _known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def add(self, value: np.ndarray | Rows) -> int:
        """Add an array; returns its number."""
        self.leaves.append(value)
        return len(self.leaves) - 1

    def add_signals(self, key: tuple[object, ...], make: Callable[[], np.ndarray | Rows]) -> int:
        """Add an array that is made of signals, unless it is there; returns its number."""
        if key not in self._known:
            self._known[key] = self.add(make())
        return self._known[key]


def is_lowered(operator: Operator, dt: float) -> bool:
    """Whether an operator runs on the device; others call Python."""
    known = computation(operator, dt)
    if known is None or (isinstance(operator, SimNeurons) and _draws_by_state(known)):
        return False
    written = known.outputs
    if any(each.readonly or each.sparse for each in written):
        return False
    return all(each.readonly for each in known.inputs if each.sparse)


def _draws_by_state(known: Computation) -> bool:
    return known.parameters[0].random not in (None, uniform)


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

    Attributes
    ----------
    constants : Constants
        The arrays that buckets refer to.
    """

    def __init__(self, plan: Plan, signals: SignalDict, blocks: Blocks):
        self._plan, self._signals, self._blocks = plan, signals, blocks
        self.constants = Constants()

    def buckets_of(self, members: Sequence[Operator]) -> Iterator[Bucket]:
        """Divide operators of one kind, which run on the device, into buckets."""
        found: dict[object, list[tuple[Operator, Computation]]] = {}
        for operator in members:
            known = computation(operator, self._plan.dt)
            assert known is not None, "only such operators are lowered"
            if any(each.size for each in known.outputs):
                found.setdefault(_key(operator, known), []).append((operator, known))
        for key, pairs in found.items():
            if isinstance(pairs[0][0], Copy | Reset) or (len(pairs) > 1 and key[0]):
                yield _Flat(self, pairs).bucket()
            else:
                yield _Mapped(self, pairs).bucket()


def key_of(operator: Operator, dt: float) -> tuple[object, ...]:
    """Return a key: operators of one kind with equal keys can be one bucket."""
    known = computation(operator, dt)
    if known is None:
        return tuple(each.dtype.str for each in operator.all_signals)
    return _key(operator, known)


def _key(operator: Operator, known: Computation) -> tuple[object, ...]:
    signals = (*known.inputs, *known.outputs)
    kinds = tuple((each.dtype.str, each.readonly) for each in signals)
    if isinstance(operator, Copy):
        return True, kinds
    fixed = tuple(None if _is_number(each) else each for each in known.parameters)
    if _is_elementwise(operator, known):
        return True, fixed, kinds
    if any(each.sparse for each in signals):
        return False, operator
    shapes = tuple(each.shape for each in signals)
    arrays = tuple(np.shape(each) for each in known.parameters if _is_number(each))
    return False, fixed, kinds, shapes, arrays


class _Form:
    """Makes a bucket of operators with one key."""

    def __init__(self, bucketing: Bucketing, pairs: list[tuple[Operator, Computation]]):
        self.members = tuple(operator for operator, _ in pairs)
        self.known = [known for _, known in pairs]
        self.constants, self.signals = bucketing.constants, bucketing._signals
        self.blocks = bucketing._blocks
        self.dtype = self.known[0].outputs[0].dtype

    def bucket(self) -> Bucket:
        """The bucket."""
        first = self.known[0]
        arguments = [self.parameter(each) for each in zip(*(k.parameters for k in self.known))]
        columns = zip(*(k.inputs for k in self.known))
        arguments += [self.operand(list(column)) for column in columns]
        if _takes_draws(self.members[0]):
            arguments.append(self.drawn())
        operator = self.members[0]
        results = [
            Write(self.target(list(column)), column[0] in operator.incs)
            for column in zip(*(k.outputs for k in self.known))
        ]
        return Bucket(self.members, first.function, tuple(arguments), tuple(results), self.mapped)

    @property
    def mapped(self) -> bool:
        """Whether the function is mapped over the members."""
        raise NotImplementedError

    def parameter(self, values: Sequence[object]) -> Argument:
        """An argument for a parameter, given that of each member."""
        first = values[0]
        if isinstance(first, np.ndarray) and first.ndim == 0:
            first, values = first.item(), [each.item() for each in values]
        if not _is_number(first):
            return Static(first)
        if isinstance(first, float) and all(each == first for each in values):
            return Static(first)
        return self.numbers(values)

    def numbers(self, values: Sequence[object]) -> Argument:
        """An argument for numbers that differ from member to member, or arrays."""
        raise NotImplementedError

    def operand(self, column: list[Signal]) -> Argument:
        """An argument for the values of a signal of each member."""
        raise NotImplementedError

    def drawn(self) -> Drawn:
        """An argument for numbers from the host."""
        raise NotImplementedError

    def target(self, column: list[Signal]) -> Column:
        """Where a result goes."""
        raise NotImplementedError


class _Mapped(_Form):
    """One operator, or several of equal shapes."""

    @property
    def mapped(self) -> bool:
        return len(self.members) > 1

    def numbers(self, values: Sequence[object]) -> Argument:
        array = np.stack([np.asarray(each) for each in values]) if self.mapped else values[0]
        array = np.asarray(array)
        return Leaf(self.constants.add(_in(self.dtype, array)), self.mapped)

    def operand(self, column: list[Signal]) -> Argument:
        first = column[0]
        if first.sparse:
            make = lambda: rows_of(self.signals[first])  # noqa: E731
            return Leaf(self.constants.add_signals((first,), make), False)
        if first.readonly:
            key = (self.mapped, *column)
            return Leaf(self.constants.add_signals(key, lambda: self._stack(column)), self.mapped)
        return Read(self.target(column), self.mapped)

    def _stack(self, column: list[Signal]) -> np.ndarray:
        arrays = [self.signals[each] for each in column]
        return np.stack(arrays) if self.mapped else np.asarray(arrays[0])

    def drawn(self) -> Drawn:
        shape = self._shape(self.members[0].outputs()[0].shape)
        return Drawn(self.members, shape, self.mapped)

    def target(self, column: list[Signal]) -> Column:
        regions = [self.blocks.region_of(each) for each in column]
        return column_of(regions, self._shape(column[0].shape))

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (len(self.members), *shape) if self.mapped else shape


class _Flat(_Form):
    """Elementwise operators of any shapes, as one operator on flat arrays."""

    def __init__(self, bucketing: Bucketing, pairs: list[tuple[Operator, Computation]]):
        super().__init__(bucketing, pairs)
        placed = [self._placed(known) for known in self.known]
        self.shapes = [region.index.shape for region in placed]
        self.sizes = [region.index.size for region in placed]
        self.n = sum(self.sizes)

    @property
    def mapped(self) -> bool:
        return False

    def bucket(self) -> Bucket:
        if not isinstance(self.members[0], Copy):
            return super().bucket()
        column = self._regions_copied()
        written = column_of([self._placed(known) for known in self.known], (self.n,))
        result = Write(written, bool(self.members[0].incs))
        return Bucket(self.members, Copy.compute, (Static(False), Static(None), column), (result,), False)

    def _placed(self, known: Computation) -> Region:
        block, index = self.blocks.region_of(known.outputs[0])
        return Region(block, index[known.place])

    def _regions_copied(self) -> Argument:
        sources = [known.inputs[0] for known in self.known]
        selected = [known.parameters for known in self.known]
        if sources[0].readonly:
            values = [self.signals[each] for each in sources]
            chosen = [Copy.compute(np, *how, each)[0] for how, each in zip(selected, values)]
            return Leaf(self.constants.add(self._joined(chosen)), False)
        regions = [self.blocks.region_of(each) for each in sources]
        chosen = [
            Region(block, np.broadcast_to(Copy.compute(np, *how, index)[0], shape))
            for (block, index), how, shape in zip(regions, selected, self.shapes)
        ]
        return Read(column_of(chosen, (self.n,)), False)

    def numbers(self, values: Sequence[object]) -> Argument:
        array = np.repeat(_in(self.dtype, np.asarray(values)), self.sizes)
        return Leaf(self.constants.add(array), False)

    def operand(self, column: list[Signal]) -> Argument:
        if column[0].readonly:
            return Leaf(self.constants.add_signals(("flat", *column), lambda: self._values(column)), False)
        return Read(self.target(column), False)

    def _values(self, column: list[Signal]) -> np.ndarray:
        values = [self.signals[each] for each in column]
        first = values[0]
        if first.size == 1 and all(each.size == 1 and each == first for each in values):
            return np.asarray(first).reshape(())
        return self._joined(values)

    def _joined(self, values: Sequence[np.ndarray]) -> np.ndarray:
        parts = [np.broadcast_to(each, shape).ravel() for each, shape in zip(values, self.shapes)]
        return np.concatenate(parts)

    def drawn(self) -> Drawn:
        return Drawn(self.members, (self.n,), False)

    def target(self, column: list[Signal]) -> Column:
        regions = [self.blocks.region_of(each) for each in column]
        if all(region.index.shape == (1, *shape) for region, shape in zip(regions, self.shapes)):
            return column_of(regions, (1, self.n))  # the state of a filter
        spread = [
            Region(block, np.broadcast_to(index, shape))
            for (block, index), shape in zip(regions, self.shapes)
        ]
        return column_of(spread, (self.n,))


def _is_number(value: object) -> bool:
    return isinstance(value, float | np.ndarray)


def _in(dtype: np.dtype, array: np.ndarray) -> np.ndarray:
    """Convert floating-point numbers to the precision of the simulation."""
    return array.astype(dtype) if array.dtype.kind == "f" and dtype.kind == "f" else array


def _is_elementwise(operator: Operator, known: Computation) -> bool:
    if isinstance(operator, SimProcess):
        function = known.parameters[0]
        return function in FLAT_FILTERS and all(np.size(each) == 1 for each in known.parameters)
    return isinstance(operator, SimNeurons | ElementwiseInc | Reset)


def _takes_draws(operator: Operator) -> bool:
    """Whether `Operator.draws` returns a function."""
    if isinstance(operator, SimProcess):
        return operator.input is None
    return isinstance(operator, SimNeurons) and bool(operator.state_extra)
