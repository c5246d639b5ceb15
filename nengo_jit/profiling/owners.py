"""Which object of a network each operator and each signal belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import nengo.builder as reference
import numpy as np
from nengo.builder.signal import Signal

from nengo_jit.builder import Model
from nengo_jit.builder.log import BuildLog
from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import is_sparse


def log_of(model: reference.Model) -> BuildLog:
    """The log of a model; an empty one for a model of nengo's own class."""
    return model.log if isinstance(model, Model) else BuildLog()


def owners_of(model: reference.Model) -> dict[Operator, object]:
    """Map each operator to the object that it was added for; others are left out."""
    operators = model.operators
    return {
        operator: built.obj
        for built in log_of(model)
        for operator in operators[built.first : built.last]
    }


def memory_of_signals(
    operators: Iterable[Operator], owners: dict[Operator, object]
) -> dict[object, int]:
    """Bytes of signals by object: a signal belongs to the object of its first operator.

    Parameters
    ----------
    operators : iterable of Operator
        All operators, in the order in which they were added to the model.
    owners : dict of (Operator, object)
        From `owners_of`.
    """
    found: dict[object, int] = {}
    seen: set[Signal] = set()
    for operator in operators:
        for signal in operator.all_signals:
            base = signal.base
            if base not in seen:
                seen.add(base)
                owner = owners.get(operator)
                found[owner] = found.get(owner, 0) + _bytes_of(base)
    return found


def memory_of_parameters(
    parameters: dict[object, Any], operators: Iterable[Operator]
) -> dict[object, int]:
    """Bytes of built parameters by object, without those that are the memory of a signal.

    Parameters
    ----------
    parameters : dict of (object, tuple or other)
        The ``params`` of a model.
    operators : iterable of Operator
        All operators.
    """
    seen = {
        _address(signal.base.initial_value)
        for operator in operators
        for signal in operator.all_signals
        if isinstance(signal.base.initial_value, np.ndarray)
    }
    found: dict[object, int] = {}
    for obj, values in parameters.items():
        for array in _arrays(values):
            if _address(array) not in seen:
                seen.add(_address(array))
                found[obj] = found.get(obj, 0) + array.nbytes
    return found


def _arrays(values: object) -> Iterator[np.ndarray]:
    if isinstance(values, tuple):
        kept = tuple.__iter__(values)  # draws no evaluation points
        yield from (each for each in kept if isinstance(each, np.ndarray))


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def _bytes_of(signal: Signal) -> int:
    value = signal.initial_value
    if is_sparse(value):
        return int(value.data.nbytes) + sum(
            getattr(value, name).nbytes
            for name in ("indices", "indptr", "row", "col")
            if hasattr(value, name)
        )
    return int(signal.size * signal.itemsize)
