"""What the host computes ahead of a chunk of steps: all that depends on time and chance only.

These are nengo's own random numbers, in nengo's order, and the values of functions of time. They
are kept until their step is done, since drawing them again would give others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from nengo_jit.engines.jax.bucket import Drawn
from nengo_jit.ir.base import Operator
from nengo_jit.planner.plan import Plan

Draw = Callable[..., np.ndarray]
Generators: TypeAlias = "Sequence[Mapping[Operator, np.random.RandomState]]"
GeneratorState: TypeAlias = dict[str, Any] | tuple[Any, ...]  # in NumPy's form


class _Ahead:
    """The numbers of an operator for some steps from a ``first`` one on."""

    def __init__(self, operator: Operator, first: int):
        self.like = np.empty(operator.outputs()[0].shape)
        self.first = first
        self.rows: list[np.ndarray] = []
        self.error: BaseException | None = None  # that the step after these has raised
        # the generator's state before a step, counted from one: that of a row, or an earlier one
        self.origin: tuple[int, GeneratorState] | None = None

    def begin(self, number: int) -> None:
        """Forget the steps before one; all, if they are not known from there on."""
        if not self.first <= number <= self.first + len(self.rows):
            self.rows, self.error = [], None
        del self.rows[: number - self.first]
        self.first = number

    def draw(self, draw: Draw, t: float) -> None:
        """Add the numbers of another step."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        values = np.asarray(draw(t, self.like))
        if values.shape != self.like.shape:
            values = np.broadcast_to(values, self.like.shape)
        self.rows.append(values.ravel())


class Drawing(Protocol):
    """Draws numbers for all operators, step by step."""

    def begin(self, draws: Sequence[Mapping[Operator, Draw]], generators: Generators) -> None:
        """Draw with other functions from now on.

        Parameters
        ----------
        draws : sequence of (dict of (Operator, callable))
            Of each simulation, the functions.
        generators : sequence of (dict of (Operator, numpy.random.RandomState))
            Of each simulation, what some of them draw from, and depend on alone.
        """

    def forget(self, operators: Iterable[Operator]) -> None:
        """Forget what has been drawn for later steps, which will be drawn again."""

    def draw(self, operator: Operator, number: int) -> np.ndarray:
        """Return the numbers of an operator for a step, counted from one; draw them if needed.

        If a function of the user's raises, or has raised in `prepare`, this raises the error.
        """

    def prepare(self, places: Sequence[Drawn], first: int, n: int) -> int:
        """Draw for ``n`` steps from ``first`` on; returns for how many it has succeeded."""

    def rewind(self, number: int) -> None:
        """Set generators to their states before a step, though later steps have been drawn for."""

    def take(self, places: Sequence[Drawn], first: int, n: int, size: int) -> list[np.ndarray]:
        """Return numbers that have been drawn.

        Parameters
        ----------
        places : sequence of Drawn
            What is needed.
        first, n : int
            Number of the first step, counted from one, and the number of steps.
        size : int
            Length of the arrays; elements after ``n`` are zero.

        Returns
        -------
        list of (size, *shape) numpy.ndarray
            For each place, its numbers in all steps.
        """


class Draws(Drawing):
    """Draws numbers for a simulation; see `Drawing`.

    Parameters
    ----------
    plan : Plan
        Tells the time.
    """

    def __init__(self, plan: Plan):
        self._plan = plan
        self._draws: dict[Operator, Draw] = {}  # in the order of the plan
        self._generators: Mapping[Operator, np.random.RandomState] = {}
        self._ahead: dict[Operator, _Ahead] = {}

    def begin(self, draws: Sequence[Mapping[Operator, Draw]], generators: Generators) -> None:
        (own,), (self._generators,) = draws, generators
        self._draws = {each: own[each] for each in self._plan.operators if each in own}

    def forget(self, operators: Iterable[Operator]) -> None:
        for operator in operators:
            self._ahead.pop(operator, None)

    def _of(self, operator: Operator, number: int) -> _Ahead:
        if operator not in self._ahead:
            self._ahead[operator] = _Ahead(operator, number)
        return self._ahead[operator]

    def _time(self, number: int) -> float:
        time: float = self._plan.time.dtype.type(number * self._plan.dt).item()
        return time

    def draw(self, operator: Operator, number: int) -> np.ndarray:
        ahead = self._of(operator, number)
        if not 0 <= number - ahead.first < len(ahead.rows):
            ahead.begin(number)
            ahead.draw(self._draws[operator], self._time(number))
        return ahead.rows[number - ahead.first]

    def prepare(self, places: Sequence[Drawn], first: int, n: int) -> int:
        members = {operator for place in places for operator in place.members}
        needed = [(each, self._of(each, first)) for each in self._draws if each in members]
        for operator, ahead in needed:
            ahead.begin(first)
            if not ahead.rows:
                own = self._generators.get(operator) if n > 1 else None
                ahead.origin = None if own is None else (first, own.get_state(legacy=False))
        for number in range(first, first + (n if needed else 0)):
            t = self._time(number)
            for operator, ahead in needed:
                if number < first + len(ahead.rows):
                    continue
                try:
                    ahead.draw(self._draws[operator], t)
                except BaseException as error:  # the steps before it come first
                    ahead.error = error
                    return number - first
        return n

    def rewind(self, number: int) -> None:
        for operator, ahead in self.beyond(number):
            assert ahead.origin is not None
            first, state = ahead.origin
            self._generators[operator].set_state(state)
            for each in range(first, number):
                self._draws[operator](self._time(each), ahead.like)
            del ahead.rows[max(0, number - ahead.first) :]

    def beyond(self, number: int) -> list[tuple[Operator, _Ahead]]:
        """Return what has been drawn for a step or later ones, and can be drawn again."""
        return [
            (operator, ahead)
            for operator, ahead in self._ahead.items()
            if ahead.origin is not None and number < ahead.first + len(ahead.rows)
        ]

    def take(self, places: Sequence[Drawn], first: int, n: int, size: int) -> list[np.ndarray]:
        arrays = []
        for place in places:
            array = np.zeros((size, *place.shape), self._plan.time.dtype)
            flat, start = array.reshape(size, -1), 0
            for operator in place.members:
                end = start + operator.outputs()[0].size
                flat[:n, start:end] = self.rows(operator, first, n)
                start = end
            arrays.append(array)
        return arrays

    def rows(self, operator: Operator, first: int, n: int) -> list[np.ndarray]:
        """Return what has been drawn for an operator, flat, for each step."""
        ahead = self._ahead[operator]
        low = first - ahead.first
        return ahead.rows[low : low + n]
