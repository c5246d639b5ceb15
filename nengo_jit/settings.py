"""nengo's settings that building looks at all the time, read once for a whole network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
from nengo.rc import rc


class Settings(NamedTuple):
    """What ``nengo.rc`` says.

    Attributes
    ----------
    float_dtype, int_dtype : numpy.dtype
        Types of numbers in nengo's default precision.
    fail_fast : bool
        Whether operators are tried out when they are added.
    """

    float_dtype: np.dtype
    int_dtype: np.dtype
    fail_fast: bool


_held: ContextVar[Settings | None] = ContextVar("settings", default=None)


def settings() -> Settings:
    """The settings of now or, within `settings_held`, of its beginning."""
    return _held.get() or Settings(
        rc.float_dtype, rc.int_dtype, rc["nengo.Simulator"].getboolean("fail_fast")
    )


@contextmanager
def settings_held() -> Iterator[None]:
    """Context in which the settings are not read again: that takes longer than making a signal."""
    token = _held.set(settings())
    try:
        yield
    finally:
        _held.reset(token)
