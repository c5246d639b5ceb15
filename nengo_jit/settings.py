"""nengo's settings, read once while a network is built, since each look-up takes long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
from nengo.rc import rc


class Settings(NamedTuple):
    """Settings from ``nengo.rc``.

    Attributes
    ----------
    float_dtype, int_dtype : numpy.dtype
        Types of real numbers and integers in nengo's default precision.
    fail_fast : bool
        Whether to make the step of each operator as soon as it is added to a model.
    """

    float_dtype: np.dtype
    int_dtype: np.dtype
    fail_fast: bool


_held: ContextVar[Settings | None] = ContextVar("settings", default=None)


def settings() -> Settings:
    """Return the current settings or, within `settings_held`, those at its start."""
    return _held.get() or Settings(
        rc.float_dtype, rc.int_dtype, rc["nengo.Simulator"].getboolean("fail_fast")
    )


@contextmanager
def settings_held(float_dtype: np.dtype | None = None) -> Iterator[None]:
    """Context in which settings are read once: that takes longer than making a signal.

    Parameters
    ----------
    float_dtype : numpy.dtype, optional
        Type of real numbers within the context, in place of nengo's.
    """
    current = settings()
    token = _held.set(current._replace(float_dtype=float_dtype or current.float_dtype))
    try:
        yield
    finally:
        _held.reset(token)
