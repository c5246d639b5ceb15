"""A pool of random number generators: seeding one is faster than making one."""

from __future__ import annotations

import sys

import numpy as np

_spare: list[np.random.RandomState] = []
_HOLDERS = 3  # references to an unshared generator: of the context, its user and `getrefcount`


class generator:  # noqa: N801  (called like a function)
    """Context with a generator like ``numpy.random.RandomState(seed)``.

    After the context, unless it is left by an error, the generator is reused if there are no other
    references to it.

    Parameters
    ----------
    seed : int
        The seed.
    """

    __slots__ = ("_rng", "_seed")

    def __init__(self, seed: int):
        self._seed = seed

    def __enter__(self) -> np.random.RandomState:
        try:
            self._rng = _spare.pop()
        except IndexError:
            self._rng = np.random.RandomState(0)
        self._rng.seed(self._seed)
        return self._rng

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None and sys.getrefcount(self._rng) <= _HOLDERS:
            _spare.append(self._rng)
