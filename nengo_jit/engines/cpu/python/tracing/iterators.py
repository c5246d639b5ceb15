"""What is iterated over: iterators, which have a state, and generators of traced functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nengo_jit.engines.cpu.python.tracing.indexing import get_item
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    Unknown,
    Unsupported,
    check_count,
    described,
)


class Iteration(Unknown):
    """An iterator of Python's on traced values: each value is taken once, when it is asked for.

    Parameters
    ----------
    values : iterator
        Such as Python's own `zip` of what `iterate` returns.
    """

    def __init__(self, values: Iterator[Any]):
        self._values = values

    def __iter__(self) -> Iteration:
        return self

    def __next__(self) -> Any:
        return next(self._values)


def iterate(tracer: Tracer, value: Any) -> Iterator[Any]:
    """What ``iter(value)`` is: values are looked up when their turn comes, as Python does it.

    Raises
    ------
    Unsupported
        If a value of this kind cannot be iterated over.
    """
    if isinstance(value, Iteration):
        return value
    if isinstance(value, (list, tuple, range)):
        return iter(value)
    if isinstance(value, Array) and value.registers.ndim:
        return (get_item(tracer, value, i) for i in range(len(value)))
    raise Unsupported(f"iterates over {described(value)}")


def elements(tracer: Tracer, value: Any) -> list[Any]:
    """All that an iteration over a value gives.

    Raises
    ------
    Unsupported
        If that is too much, or a value of this kind cannot be iterated over.
    """
    taken = []
    for each in iterate(tracer, value):
        taken.append(each)
        check_count(len(taken))
    return taken


def reverse(tracer: Tracer, value: Any) -> Iterator[Any]:
    """What ``reversed(value)`` is; errors are those of `iterate`."""
    if isinstance(value, (list, tuple, range)):
        return reversed(value)
    if isinstance(value, Array) and value.registers.ndim:
        return (get_item(tracer, value, i) for i in reversed(range(len(value))))
    raise Unsupported(f"reverses {described(value)}")
