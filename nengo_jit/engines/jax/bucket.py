"""Buckets: operators that are computed together, as one operation on larger arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from nengo_jit.engines.jax.columns import Column
from nengo_jit.ir.arrays import Array
from nengo_jit.ir.base import Operator
from nengo_jit.ir.products import Rows
from nengo_jit.ir.signal import Signal


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
    is_batched : bool
        Whether there is another axis before it, for the members of a batch.
    """

    number: int
    is_mapped: bool
    is_batched: bool = False


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


@dataclass(frozen=True)
class Key:
    """Keys for random numbers: those of the operators, combined with the number of the step.

    Attributes
    ----------
    leaf : Leaf
        The keys of the operators.
    """

    leaf: Leaf

    @property
    def is_mapped(self) -> bool:
        """bool: see `Leaf`."""
        return self.leaf.is_mapped


Argument: TypeAlias = Static | Leaf | Read | Drawn | Key


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
    function: Callable[..., Sequence[Array]]
    arguments: tuple[Argument, ...]
    results: tuple[Write, ...]
    is_mapped: bool


@dataclass(frozen=True)
class Packing:
    """How the values of read-only signals make up a constant.

    Attributes
    ----------
    signals : tuple of Signal
        The signals.
    pack : callable
        From their values to the constant. It moves elements only, so it can be called with the
        numbers of elements, too.
    """

    signals: tuple[Signal, ...]
    pack: Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass
class Constants:
    """Arrays that never change.

    Attributes
    ----------
    leaves : list of numpy.ndarray or Rows
        The arrays.
    packings : dict of (int, Packing)
        By number of a leaf, where its values come from, if that is dense signals.
    """

    leaves: list[np.ndarray | Rows] = field(default_factory=list)
    packings: dict[int, Packing] = field(default_factory=dict)
    _known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def add(self, value: np.ndarray | Rows) -> int:
        """Add an array; returns its number."""
        self.leaves.append(value)
        return len(self.leaves) - 1

    def share(self, key: tuple[object, ...], make: Callable[[], np.ndarray | Rows]) -> int:
        """Return the number of the array with a key, which is made if there is none yet."""
        if key not in self._known:
            self._known[key] = self.add(make())
        return self._known[key]

    def pack(self, form: object, packing: Packing, values: Callable[[Signal], np.ndarray]) -> int:
        """Return the number of the array that a form makes of signals, see `Packing`."""
        arrays = [np.asarray(values(each)) for each in packing.signals]
        number = self.share((form, *packing.signals), lambda: packing.pack(arrays))
        self.packings.setdefault(number, packing)
        return number
