"""A pool of random number generators: seeding one is faster than making one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_spare: list[np.random.RandomState] = []
_HOLDERS = 3  # references to an unshared generator: of this frame, the context and `getrefcount`


@contextmanager
def generator(seed: int) -> Iterator[np.random.RandomState]:
    """Context with a generator like ``numpy.random.RandomState(seed)``.

    After the context, the generator is reused, unless there are other references to it.

    Parameters
    ----------
    seed : int
        The seed.
    """
    try:
        rng = _spare.pop()
    except IndexError:
        rng = np.random.RandomState(0)
    rng.seed(seed)
    yield rng
    if sys.getrefcount(rng) <= _HOLDERS:
        _spare.append(rng)
