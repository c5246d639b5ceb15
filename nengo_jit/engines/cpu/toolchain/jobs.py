"""Kernels to be compiled, on their way to another process.

A function travels with all that it refers to. What the fingerprint of a kernel can be told of
(`fingerprint.py`) can travel, too: numbers, strings, tuples, arrays, modules, types, built-in
functions, and functions. What kernels are written with is found by name in the other process, where
the compiler knows it. All other functions are sent as bytecode: it does not matter where they were
defined, and the other process need not import what the kernels' modules do. A function that several
kernels refer to is one function there, too, and compiled once.
"""

from __future__ import annotations

import io
import marshal
import pickle
import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import CellType, FunctionType, ModuleType
from typing import IO, Any

import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.toolchain.fingerprint import fingerprint, referred

KNOWN = (primitives.__name__, vocabulary.__name__)  # modules of what kernels are written with
AWAITED, LIKELY, LATER = range(3)  # turns
PATIENCE = 2.0  # seconds without anything to do after which a process that compiles ends
LONGEST = 20.0  # seconds of no progress after which who should make some is taken for stopped
LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Job:
    """A kernel to be compiled.

    Attributes
    ----------
    name : str
        What its machine code is filed under.
    work : int
        About how long it takes, compared with others.
    content : bytes
        What `KernelSource` the kernel is, pickled.
    turn : int
        When it is done: `AWAITED` if somebody waits for it, `LIKELY` if somebody will, or `LATER`.
    """

    name: str
    work: int
    content: bytes
    turn: int = AWAITED


@dataclass(frozen=True)
class KernelSource:
    """What the compiler is asked for; for the attributes see `compiler.compile_kernel`.

    Attributes
    ----------
    helpers, formulas : dict
        Those that the function calls, as in `primitives.HELPERS` and `primitives.FORMULAS`.
    """

    function: Callable[..., Any]
    signature: primitives.Signature
    dtype: Any
    fastmath: tuple[str, ...]
    helpers: dict[Any, Any]
    formulas: dict[Any, Any]

    def announce(self) -> None:
        """Let the compiler in this process know helpers and formulas."""
        primitives.HELPERS.update(self.helpers)
        primitives.FORMULAS.update(self.formulas)


def job_for(
    name: str,
    function: Callable[..., Any],
    signature: primitives.Signature,
    dtype: Any,
    fastmath: tuple[str, ...],
    turn: int = AWAITED,
    keys: dict[Any, str] | None = None,
) -> Job:
    """A kernel, ready to be sent.

    Parameters
    ----------
    name, turn
        See `Job`.
    function, signature, dtype, fastmath
        See `nengo_jit.engines.cpu.toolchain.compiler.compile_kernel`.
    keys : dict of (function, str), optional
        Fingerprints of functions, which kernels share; those that are missing are added.
    """
    functions = called(function)
    helpers, formulas = (
        {each: known[each] for each in functions if each in known}
        for known in (primitives.HELPERS, primitives.FORMULAS)
    )
    file = io.BytesIO()
    _Pickler(file, functions, {} if keys is None else keys).dump(
        KernelSource(function, signature, dtype, fastmath, helpers, formulas)
    )
    work = sum(len(each.__code__.co_code) for each in functions)
    return Job(name, work, file.getvalue(), turn)


def source_of(job: Job) -> KernelSource:
    """The task that a job is made of."""
    task: KernelSource = pickle.loads(job.content)
    return task


def send(file: IO[bytes], message: Any) -> None:
    """Send a message through a pipe."""
    content = pickle.dumps(message)
    file.write(LENGTH.pack(len(content)) + content)
    file.flush()


def receive(file: IO[bytes]) -> Any:
    """The next message from a pipe; EOFError when the other end has been closed."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    content = file.read(LENGTH.unpack(head)[0])
    return pickle.loads(content)


def called(function: Any) -> dict[FunctionType, None]:
    """A function and all that it refers to, directly or not, always in the same order."""
    found: dict[FunctionType, None] = {}
    waiting = [function]
    while waiting:
        each = waiting.pop()
        if isinstance(each, FunctionType) and each not in found:
            found[each] = None
            waiting += referred(each).values()
    return found


class _Pickler(pickle.Pickler):
    def __init__(self, file: IO[bytes], functions: Iterable[FunctionType], keys: dict[Any, str]):
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._keys = keys
        self._functions = {each for each in functions if not _is_found_by_name(each)}

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


def _is_found_by_name(function: FunctionType) -> bool:
    module = sys.modules.get(function.__module__)
    is_known = function.__module__ in KNOWN
    return is_known and getattr(module, function.__qualname__, None) is function


def _module(name: str) -> ModuleType:
    return import_module(name)


@cache
def _make_function(key: str, code: bytes, name: str, n_cells: int) -> FunctionType:
    """A function, the same one for the same fingerprint, to be filled.

    It is of no module: Numba would import that.
    """
    cells = tuple(CellType() for _ in range(n_cells))
    return FunctionType(marshal.loads(code), {"__name__": None}, name, None, cells)


def _fill_function(function: FunctionType, state: Any) -> None:
    """Give a function what it refers to, which may be itself."""
    values, cells, function.__defaults__ = state
    function.__globals__.update(values)
    for cell, value in zip(function.__closure__ or (), cells):
        cell.cell_contents = value
