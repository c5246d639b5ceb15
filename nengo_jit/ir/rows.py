"""Rows that users give for the steps of a run."""

from __future__ import annotations

import numpy as np


class Rows:
    """Rows of numbers, one for each step from a certain one on.

    Attributes
    ----------
    values : (n_steps, size) numpy.ndarray or None
        The rows; None for none.
    first : int
        Number of steps that are complete before the step of the first row.
    """

    def __init__(self) -> None:
        self.values: np.ndarray | None = None
        self.first = 0
