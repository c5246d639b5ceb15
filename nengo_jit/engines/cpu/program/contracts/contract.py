"""How contracts are written, and what all operators must meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nengo.utils.numpy as npext
import numpy as np

from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import overlap

Shape = tuple[int, ...]
Arrays = dict[Signal, Any]
Contract = Callable[[Any, Arrays], bool]

CONTRACTS: dict[type, Contract] = {}
EXEMPT: dict[type, str] = {}  # the operand that need not have the engine's type of numbers


def requires(*operator_types: type, exempt: str | None = None) -> Callable[[Contract], Contract]:
    """Decorator that makes a function the contract of operators of exactly some types.

    The function gets an operator and the live arrays, and tells whether shapes and parameters
    are what kernels expect. It is asked only if nothing that the operator writes to is read-only
    or overlaps with its other operands, and if all signals, but the one that is ``exempt``, are
    dense and have the engine's type of numbers.
    """

    def register(contract: Contract) -> Contract:
        CONTRACTS.update(dict.fromkeys(operator_types, contract))
        if exempt is not None:
            EXEMPT.update(dict.fromkeys(operator_types, exempt))
        return contract

    return register


class Contracts:
    """Tells which operators may be lowered.

    Parameters
    ----------
    signals : SignalDict
        The engine's memory.
    dtype : numpy.dtype
        The engine's type of numbers.
    """

    def __init__(self, signals: SignalDict, dtype: np.dtype):
        self._arrays = dict(signals)
        self._dtype = dtype
        self._others = {signal for signal in signals if not self._has_numbers(signal)}
        self._protected = {signal for signal, array in signals.items() if not _is_writable(array)}

    def _has_numbers(self, signal: Signal) -> bool:
        return not signal.sparse and signal.dtype == self._dtype

    def are_met(self, operator: Any) -> bool:
        """Whether kernels may work on the operands of an operator."""
        kind = type(operator)
        written = [*operator.sets, *operator.incs, *operator.updates]
        if not self._protected.isdisjoint(written) or not _are_apart(written, operator.reads):
            return False
        signals = [*written, *operator.reads]
        if kind in EXEMPT:
            signals.remove(getattr(operator, EXEMPT[kind]))
        if not self._others.isdisjoint(signals):
            return False
        try:
            return kind not in CONTRACTS or CONTRACTS[kind](operator, self._arrays)
        except Exception:  # an operand is not even there, or a parameter of another kind
            return False


def _is_writable(array: Any) -> bool:
    """Whether operators may write to an array: each element has a place of its own, too."""
    if npext.is_spmatrix(array):
        array = array.data
    return bool(array.flags.writeable) and (array.flags.c_contiguous or _is_spread_out(array))


def _is_spread_out(array: np.ndarray) -> bool:
    """Whether no two elements overlap, by a condition that strides of slices meet."""
    extent = array.itemsize
    for stride, n in sorted((abs(each), n) for each, n in zip(array.strides, array.shape)):
        if n > 1 and stride < extent:
            return False
        extent += (n - 1) * stride
    return True


def _are_apart(written: Sequence[Signal], read: Sequence[Signal]) -> bool:
    """Whether no written signal shares memory with another operand."""
    for i, signal in enumerate(written):
        base = signal.base
        for other in (*read, *written[i + 1 :]):
            if other.base is base and overlap([signal], [other]):
                return False
    return True


def contiguous(array: np.ndarray) -> bool:
    """Whether the elements follow each other in memory, in C order."""
    return bool(array.flags.c_contiguous)


def reaches(shape: Shape, target: Shape) -> bool:
    """Whether one shape broadcasts to another."""
    return shape == target or (
        len(shape) <= len(target)
        and all(n in (1, m) for n, m in zip(reversed(shape), reversed(target)))
    )


def are_numbers(*values: Any) -> bool:
    """Whether parameters are single real numbers."""
    return all(isinstance(value, (int, float, np.integer, np.floating)) for value in values)
