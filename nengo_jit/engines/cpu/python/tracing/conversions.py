"""Conversions between traced values: to arrays, to registers, and of what is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python.tracing.instruction import CONSTANTS
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    MOST_ITEMS,
    SAMPLES,
    SCALARS,
    Array,
    Unsupported,
    Value,
    check_count,
    check_length,
    described,
    is_scalar,
    type_of,
)

Result = TypeVar("Result")

DEEPEST = 10  # lists in lists


def known(function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
    """Call a function during tracing, on arguments that are known.

    Raises
    ------
    Unsupported
        If it raises an error, which Python has to raise in every step.
    """
    try:
        with np.errstate(all="raise"):
            return function(*arguments, **options)
    except Exception as error:
        raise Unsupported(f"raises {type(error).__name__}: {error}") from None


def check_nesting(value: Value) -> None:
    """Check the number of elements of a nested list or tuple, and its depth.

    Raises
    ------
    Unsupported
        If there are too many, or it is too deep, for example because it contains itself.
    """
    level: list[Value] = [value]
    n_left = MOST_ITEMS
    for _ in range(DEEPEST):
        level = [each for part in level if isinstance(part, (list, tuple)) for each in part]
        n_left -= len(level)
        check_length(MOST_ITEMS - n_left)
    if level:
        raise Unsupported("nests lists deeply")


def as_array(tracer: Tracer, value: Value) -> Value:
    """Convert lists and tuples to arrays, as NumPy does; returns anything else as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    elements = [as_array(tracer, each) for each in value]
    for each in elements:
        if not is_scalar(each) and not isinstance(each, Array):
            raise Unsupported(f"makes an array of {described(each)}")
    samples = [
        each.sample if isinstance(each, Array) else SAMPLES[type_of(each)] for each in elements
    ]
    dtype = np.result_type(*map(np.asarray, samples)) if samples else FLOAT64
    parts = [registers_of(tracer, each) for each in elements]
    check_count(sum(part.size for part in parts))
    if len({part.shape for part in parts}) > 1:
        raise Unsupported("makes an array of elements of different shapes")
    return Array(np.array(parts, np.int64), dtype)


def registers_of(tracer: Tracer, value: Value) -> np.ndarray:
    """The registers of a number, or of the elements of an array, list or tuple."""
    if isinstance(value, (list, tuple)):
        value = as_array(tracer, value)
    if isinstance(value, Array):
        return value.registers
    type_of(value)
    return np.array(tracer.register(value))


def is_constant(value: Value) -> TypeGuard[Array]:
    """Whether a value is an array with elements that are known."""
    if not isinstance(value, Array):
        return False
    return not value.registers.size or value.registers.min() >= CONSTANTS


def known_array(tracer: Tracer, array: Array) -> np.ndarray:
    """The elements of an array, which must be known.

    Raises
    ------
    Unsupported
        If they are not.
    """
    if not is_constant(array):
        raise Unsupported("selects by a condition, or by an array, that it computes")
    values = [tracer.writer.constant(each) for each in array.registers.ravel().tolist()]
    numbers = np.empty_like(array.registers, array.dtype)
    numbers[...] = np.reshape(np.array(values, array.dtype), numbers.shape)
    return numbers


def constant(tracer: Tracer, value: object) -> Value:
    """A result of NumPy's as a traced value."""
    return tracer.array(value) if isinstance(value, np.ndarray) else value


def wrapped(tracer: Tracer, registers: np.ndarray, dtype: DTypeLike, is_array: bool) -> Value:
    """Results as an array or, without dimensions, as a NumPy scalar."""
    if is_array or registers.ndim:
        return Array(registers, dtype)
    return tracer.number(registers.item(), SCALARS[np.dtype(dtype)])


def array_of(tracer: Tracer, value: Value) -> Array:
    """Convert an array, list, tuple or number to an array."""
    array = as_array(tracer, value)
    if isinstance(array, Array):
        return array
    return Array(registers_of(tracer, array), np.dtype(type(SAMPLES[type_of(array)])))
