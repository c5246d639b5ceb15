"""What an engine may offer a batch: members that take turns on it, and rows that users give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from nengo.exceptions import SimulationError

from nengo_jit.ir.base import Operator
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal


class Output(NamedTuple):
    """The output of a node.

    Attributes
    ----------
    signal : Signal
        The signal.
    writer : Operator or None
        The operator that sets it; None if it is constant.
    """

    signal: Signal
    writer: Operator | None

    @property
    def function(self) -> SimPyFunc | None:
        """SimPyFunc or None: the operator, if all that it does is to call a function."""
        return self.writer if isinstance(self.writer, SimPyFunc) else None


class Rows:
    """Rows of numbers that take the place of an output, one in each step.

    Attributes
    ----------
    values : numpy.ndarray or None
        The rows; None for none.
    first : int
        Number of steps that are complete before the step of the first row.
    """

    def __init__(self, values: np.ndarray | None = None, first: int = 0):
        self.values, self.first = values, first


class TakesTurns:
    """The part of an engine that runs members of a batch. By default, each needs its own engine.

    Attributes
    ----------
    is_beside_others : bool
        Whether engines of the same batch run in other threads at the same time. So runs should not
        keep the GIL, however short they are.
    """

    is_beside_others = False

    def give(self, output: Output, rows: np.ndarray | None, first: int) -> None:
        """Let a node output rows from the next run on.

        Parameters
        ----------
        output : Output
            The output of the node.
        rows : (n_steps, size) numpy.ndarray or None
            Contiguous rows in the engine's precision, which the caller keeps; None for what the
            node computes itself.
        first : int
            Number of steps that are complete before the step of the first row.

        Raises
        ------
        SimulationError
            If the engine cannot.
        """
        if rows is not None:
            raise SimulationError("Users cannot give the outputs of nodes on this engine.")

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
