"""Random number generators, which take longer to make than to seed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_spare: list[np.random.RandomState] = []
_HOLDERS = 3  # references to a generator that only its context knows: ours, its and the count's


@contextmanager
def generator(seed: int) -> Iterator[np.random.RandomState]:
    """Context with a generator like ``numpy.random.RandomState(seed)``.

    After the context the generator is seeded anew for another one, unless somebody kept it.

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
