"""How NumPy treats floating-point errors in a step: as in nengo, at little cost.

`numpy.errstate` and `numpy.geterr` take half a microsecond each, as long as a step of a small
model. NumPy keeps its settings in a context variable, which is found here by what changes when
settings do. To look at a variable, and to set it, takes a tenth of that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, NamedTuple, TypeVar

import numpy as np

Result = TypeVar("Result")


def in_step() -> Any:
    """Context in which NumPy is set as in a step: invalid arithmetic raises, dividing by 0 not."""
    return np.errstate(invalid="raise", divide="ignore")


def settings_variable() -> ContextVar[Any] | None:
    """The context variable with all of NumPy's settings; None if there is none, as in NumPy 1."""
    before = copy_context()
    with in_step():
        within = copy_context()
    changed = [each for each in within if before.get(each) is not within[each]]
    return changed[0] if len(changed) == 1 else None


class Settings(NamedTuple):
    """What follows from the settings that somebody has chosen.

    Attributes
    ----------
    chosen : Any
        Value of NumPy's variable; None by default.
    in_step : Any
        Its value in a step.
    ignore_underflow : bool
        Whether nothing is said of underflow.
    """

    chosen: Any
    in_step: Any
    ignore_underflow: bool


class ErrorState:
    """Calls functions with NumPy set as in a step.

    Parameters
    ----------
    variable : contextvars.ContextVar or None
        With NumPy's settings, see `settings_variable`.
    """

    def __init__(self, variable: ContextVar[Any] | None):
        self._variable = variable
        self._latest = Settings(object(), None, False)

    def _learn(self, chosen: Any) -> Settings:
        assert self._variable is not None
        ignore_underflow = np.geterr()["under"] == "ignore"
        with in_step():
            self._latest = Settings(chosen, self._variable.get(), ignore_underflow)
        return self._latest

    @property
    def ignores_underflow(self) -> bool:
        """bool: whether nothing is said of underflow."""
        if self._variable is None:
            return bool(np.geterr()["under"] == "ignore")
        chosen, latest = self._variable.get(None), self._latest
        if chosen is not latest.chosen:
            latest = self._learn(chosen)
        return latest.ignore_underflow

    def call(self, function: Callable[[int], Result], argument: int) -> Result:
        """Call a function, set as in a step; what was set before is set again after it."""
        variable = self._variable
        if variable is None:
            with in_step():
                return function(argument)
        chosen, latest = variable.get(None), self._latest
        if chosen is not latest.chosen:
            latest = self._learn(chosen)
        token = variable.set(latest.in_step)
        try:
            return function(argument)
        finally:
            variable.reset(token)


ERRSTATE = ErrorState(settings_variable())
