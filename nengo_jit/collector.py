"""Python's cyclic garbage collector, while objects are made that are all kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Context in which the collector is off, for work that makes many objects and keeps them all.

    The collector would scan them again and again. Afterwards they are in the oldest generation:
    the next collection of young objects does not scan them either.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if not gc.get_freeze_count():  # else the user's frozen objects would thaw
                gc.freeze()
                gc.unfreeze()  # into the oldest generation
            gc.enable()
