"""Evaluate functions of connections at many points by their tapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from nengo.utils.functions import function_name
from numpy.typing import ArrayLike

from nengo_jit.engines.cpu.language.kernel import start, table_of
from nengo_jit.engines.cpu.language.primitives import ENTRY, FLOAT64
from nengo_jit.engines.cpu.python import call as field
from nengo_jit.engines.cpu.python.call import call_python, perform_at_points
from nengo_jit.engines.cpu.python.callee import FOR_TAPES, Callee
from nengo_jit.engines.cpu.python.tracing import Unsupported, calls_are_observed, trace
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of, are_ready
from nengo_jit.ir.evaluator import Evaluator, Natively, assign
from nengo_jit.regions import REGIONS

Function: TypeAlias = Callable[..., ArrayLike]
Points: TypeAlias = Sequence[np.ndarray] | np.ndarray

WORTH_TRACING = 250  # points: with fewer, tracing (half a millisecond) takes longer than it saves
FOR_POINTS = [*FOR_TAPES, (call_python, FLOAT64), (perform_at_points, FLOAT64)]


class Functions(Evaluator):
    """Evaluates functions by tapes, which connections with the same function share."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], _Function] = {}

    def __reduce__(self) -> tuple[type[Functions], tuple[()]]:
        return Functions, ()  # without tapes: their addresses are valid in one process only

    def natively(
        self, function: Function, points: np.ndarray, targets: np.ndarray
    ) -> Natively | None:
        if len(points) < WORTH_TRACING or not points.dtype == targets.dtype == FLOAT64:
            return None
        if np.geterr()["under"] != "ignore" or calls_are_observed():  # tapes ignore both
            return None
        if not are_ready(FOR_POINTS):
            return None
        key = id(function), points.shape[1], targets.shape[1]
        if key not in self._known:
            self._known[key] = _Function(function, *key[1:])
        known = self._known[key]
        known.update()
        chosen = [points[i] for i in extremes(points)]
        return known.evaluate if known.is_right_at(chosen) else None


class _Function(Callee):
    """A function with its tape, if it has one.

    Parameters
    ----------
    function : callable
        The function of a point.
    size_in, size_out : int
        Sizes of a point and of a result.
    """

    def __init__(self, function: Function, size_in: int, size_out: int):
        super().__init__(f"The connection function '{function_name(function)}'", self._place_now)
        self._function = function
        self._point, self._target = np.zeros(size_in), np.zeros(size_out)
        self._point.setflags(write=False)  # as evaluation points are
        self._points: Points = ()  # that are being evaluated
        self._number = np.zeros(1, np.int64)  # index of the current one
        self._is_traced = False
        self.put(field.CALLED, self._call)

    def _place_now(self) -> str:
        return f"at the point {self._points[self._number[0]].tolist()}"

    def _call(self) -> None:
        """Evaluate the function in Python at the current point."""
        assign(self._function(self._points[self._number[0]]), self._target)

    def update(self) -> None:
        """Trace the function, unless its tape is still valid."""
        if self._is_traced and (self.traced is None or self.traced.is_right):
            return
        function, point, target = self._function, self._point, self._target

        def step() -> None:
            assign(function(point), target)

        if not self._is_traced:
            self.get_ready()
            self.get_ready_for_tapes()
            self._perform = ENTRY(address_of(perform_at_points, FLOAT64))
        self._is_traced = True
        try:
            self.traced = trace(step, (point, target))
        except Unsupported:
            self.traced = None
        if self.traced is not None and any(each is not target for each in self.traced.tape.written):
            self.traced = None  # it has a state, and some points may be evaluated twice

    def is_right_at(self, points: list[np.ndarray]) -> bool:
        """Whether there is a tape that agrees with Python at all of these points."""
        if self.traced is None:
            return False
        targets = np.empty((len(points), len(self._target)))
        with self.traced.tape.all_compared():
            while points:
                n_compared = self.evaluate(points, targets)
                if n_compared is None:
                    return False
                points = points[n_compared + 1 :]  # the one in between is for Python
        return True

    def evaluate(self, points: Points, targets: np.ndarray) -> int | None:
        """Fill targets until Python is needed, see `Evaluator.natively`."""
        assert self.traced is not None
        self.is_doubted, self._points = False, points
        self.switch(True)
        given = np.ascontiguousarray(points)
        row = perform_at_points.row(
            task=start(self.words),
            number=start(self._number),
            n_points=len(given),
            points=start(given),
            n_in=given.shape[1],
            point=start(self._point),
            results=start(targets),
            n_out=targets.shape[1],
            result=start(self._target),
        )
        table = table_of([row])
        n_filled = int(self._perform(None, start(table)))
        REGIONS.raise_failure()
        error = self.fetch_error()
        if error is not None and not self.is_doubted:
            raise error
        if self.wrong:
            self.traced = None
        return None if self.is_doubted else n_filled


def extremes(points: np.ndarray) -> list[int]:
    """Indices of the points furthest out along each axis, next to zero and furthest from it."""
    columns = [*points.T, np.einsum("ij,ij->i", points, points)]
    return sorted({int(index) for each in columns for index in (each.argmin(), each.argmax())})
