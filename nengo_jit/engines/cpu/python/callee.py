"""The task of one Python function, and what follows if its tape is wrong.

If the results of tape and Python differ, Python's are kept, the function stays in Python for good,
and a warning is logged. This does not apply if something that the tape depends on has changed since
the function was traced, see `nengo_jit.engines.cpu.python.tracing.guards`.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python import call as field
from nengo_jit.engines.cpu.python.blocks import perform_group
from nengo_jit.engines.cpu.python.call import call_python
from nengo_jit.engines.cpu.python.compare import compare
from nengo_jit.engines.cpu.python.objects import KINDS
from nengo_jit.engines.cpu.python.tape_vm import perform
from nengo_jit.engines.cpu.python.tracing import Traced
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of

logger = logging.getLogger(__name__)

KERNELS = {field.PERFORM: perform, field.COMPARE: compare}
# Simulations do not wait for these
FOR_TAPES = [(kernel, FLOAT64) for kernel in (*KERNELS.values(), perform_group)]


class Callee:
    """A Python function that kernels call or execute as a tape.

    Parameters
    ----------
    name : object
        Names the function in warnings.
    place : callable
        Returns where the function was called, such as "in step 3".

    Attributes
    ----------
    words : (LENGTH,) numpy.ndarray of int64
        The task, see `nengo_jit.engines.cpu.python.call.TAPE`.
    traced : Traced or None
        The traced function; `switch` puts its tape to use.
    is_doubted : bool
        Whether the results of Python and the tape differed, so that the tape is not used any more.
    wrong : str
        How a tape was found to be wrong; continues "it ...". Empty if none was. The function must
        not be traced again after that.
    """

    def __init__(self, name: object, place: Callable[[], str]):
        self._name, self._place = name, place
        self.words = np.zeros(field.LENGTH, np.int64)
        self.words[field.KINDS] = start(KINDS)
        self._kept: dict[int, object] = {}  # objects in the task, by their fields
        self._spans = np.zeros((0, 3), np.int64)
        self.traced: Traced | None = None
        self.is_doubted, self.wrong = False, ""

    def get_ready(self) -> None:
        """Put the address of `call_python` into the task, which compiles it if necessary."""
        self.words[field.CALL] = address_of(call_python, FLOAT64)
        self.put(field.DIFFERS, self._after_difference)

    def get_ready_for_tapes(self) -> None:
        """Put the addresses of the kernels for tapes into the task, compiling them if necessary."""
        for index, kernel in KERNELS.items():
            self.words[index] = address_of(kernel, FLOAT64)

    def put(self, index: int, value: object) -> None:
        """Put an object into a field of the task."""
        self.words[index] = id(value)
        self._kept[index] = value

    def clear(self, index: int) -> None:
        """Remove the object from a field of the task."""
        self.words[index] = 0
        self._kept.pop(index, None)

    def raise_after_call(self, error: Exception) -> None:
        """Raise an error after the current call of Python."""

        def raise_error() -> None:
            raise error

        self.put(field.AFTER_CALL, raise_error)

    def save(self, arrays: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Save arrays to buffers before Python is called, and restore them if it raises."""
        spans = [(start(array), start(copy), array.nbytes) for array, copy in arrays]
        self._spans = np.array(spans, np.int64).reshape(-1, 3)
        self.words[[field.N_SPANS, field.SPANS]] = len(spans), start(self._spans)

    def kept(self) -> tuple[object, ...]:
        """Objects that kernels may be using, to be kept until they return."""
        return (self.traced, self._spans, *self._kept.values())

    def switch(self, on: bool) -> None:
        """Use the tape, if there is one, or call Python."""
        self.words[field.TAPE] = self.traced.tape.address if on and self.traced is not None else 0

    def fetch_error(self) -> BaseException | None:
        """Remove and return the error that Python raised, if it did."""
        path = self._take_path()
        error = fetch_error(self.words)
        # A KeyboardInterrupt says nothing about the tape.
        if path and isinstance(error, Exception) and self._is_to_blame():
            self._disprove(f"gave a value when compiled where Python raised {error!r}", path)
        return error

    def _after_difference(self) -> None:
        """Handle different results of Python and the tape; `compare` calls this."""
        path = self._take_path()
        if self.traced is not None and self._is_to_blame():
            ours, theirs = self.traced.tape.difference(path)
            self._disprove(f"gave {ours} when compiled and {theirs} in Python", path)

    def _take_path(self) -> int:
        path, self.words[field.PATH] = int(self.words[field.PATH]), 0
        return path

    def _is_to_blame(self) -> bool:
        """Stop using the tape; returns whether all that it depends on is unchanged."""
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
    """Remove and return the error that Python raised in a task; None if there is none."""
    fields = slice(field.ERROR, field.LENGTH)
    parts = [ctypes.c_void_p(part) for part in words[fields].tolist()]
    if not parts[0]:
        return None
    words[fields] = 0
    try:
        ctypes.pythonapi.PyErr_Restore(*parts)
    except BaseException as error:
        return error
    return None
