"""Draw samples from nengo's distributions: the same numbers, faster.

Distributions of exactly the types below are sampled here; for others, nengo's code is called.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from nengo.dists import QuasirandomSequence, ScatteredHypersphere, get_samples

from nengo_jit.ir.base import Rng


def sample(dist: Any, n: int, d: int | None = None, rng: Rng = np.random) -> np.ndarray:
    """Return samples of a distribution, or a copy of given samples.

    Parameters
    ----------
    dist : nengo.dists.Distribution or array_like
        The distribution, or the samples.
    n : int
        Number of samples.
    d : int, optional
        Number of dimensions; without it, the samples are scalars.
    rng : numpy.random.RandomState
        Source of randomness. Its state afterwards is the same as after nengo's sampling.

    Returns
    -------
    (n, d) or (n,) numpy.ndarray
        The same numbers, bit for bit, that ``nengo.dists.get_samples`` returns.
    """
    if d is None or d < 1 or n < 2 or not isinstance(rng, np.random.RandomState):
        return get_samples(dist, n, d, rng=rng)
    if type(dist) is QuasirandomSequence:
        return _quasirandom(n, d, rng)
    if type(dist) is not ScatteredHypersphere or type(dist.base) is not QuasirandomSequence:
        return get_samples(dist, n, d, rng=rng)
    if dist.method != "sct-approx":
        return get_samples(dist, n, d, rng=rng)
    return _scattered(dist, n, d, rng)


def shuffled(rows: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Return the rows as ``rng.shuffle(rows)`` orders them; shuffling an index is far faster."""
    order = np.arange(len(rows))
    rng.shuffle(order)
    return rows[order]


@cache
def _steps(d: int) -> np.ndarray:
    """Return the increments of the quasirandom sequence in each dimension."""
    return (1.0 / QuasirandomSequence._phi(d)) ** np.arange(1, d + 1)


def _quasirandom(n: int, d: int, rng: np.random.RandomState) -> np.ndarray:
    start = rng.uniform(0, 1, size=d)
    if d == 1:
        points = start + (1 / n) * np.arange(n, dtype=np.float64)
        points = points[:, np.newaxis]
    else:
        points = start + np.outer(np.arange(1, n + 1), _steps(d))
    points -= np.floor(points)  # they are not negative
    return shuffled(points, rng)


def _scattered(
    dist: ScatteredHypersphere, n: int, d: int, rng: np.random.RandomState
) -> np.ndarray:
    surface, min_magnitude = dist.surface, dist.min_magnitude
    if d == 1:
        return _scattered_on_line(surface, min_magnitude, n, rng)
    if surface:
        angles, radius = _quasirandom(n, d - 1, rng), None
    else:
        points = _quasirandom(n, d, rng)
        angles, radius = points[:, :-1], points[:, -1:]
        if min_magnitude != 0:
            lowest = min_magnitude**d
            radius *= 1 - lowest
            radius += lowest
        radius **= 1.0 / d
    directions = _directions(angles)
    if radius is not None:
        directions *= radius
    return np.dot(directions, ScatteredHypersphere.random_orthogonal(d, rng=rng))


def _directions(cube: np.ndarray) -> np.ndarray:
    """Map points of a cube to unit vectors, which have one dimension more.

    The coordinates become spherical angles. They are looked up in a table in ascending order,
    which takes a third of the time: each is found near the one before.
    """
    n, d = cube.shape
    angles = np.empty((d, n))
    for k, column in enumerate(cube.T):
        order = np.argsort(column)
        found = ScatteredHypersphere.spherical_coords_ppf(d - k, column[order], approx=True)
        angles[k, order] = found
    angles *= np.pi
    angles[-1] *= 2.0
    vectors = np.ones((d + 1, n))
    np.cumprod(np.sin(angles), axis=0, out=vectors[1:])
    vectors[:-1] *= np.cos(angles)
    return np.ascontiguousarray(vectors.T)


def _scattered_on_line(
    surface: bool, min_magnitude: float, n: int, rng: np.random.RandomState
) -> np.ndarray:
    if surface:
        return np.sign(_quasirandom(n, 1, rng) - 0.5)
    samples = np.concatenate([_quasirandom(n // 2, 1, rng), _quasirandom(n - n // 2, 1, rng)])
    if min_magnitude > 0:
        samples *= 1.0 - min_magnitude
        samples += min_magnitude
    samples[n // 2 :] *= -1
    return shuffled(samples, rng)
