"""Tasks: what the kernels for Python functions are told of a function.

A task also hears if Python does not do what the function's tape does. The function then stays in
Python for good, with Python's value, and a warning says so; unless something has changed since the
function was traced, see `nengo_jit.engines.cpu.python.tracing.guards`.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python import call as field
from nengo_jit.engines.cpu.python.call import call_python
from nengo_jit.engines.cpu.python.compare import compare
from nengo_jit.engines.cpu.python.objects import KINDS
from nengo_jit.engines.cpu.python.tape_vm import perform
from nengo_jit.engines.cpu.python.tracing import Traced
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of

logger = logging.getLogger(__name__)

KERNELS = {field.PERFORM: perform, field.COMPARE: compare}
FOR_TAPES = [(kernel, FLOAT64) for kernel in KERNELS.values()]  # which nobody waits for


class Callee:
    """A function, for kernels.

    Parameters
    ----------
    name : object
        What to call the function in warnings.
    place : callable
        Says where it was called, such as "in step 3".

    Attributes
    ----------
    words : (LENGTH,) numpy.ndarray of int64
        What kernels read, see `nengo_jit.engines.cpu.python.call.TAPE`.
    traced : Traced or None
        The function's tape, if there is one; `switch` puts it to use.
    is_doubted : bool
        Whether Python has done something else than the tape, which is not performed any more.
    wrong : str
        How it was found that a tape is wrong, if one was: then there must be none any more. In
        words that go on from "it".
    """

    def __init__(self, name: Any, place: Callable[[], str]):
        self._name, self._place = name, place
        self.words = np.zeros(field.LENGTH, np.int64)
        self.words[field.KINDS] = start(KINDS)
        self._kept: dict[int, Any] = {}  # objects that kernels have the addresses of
        self.traced: Traced | None = None
        self.is_doubted, self.wrong = False, ""

    def get_ready(self) -> None:
        """Tell where the kernel is that calls Python; it is compiled if it has not been yet."""
        self.words[field.CALL] = address_of(call_python, FLOAT64)
        self.tell(field.DIFFERS, self._after_difference)

    def get_ready_for_tapes(self) -> None:
        """Tell where the kernels for tapes are; they are compiled if they have not been yet."""
        for place, kernel in KERNELS.items():
            self.words[place] = address_of(kernel, FLOAT64)

    def tell(self, place: int, value: Any) -> None:
        """Tell where an object is."""
        self.words[place] = id(value)
        self._kept[place] = value

    def untell(self, place: int) -> None:
        """Tell that there is no object any more."""
        self.words[place] = 0
        self._kept.pop(place, None)

    def raise_after_call(self, error: Exception) -> None:
        """Have an error raised when Python returns."""

        def raise_error() -> None:
            raise error

        self.tell(field.TOLD, raise_error)

    def kept(self) -> tuple[Any, ...]:
        """What kernels may be using: it must be kept until they have returned."""
        return (self.traced, *self._kept.values())

    def switch(self, on: bool) -> None:
        """Have the tape performed, if there is one, or Python called."""
        self.words[field.TAPE] = self.traced.tape.address if on and self.traced is not None else 0

    def fetch_error(self) -> BaseException | None:
        """What Python raised, if it did; it can be taken once."""
        path = self._take_path()
        error = fetch_error(self.words)
        # Ctrl-C says nothing about the tape.
        if path and isinstance(error, Exception) and self._is_to_blame():
            self._disprove(f"gave a value when compiled where Python raised {error!r}", path)
        return error

    def _after_difference(self) -> None:
        """Python has not done what the tape would have done."""
        path = self._take_path()
        if self.traced is not None and self._is_to_blame():
            ours, theirs = self.traced.tape.difference(path)
            self._disprove(f"gave {ours} when compiled and {theirs} in Python", path)

    def _take_path(self) -> int:
        path, self.words[field.PATH] = int(self.words[field.PATH]), 0
        return path

    def _is_to_blame(self) -> bool:
        """Go on without the tape; tells whether nothing that it relied on has changed."""
        self.switch(False)
        self.is_doubted = True
        return self.traced is not None and self.traced.is_right

    def _disprove(self, how: str, path: int) -> None:
        assert self.traced is not None
        self.wrong = f"{how}, {self._place()}"
        logger.warning(
            "%s stays in Python from now on: it %s. %s",
            self._name,
            self.wrong,
            self.traced.tape.trust(path),
        )


def fetch_error(words: np.ndarray) -> BaseException | None:
    """What Python raised in a task, as an exception that can be taken once; None if nothing."""
    places = slice(field.ERROR, field.LENGTH)
    parts = [ctypes.c_void_p(part) for part in words[places].tolist()]
    if not parts[0]:
        return None
    words[places] = 0
    try:
        ctypes.pythonapi.PyErr_Restore(*parts)
    except BaseException as error:
        return error
    return None
