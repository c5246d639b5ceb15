"""Functions of connections, evaluated at many points by their tapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from nengo_jit.builder.signal import address as start
from nengo_jit.builder.targets import Evaluator, Natively, assign
from nengo_jit.engines.cpu.kernels.tape import perform_at_points
from nengo_jit.engines.cpu.library import address_of
from nengo_jit.engines.cpu.machine import ENTRY, FLOAT64, table_of
from nengo_jit.engines.cpu.tracing import Traced, Unsupported, calls_are_observed, trace
from nengo_jit.regions import REGIONS

WORTH_TRACING = 250  # points for which tracing, which takes half a millisecond, has paid


class Functions(Evaluator):
    """Evaluates functions natively, if they only calculate.

    Connections mostly share functions, and functions their tapes.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], _Function] = {}

    def __reduce__(self) -> Any:
        return Functions, ()  # tapes are full of addresses, which are those of one process

    def natively(self, function: Any, points: np.ndarray, targets: np.ndarray) -> Natively | None:
        if len(points) < WORTH_TRACING or not points.dtype == targets.dtype == FLOAT64:
            return None
        if np.geterr()["under"] != "ignore" or calls_are_observed():  # of which tapes know nothing
            return None
        key = id(function), points.shape[1], targets.shape[1]
        if key not in self._known:
            self._known[key] = _Function(function, *key[1:])
        known = self._known[key]
        known.update()
        return None if known.traced is None else known.evaluate


class _Function:
    """A function with its tape.

    Parameters
    ----------
    function : callable
        The function of a point.
    size_in, size_out : int
        How many numbers it takes and returns.

    Attributes
    ----------
    traced : Traced or None
        The tape; None if Python has to evaluate the function.
    """

    def __init__(self, function: Any, size_in: int, size_out: int):
        self._function = function
        self._point, self._target = np.zeros(size_in), np.zeros(size_out)
        self._point.setflags(write=False)  # as those of ensembles are
        self._is_traced = False
        self.traced: Traced | None = None

    def update(self) -> None:
        """Trace the function, unless the tape is still right."""
        if self._is_traced and (self.traced is None or self.traced.is_right):
            return
        function, point, target = self._function, self._point, self._target

        def step() -> None:
            assign(function(point), target)

        self._is_traced = True
        try:
            self.traced = trace(step, (point, target))
        except Unsupported:
            self.traced = None

    def evaluate(self, points: np.ndarray, targets: np.ndarray) -> int:
        """Fill targets until Python is needed; returns how many have been filled."""
        assert self.traced is not None
        points = np.ascontiguousarray(points)
        tape, n = self.traced.tape.address, len(points)
        inputs = start(points), points.shape[1], start(self._point)
        outputs = start(targets), targets.shape[1], start(self._target)
        table = table_of([(tape, n, *inputs, *outputs)])
        entry = ENTRY(address_of(perform_at_points, FLOAT64))
        n_done = int(entry(None, start(table)))
        REGIONS.raise_failure()
        return n_done
