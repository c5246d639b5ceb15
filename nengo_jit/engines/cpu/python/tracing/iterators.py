"""Iteration over traced values: iterators, which have a state, and generators."""

from __future__ import annotations

from collections.abc import Iterator

from nengo_jit.engines.cpu.python.tracing.indexing import get_item
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    Unknown,
    Unsupported,
    Value,
    check_length,
    described,
)


class Iteration(Unknown):
    """A Python iterator over traced values, which takes each value when it is asked for.

    Parameters
    ----------
    values : iterator
        Such as Python's own `zip` of the results of `iterate`.
    """

    def __init__(self, values: Iterator[Value]):
        self._values = values

    def __iter__(self) -> Iteration:
        return self

    def __next__(self) -> Value:
        return next(self._values)


def iterate(tracer: Tracer, value: Value) -> Iterator[Value]:
    """``iter(value)``; elements are looked up one at a time, as in Python.

    Raises
    ------
    Unsupported
        If a value of this kind cannot be iterated over.
    """
    if isinstance(value, Iteration):
        return value
    if isinstance(value, (list, tuple, range)):
        return iter(value)
    if isinstance(value, Array) and value.shape:
        return (get_item(tracer, value, i) for i in range(len(value)))
    raise Unsupported(f"iterates over {described(value)}")


def elements(tracer: Tracer, value: Value) -> list[Value]:
    """All elements of an iterable.

    Raises
    ------
    Unsupported
        If there are too many, or a value of this kind cannot be iterated over.
    """
    taken: list[Value] = []
    for each in iterate(tracer, value):
        taken.append(each)
        check_length(len(taken))
    return taken


def reverse(tracer: Tracer, value: Value) -> Iterator[Value]:
    """``reversed(value)``; raises what `iterate` raises."""
    if isinstance(value, (list, tuple, range)):
        return reversed(value)
    if isinstance(value, Array) and value.shape:
        return (get_item(tracer, value, i) for i in reversed(range(len(value))))
    raise Unsupported(f"reverses {described(value)}")
