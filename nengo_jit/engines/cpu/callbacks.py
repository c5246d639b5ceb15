"""Python in programs: what cannot be lowered runs through its ``make_step``."""

from __future__ import annotations

import ctypes
from typing import Any

from nengo_jit.builder.operator import Step
from nengo_jit.engines.cpu.machine import ENTRY


class Callback:
    """An entry of a program that calls a Python function.

    Parameters
    ----------
    operator : Operator
        What the function carries out.

    Attributes
    ----------
    error : BaseException or None
        What the function raised the last time, if it stopped the program.
    step : callable
        The function, from the operator's ``make_step``.
    """

    when = "always"  # in which steps it runs, see `Kernel`

    def __init__(self, operator: Any):
        self.operator = operator
        self.step: Step = _not_ready
        self.error: BaseException | None = None
        self._entry = ENTRY(self._call)

    @property
    def address(self) -> int:
        """int: address of the entry's code."""
        return int(ctypes.cast(self._entry, ctypes.c_void_p).value or 0)

    def _call(self, memory: Any, table: int) -> int:
        try:
            self.step()
        except BaseException as error:
            self.error = error
            return 1
        return 0


def _not_ready() -> None:
    raise RuntimeError("the engine has not been reset yet")
