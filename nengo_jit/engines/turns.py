"""What an engine may offer a batch: members that take turns on it, and rows that users give."""

from __future__ import annotations

from typing import Any

import numpy as np

from nengo_jit.ir.given import Given


class TakesTurns:
    """The part of an engine that runs members of a batch. By default, each needs its own engine."""

    def give(self, operator: Given, rows: np.ndarray | None, first: int) -> None:
        """Set the rows that an operator outputs.

        Parameters
        ----------
        operator : Given
            The operator.
        rows : (n_steps, size) numpy.ndarray or None
            Contiguous rows in the engine's precision, which the caller keeps; None for none.
        first : int
            Number of steps that are complete before the step of the first row.
        """
        operator.rows.values, operator.rows.first = rows, first

    @property
    def takes_turns(self) -> bool:
        """bool: whether members of a batch may take turns on this engine, after a reset.

        That is so if `private` and the signals are all that steps depend on. No function that the
        engine calls may have a state of its own then.
        """
        return False

    @property
    def is_thread_safe(self) -> bool:
        """bool: whether engines of one plan may run in several threads at the same time."""
        return False

    def private(self) -> object:
        """Copy what steps depend on besides signals, the clock and generators in Python.

        None if there is nothing. The engine then looks at all signals before each run.
        """
        return None

    def load_private(self, private: Any) -> None:
        """Continue from what `private` has returned, on this engine."""
        return
