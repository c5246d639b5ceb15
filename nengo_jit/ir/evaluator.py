"""Evaluation of connections' functions during a build; engines override it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

Natively = Callable[[np.ndarray, np.ndarray], int | None]


class Evaluator:
    """Evaluates functions at points: here in Python only. Engines have subclasses."""

    def natively(
        self, function: Callable[..., ArrayLike], points: np.ndarray, targets: np.ndarray
    ) -> Natively | None:
        """Return a function that evaluates another one natively; None if Python has to.

        Parameters
        ----------
        function : callable
            A connection's function.
        points : (n_points, size_in) numpy.ndarray
            Arguments, row by row.
        targets : (n_points, size_out) numpy.ndarray
            Array for the values.

        Returns
        -------
        callable or None
            Takes the last rows of ``points`` and ``targets``, fills targets row by row, and
            returns the number of rows that it has filled: it stops at a point where Python is
            needed. It returns None if Python gives another value at one of the points: then none of
            the rows that it has ever filled can be trusted.
        """
        return None


IN_PYTHON = Evaluator()


def assign(value: ArrayLike, target: np.ndarray) -> None:
    """Assign the value of a function at a point to a row of the targets."""
    target[...] = np.hstack(value) if isinstance(value, (tuple, list)) else value
