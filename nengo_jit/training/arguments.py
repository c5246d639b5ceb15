"""Checks of what users give to a `Trainer`, besides data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from nengo.exceptions import ValidationError

from nengo_jit.batching.choice import whole

Function = TypeVar("Function", bound=Callable[..., Any])

SEEDS = 2**32


def whole_number(value: Any, least: int, attr: str) -> int:
    """Return a whole number of any type; ValidationError if it is none, or too small."""
    number = whole(value)
    if number is None or number < least:
        raise ValidationError(f"Must be a whole number from {least} on (got {value!r})", attr=attr)
    return number


def seed_of(value: Any) -> int | None:
    """Return a seed or None; ValidationError if it is none of NumPy's."""
    number = whole(value)
    if value is not None and (number is None or not 0 <= number < SEEDS):
        raise ValidationError(
            f"Must be a whole number from 0 to {SEEDS - 1} (got {value!r})", attr="seed"
        )
    return number


def remat_of(value: Any) -> str | int | None:
    """Return a number of steps, None or "auto"; ValidationError if it is none of them."""
    if value is None or (isinstance(value, str) and value == "auto"):
        return value
    number = whole(value)
    if number is None or number < 1:
        raise ValidationError(
            f"Must be a number of steps, 'auto' or None (got {value!r})", attr="remat"
        )
    return number


def functions_of(values: Iterable[Function], attr: str) -> Sequence[Function]:
    """Return functions; ValidationError if something else is among them."""
    found = list(values) if isinstance(values, Iterable) else [None]
    if not all(map(callable, found)):
        raise ValidationError(f"Must be a sequence of functions (got {values!r})", attr=attr)
    return found
