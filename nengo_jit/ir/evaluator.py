"""How functions of connections are evaluated while a model is built; engines may know better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

Natively = Callable[[np.ndarray, np.ndarray], int | None]


class Evaluator:
    """How functions are evaluated at points: here by Python alone. Engines may know better."""

    def natively(
        self, function: Callable[..., object], points: np.ndarray, targets: np.ndarray
    ) -> Natively | None:
        """What evaluates a function natively; None if Python has to.

        Parameters
        ----------
        function : callable
            A connection's function.
        points : (n_points, size_in) numpy.ndarray
            Where it will be evaluated.
        targets : (n_points, size_out) numpy.ndarray
            Where its values will be put.

        Returns
        -------
        callable or None
            Takes the last rows of ``points`` and ``targets``, fills targets row by row, and
            returns how many it has filled: it stops where Python is needed. It returns None if
            Python says otherwise at one of the points, so that nothing that it has ever filled can
            be trusted.
        """
        return None


IN_PYTHON = Evaluator()


def assign(value: ArrayLike, target: np.ndarray) -> None:
    """Put what a function returned at a point into its row of the targets."""
    target[...] = np.hstack(value) if isinstance(value, (tuple, list)) else value
