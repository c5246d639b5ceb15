"""Estimates of build times, so that progress bars move evenly."""

from __future__ import annotations

from math import ceil

from nengo import Ensemble
from nengo.dists import Distribution
from nengo.utils.builder import default_n_eval_points

UNIT = 1e-4  # seconds per step of the progress: about the time for an object without computations


def n_eval_points(ensemble: Ensemble) -> int:
    """Return the number of evaluation points that an ensemble will have."""
    if not isinstance(ensemble.eval_points, Distribution):
        return len(ensemble.eval_points)
    if ensemble.n_eval_points is not None:
        return int(ensemble.n_eval_points)
    return int(default_n_eval_points(ensemble.n_neurons, ensemble.dimensions))


def build_cost(obj: object) -> int:
    """Return the steps of progress for building an object, without its decoders."""
    if not isinstance(obj, Ensemble):
        return 1
    numbers = (n_eval_points(obj) + obj.n_neurons) * obj.dimensions
    return 2 + ceil(numbers * 1e-7 / UNIT)


def solve_cost(ensemble: Ensemble) -> int:
    """Return the steps of progress for an ensemble's rates and their system of equations."""
    n = ensemble.n_neurons
    rates = n_eval_points(ensemble) * n
    return ceil((rates * 1e-8 + rates * n * 3e-11) / UNIT)
