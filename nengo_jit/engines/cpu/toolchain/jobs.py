"""Jobs: kernels to be compiled, serialised for another process.

A function is sent together with all that it refers to, directly or not: numbers, strings, tuples,
arrays, modules, types, built-in functions and functions, the same that have a fingerprint
(`fingerprint.py`). Primitives are sent by name: the compiler in the other process defines them. All
other functions are sent as bytecode, so that the other process need not import the modules that
define them. A function that several kernels refer to is one function there, too, and compiled once.
"""

from __future__ import annotations

import io
import marshal
import pickle
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import CellType, FunctionType, ModuleType
from typing import IO, Any, TypeAlias, TypeVar

import numpy as np

import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu.language import primitives, python_objects
from nengo_jit.engines.cpu.toolchain.fingerprint import fingerprint, referred

Options = TypeVar("Options")

SENT_BY_NAME = (primitives.__name__, python_objects.__name__, vocabulary.__name__)  # modules
AWAITED, LIKELY, LATER = range(3)  # priorities, the highest first
IDLE_TIMEOUT = 2.0  # seconds without a job after which a worker ends
STALL_TIMEOUT = 20.0  # seconds without progress after which a process is taken to be stopped
LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Job:
    """A kernel to be compiled.

    Attributes
    ----------
    name : str
        Name of its cache entry.
    work : int
        Estimated time, in arbitrary units.
    content : bytes
        Its `KernelSource`, pickled.
    priority : int
        `AWAITED` if a process waits for it, `LIKELY` if one probably will, or `LATER`.
    """

    name: str
    work: int
    content: bytes
    priority: int = AWAITED


Order: TypeAlias = tuple[Sequence[Job], Sequence[str]]
"""Message to a worker: new jobs, and names of jobs that are no longer needed."""
Result: TypeAlias = tuple[str, bytes | None, str | None]
"""Message from a worker: name of a job, machine code if it was compiled, and error if it failed."""


@dataclass(frozen=True)
class KernelSource:
    """Input of the compiler; for the attributes see `compiler.compile_kernel`.

    Attributes
    ----------
    helpers, formulas : dict
        The helpers and formulas that the function calls, with their options, as in
        `primitives.HELPERS` and `primitives.FORMULAS`.
    """

    function: Callable[..., object]
    signature: primitives.Signature
    dtype: np.dtype
    fastmath: tuple[str, ...]
    helpers: dict[Callable[..., object], dict[str, Any]]
    formulas: dict[Callable[..., object], bool]

    def register(self) -> None:
        """Make helpers and formulas known to the compiler in this process."""
        primitives.HELPERS.update(self.helpers)
        primitives.FORMULAS.update(self.formulas)


def job_for(
    name: str,
    function: Callable[..., object],
    signature: primitives.Signature,
    dtype: np.dtype,
    fastmath: tuple[str, ...],
    priority: int = AWAITED,
    keys: dict[Callable[..., object], str] | None = None,
) -> Job:
    """Make a job of a kernel.

    Parameters
    ----------
    name, priority
        See `Job`.
    function, signature, dtype, fastmath
        See `nengo_jit.engines.cpu.toolchain.compiler.compile_kernel`.
    keys : dict of (function, str), optional
        Fingerprints of functions that are known already; others are added.
    """
    functions = reachable(function)
    helpers = _registered(primitives.HELPERS, functions)
    formulas = _registered(primitives.FORMULAS, functions)
    file = io.BytesIO()
    _Pickler(file, functions, {} if keys is None else keys).dump(
        KernelSource(function, signature, dtype, fastmath, helpers, formulas)
    )
    work = sum(len(each.__code__.co_code) for each in functions)
    return Job(name, work, file.getvalue(), priority)


def _registered(
    registry: dict[Callable[..., object], Options], functions: Iterable[FunctionType]
) -> dict[Callable[..., object], Options]:
    """The entries of a registry for some functions."""
    return {each: registry[each] for each in functions if each in registry}


def source_of(job: Job) -> KernelSource:
    """The input of the compiler for a job."""
    source: KernelSource = pickle.loads(job.content)
    return source


def send(file: IO[bytes], message: object) -> None:
    """Send a message through a pipe."""
    content = pickle.dumps(message)
    file.write(LENGTH.pack(len(content)) + content)
    file.flush()


def receive(file: IO[bytes]) -> Any:
    """Receive the next message from a pipe; EOFError if the other end has been closed."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    content = file.read(LENGTH.unpack(head)[0])
    return pickle.loads(content)


def reachable(function: Callable[..., object]) -> dict[FunctionType, None]:
    """A function and all functions that it refers to, directly or not, in a fixed order."""
    found: dict[FunctionType, None] = {}
    waiting: list[object] = [function]
    while waiting:
        each = waiting.pop()
        if isinstance(each, FunctionType) and each not in found:
            found[each] = None
            waiting += referred(each).values()
    return found


class _Pickler(pickle.Pickler):
    def __init__(
        self,
        file: IO[bytes],
        functions: Iterable[FunctionType],
        keys: dict[Callable[..., object], str],
    ):
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._keys = keys
        self._functions = {each for each in functions if not _is_sent_by_name(each)}

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, ModuleType):
            return _module, (value.__name__,)
        if not isinstance(value, FunctionType) or value not in self._functions:
            return NotImplemented
        code, closure = value.__code__, value.__closure__ or ()
        names = {name for name in referred(value) if name not in code.co_freevars}
        state = (
            {name: value.__globals__[name] for name in names},
            tuple(cell.cell_contents for cell in closure),
            value.__defaults__,
        )
        if value not in self._keys:
            self._keys[value] = fingerprint(value)
        made_of = (
            self._keys[value],
            marshal.dumps(code),
            value.__name__,
            len(closure),
        )
        return _make_function, made_of, state, None, None, _fill_function


def _is_sent_by_name(function: FunctionType) -> bool:
    module = sys.modules.get(function.__module__)
    is_known = function.__module__ in SENT_BY_NAME
    return is_known and getattr(module, function.__qualname__, None) is function


def _module(name: str) -> ModuleType:
    return import_module(name)


@cache
def _make_function(key: str, code: bytes, name: str, n_cells: int) -> FunctionType:
    """Make a function without globals; the same object for the same fingerprint.

    It belongs to no module: Numba would import it.
    """
    cells = tuple(CellType() for _ in range(n_cells))
    return FunctionType(marshal.loads(code), {"__name__": None}, name, None, cells)


def _fill_function(
    function: FunctionType,
    state: tuple[dict[str, object], tuple[object, ...], tuple[object, ...] | None],
) -> None:
    """Set the globals, cells and defaults of a function, which may refer to the function."""
    values, cells, function.__defaults__ = state
    function.__globals__.update(values)
    for cell, value in zip(function.__closure__ or (), cells):
        cell.cell_contents = value
