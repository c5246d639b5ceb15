"""Compare models, to see whether the state of one can be loaded into the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from nengo.builder.signal import Signal
from nengo.params import FrozenObject
from numpy.typing import ArrayLike

from nengo_jit.ir.base import Operator
from nengo_jit.planner.graph import ROLES
from nengo_jit.planner.plan import Plan

BLOCK = 1 << 16  # elements that are summed together
ALIKE = {8: 1e-6, 4: 1e-3, 2: 1e-1}  # relative differences due to rounding, by bytes per number

WEIGHTS = np.random.RandomState(0).uniform(1.0, 2.0, BLOCK)


class Identity:
    """A summary of a model that tells it from other models.

    Two models are alike if they have the same operators, with the same parameters, in the same
    order, on signals of the same shapes. Arrays of real numbers, such as initial values, may differ
    by rounding errors: decoders and gains depend on the engine that has computed them.

    Parameters
    ----------
    plan : Plan
        The plan of the model.
    """

    def __init__(self, plan: Plan):
        self._plan = plan

    @cached_property
    def bases(self) -> list[Signal]:
        """List of Signal: all signals with memory of their own, in the order of the operators."""
        signals = (signal for op in self._plan.operators for signal in op.all_signals)
        return list(dict.fromkeys(signal.base for signal in signals))

    @cached_property
    def _described(self) -> _Description:
        return _Description(self._plan.operators, self.bases)

    @cached_property
    def values(self) -> np.ndarray:
        """(n_arrays, 2) numpy.ndarray: for each array, weighted sums of elements and of sizes."""
        arrays = [base.initial_value for base in self.bases]
        arrays += [array for _, array in self._described.arrays]
        distinct = {id(array): array for array in arrays}  # signals share zeros
        measured = {key: _measure(array) for key, array in distinct.items()}
        return np.array([measured[id(array)] for array in arrays]).reshape(-1, 2)

    def describe(self) -> dict[str, object]:
        """Return the identity as numbers, arrays and strings."""
        return {
            "dt": float(self._plan.dt),
            "precision": str(self._plan.time.dtype),
            "operators": self._described.digests,
            "values": self.values,
        }

    def difference(self, other: dict[str, Any]) -> str | None:
        """Return a difference from another model, as the predicate of "the model"; None if alike.

        Parameters
        ----------
        other : dict
            Result of `describe` for the other model.
        """
        return next(self._differences(other), None)

    def _differences(self, other: dict[str, Any]) -> Iterator[str]:
        plan = self._plan
        if other["dt"] != plan.dt:
            yield f"has steps of {plan.dt:g} s, not of {other['dt']:g} s"
        if other["precision"] != str(plan.time.dtype):
            yield f"has numbers of type {plan.time.dtype}, not {other['precision']}"
        ours, theirs = self._described.digests, np.asarray(other["operators"])
        n = min(len(ours), len(theirs))
        for place in np.flatnonzero(ours[:n] != theirs[:n])[:1]:
            yield f"has another operator number {place + 1}, {plan.operators[place]}"
        if len(ours) != len(theirs):
            yield f"has {len(ours)} operators, not {len(theirs)}"
        named = [f"the signal '{base.name}'" for base in self.bases]
        named += [str(operator) for operator, _ in self._described.arrays]
        tolerance = ALIKE[plan.time.dtype.itemsize]
        for place in np.flatnonzero(~_alike(self.values, other["values"], tolerance))[:1]:
            yield f"has different values in {named[place]}"


class _Description:
    """A description of operators that is the same for each build of a model.

    Parameters
    ----------
    operators : sequence of Operator
        The operators, in the order of the plan.
    bases : sequence of Signal
        The bases; signals are described by their indices here.

    Attributes
    ----------
    digests : (n_operators,) numpy.ndarray of uint64
        A digest of each operator, without the contents of arrays of real numbers.
    arrays : list of (Operator, numpy.ndarray)
        Those arrays.
    """

    def __init__(self, operators: Sequence[Operator], bases: Sequence[Signal]):
        self._numbers = {base: number for number, base in enumerate(bases)}
        self.arrays: list[tuple[Operator, np.ndarray]] = []
        self.digests = np.array([self._digest(each) for each in operators], np.uint64)

    def _digest(self, operator: Operator) -> int:
        kind = type(operator)
        attributes = {name: value for name, value in vars(operator).items() if name != "tag"}
        if not kind.__module__.startswith(
            ("nengo.", "nengo_jit.")
        ):  # its attributes may be anything
            attributes = {role: list(getattr(operator, role)) for role in ROLES}
        content = repr((_name(kind), self._describe(attributes, operator)))
        return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "little")

    def _describe(self, value: object, operator: Operator) -> object:
        """Convert a value to an object whose `repr` is the same for equal values."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, slice)):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, Signal):
            place = self._numbers.get(value.base), value.offset, _strides_of(value)
            return *place, value.shape, str(value.dtype)
        if isinstance(value, np.ndarray):
            if value.dtype.kind != "f":
                return str(value.dtype), value.tolist()
            self.arrays.append((operator, value))
            return str(value.dtype), value.shape
        if isinstance(value, (list, tuple)):
            return tuple(self._describe(each, operator) for each in value)
        if isinstance(value, dict):
            items = value.items()
            return tuple((str(key), self._describe(each, operator)) for key, each in items)
        if isinstance(value, FrozenObject):
            parameters = {name: getattr(value, name) for name in sorted(value._paramdict)}
            return _name(type(value)), self._describe(parameters, operator)
        return _name(value if hasattr(value, "__qualname__") else type(value))


def _strides_of(signal: Signal) -> tuple[int, ...] | None:
    """Return the strides of a signal; those of a block do not depend on its memory order."""
    if signal.is_view or signal.sparse or signal.initial_value.flags.c_contiguous:
        return signal.strides
    sizes = (*signal.shape[1:], signal.itemsize)
    return tuple(math.prod(sizes[axis:]) for axis in range(signal.ndim))


def _name(value: Any) -> str:
    """Name of a function or class. A user's module may have another name in another process."""
    module = str(getattr(value, "__module__", ""))
    is_known = module.startswith(("nengo.", "nengo_jit.", "numpy"))
    return f"{module}.{value.__qualname__}" if is_known else str(value.__qualname__)


def _alike(ours: np.ndarray, theirs: ArrayLike, tolerance: float) -> np.ndarray:
    """Return which rows of `Identity.values` are equal up to rounding."""
    theirs = np.asarray(theirs)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        is_near = np.abs(ours[:, 0] - theirs[:, 0]) <= tolerance * (ours[:, 1] + theirs[:, 1])
    is_same = (ours[:, 0] == theirs[:, 0]) | np.isnan(ours[:, 0]) & np.isnan(theirs[:, 0])
    return np.where(np.isfinite(ours[:, 1] + theirs[:, 1]), is_near, is_same)


def _measure(value: Any) -> tuple[float, float]:
    """Return weighted sums of the elements and of their absolute values."""
    array = value if isinstance(value, np.ndarray) else value.data
    numbers = array.reshape(-1) if array.flags.c_contiguous else array.flat  # no copy of it all
    total = size = 0.0
    for start in range(0, array.size, BLOCK):
        block = numbers[start : start + BLOCK].astype(np.float64)
        weights = WEIGHTS[: block.size]
        total += float(np.einsum("i,i", weights, block))  # `@` would start threads
        size += float(np.einsum("i,i", weights, np.abs(block)))
    return total, size
