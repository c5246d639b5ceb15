"""Registry of contracts, and the requirements on all operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import nengo.utils.numpy as npext
import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT16
from nengo_jit.engines.cpu.program.contracts.half import has_numpys_bits
from nengo_jit.ir.base import Operator
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import overlap

Shape = tuple[int, ...]
Arrays = dict[Signal, Any]
Contract = Callable[[Any, Arrays], bool]

CONTRACTS: dict[type, Contract] = {}
EXEMPT: dict[type, Sequence[str]] = {}  # names of operands that may have another precision


def requires(*operator_types: type, exempt: Sequence[str] = ()) -> Callable[[Contract], Contract]:
    """Decorator that registers a function as the contract of operators of exactly some types.

    The function takes an operator and the live arrays, and returns whether shapes and parameters
    are what kernels expect. It is called only if no signal that the operator writes to is read-only
    or overlaps with its other operands, and all signals except the ``exempt`` ones are dense and
    have the engine's precision.
    """

    def register(contract: Contract) -> Contract:
        CONTRACTS.update(dict.fromkeys(operator_types, contract))
        EXEMPT.update(dict.fromkeys(operator_types, exempt))
        return contract

    return register


class Contracts:
    """Tells which operators meet their contracts.

    Parameters
    ----------
    signals : SignalDict
        The engine's memory.
    dtype : numpy.dtype
        The engine's precision.
    dt : float
        Length of a step (seconds).
    """

    def __init__(self, signals: SignalDict, dtype: np.dtype, dt: float = 0.001):
        self._arrays = dict(signals.items())
        self._dtype, self._dt = dtype, dt
        self._others = {signal for signal in signals if not self._has_numbers(signal)}
        self._protected = {signal for signal, array in signals.items() if not _is_writable(array)}

    def _has_numbers(self, signal: Signal) -> bool:
        return not signal.sparse and signal.dtype == self._dtype

    def are_met(self, operator: Operator) -> bool:
        """Whether an operator meets its contract."""
        kind = type(operator)
        written = [*operator.sets, *operator.incs, *operator.updates]
        if not self._protected.isdisjoint(written) or not _are_apart(written, operator.reads):
            return False
        signals = [*written, *operator.reads]
        for name in EXEMPT.get(kind, ()):
            signals.remove(getattr(operator, name))
        if not self._others.isdisjoint(signals):
            return False
        try:
            is_met = kind not in CONTRACTS or CONTRACTS[kind](operator, self._arrays)
            return is_met and (self._dtype != FLOAT16 or has_numpys_bits(operator, self._dt))
        except Exception:  # an operand is missing, or a parameter has another type
            return False


def _is_writable(array: Any) -> bool:
    """Whether operators may write to an array: it is not read-only, and no elements overlap."""
    if npext.is_spmatrix(array):
        array = array.data
    return bool(array.flags.writeable) and (array.flags.c_contiguous or _is_spread_out(array))


def _is_spread_out(array: np.ndarray) -> bool:
    """Whether no two elements overlap, by a sufficient condition that slices meet."""
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
    """Whether an array is contiguous, in C order."""
    return bool(array.flags.c_contiguous)


def reaches(shape: Shape, target: Shape) -> bool:
    """Whether one shape broadcasts to another."""
    return shape == target or (
        len(shape) <= len(target)
        and all(n in (1, m) for n, m in zip(reversed(shape), reversed(target)))
    )


def are_numbers(*values: object) -> bool:
    """Whether parameters are single real numbers."""
    return all(isinstance(value, (int, float, np.integer, np.floating)) for value in values)
