"""Set NumPy's handling of floating-point errors for a step, as nengo does, at little cost.

`numpy.errstate` and `numpy.geterr` take half a microsecond each, as long as a step of a small
model. To get or set the context variable in which NumPy keeps its settings takes a tenth of that.
The variable is private; `settings_variable` finds the one that changes with the settings.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import NamedTuple, TypeVar

import numpy as np

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def in_step() -> np.errstate:
    """Context with the settings of a step: invalid operations raise, division by zero does not."""
    return np.errstate(invalid="raise", divide="ignore")


def raising() -> np.errstate:
    """Context in which all errors that NumPy would report are raised."""
    return np.errstate(all="raise", under="ignore")


def settings_variable() -> ContextVar[object] | None:
    """The context variable with NumPy's settings; None if there is none, as in NumPy 1."""
    before = copy_context()
    with in_step():
        within = copy_context()
    changed = [each for each in within if before.get(each) is not within[each]]
    return changed[0] if len(changed) == 1 else None


class Settings(NamedTuple):
    """The settings outside of steps, and what follows from them.

    Attributes
    ----------
    chosen : object
        Value of NumPy's variable; None by default.
    within : object
        Its value while functions are called.
    ignore_underflow : bool
        Whether underflow is ignored.
    """

    chosen: object
    within: object
    ignore_underflow: bool


class ErrorState:
    """Calls functions with NumPy's settings in a step, or others.

    Parameters
    ----------
    variable : contextvars.ContextVar or None
        Has NumPy's settings, see `settings_variable`.
    context : callable
        Makes a context with the settings.
    """

    def __init__(
        self,
        variable: ContextVar[object] | None,
        context: Callable[[], np.errstate] = in_step,
    ):
        self._variable, self._context = variable, context
        self._latest = Settings(object(), None, False)

    def _learn(self, chosen: object) -> Settings:
        assert self._variable is not None
        ignore_underflow = np.geterr()["under"] == "ignore"
        with self._context():
            self._latest = Settings(chosen, self._variable.get(), ignore_underflow)
        return self._latest

    @property
    def ignores_underflow(self) -> bool:
        """bool: whether underflow is ignored."""
        if self._variable is None:
            return bool(np.geterr()["under"] == "ignore")
        chosen, latest = self._variable.get(None), self._latest
        if chosen is not latest.chosen:
            latest = self._learn(chosen)
        return latest.ignore_underflow

    def call(self, function: Callable[[Argument], Result], argument: Argument) -> Result:
        """Call a function with the settings, and restore the others afterwards."""
        variable = self._variable
        if variable is None:
            with self._context():
                return function(argument)
        chosen, latest = variable.get(None), self._latest
        if chosen is not latest.chosen:
            latest = self._learn(chosen)
        token = variable.set(latest.within)
        try:
            return function(argument)
        finally:
            variable.reset(token)


ERRSTATE = ErrorState(settings_variable())
RAISING = ErrorState(settings_variable(), raising)
