"""Fingerprint of a function: a digest of what it does, the same in every process.

It depends on the function's bytecode and on each constant, function and module that the function
refers to, including the constants of modules that it uses. It does not depend on the function's
name, nor on the module that defines it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from enum import EnumType
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

import numpy as np

CONSTANT = (int, float, complex, str, bytes, tuple, np.ndarray, np.generic, EnumType)


def fingerprint(function: Callable[..., object], *more: object) -> str:
    """Hexadecimal digest of a function, and of other values.

    Parameters
    ----------
    function : function
        Its globals and closure may be numbers, strings, tuples, arrays, modules, types,
        enumerations, built-in functions, and functions of the same kind.
    *more
        Values of the same kinds.

    Raises
    ------
    TypeError
        If the function refers to anything else.
    """
    parts = _parts((function, *more), {})
    return hashlib.sha256(_joined(parts) + b"\0").hexdigest()[:32]


def _joined(parts: Iterable[str | bytes]) -> bytes:
    """Join parts, with a zero byte between them."""
    return b"\0".join([part.encode() if isinstance(part, str) else part for part in parts])


def referred(function: FunctionType) -> dict[str, object]:
    """Values that a function refers to, by name, from its globals and its closure."""
    names = [name for name in _names(function) if name in function.__globals__]
    found: dict[str, object] = {name: function.__globals__[name] for name in names}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        found[name] = cell.cell_contents
    return found


def _names(function: FunctionType) -> list[str]:
    """Names of globals and attributes in a function's code."""
    names: list[str] = []
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        names += code.co_names
    return names


def _constants(module: ModuleType, names: list[str]) -> Iterator[tuple[str, object]]:
    """Constants of a module that a function may use, which become part of its machine code."""
    for name in sorted({*names} & vars(module).keys()):
        value = vars(module)[name]
        if isinstance(value, CONSTANT):
            yield name, value


def _parts(value: object, seen: dict[int, int]) -> Iterator[str | bytes]:
    yield type(value).__name__
    if isinstance(value, FunctionType):
        if id(value) in seen:  # recursion, or one helper that is called by several others
            yield str(seen[id(value)])
            return
        seen[id(value)] = len(seen)
        yield from _parts(value.__code__, seen)
        yield from _parts(value.__defaults__, seen)
        for name, each in sorted(referred(value).items()):
            yield name
            yield from _parts(each, seen)
            if isinstance(each, ModuleType):
                for constant in _constants(each, _names(value)):
                    yield from _parts(constant, seen)
    elif isinstance(value, CodeType):
        yield _of_code(value)
    elif isinstance(value, tuple):
        yield str(len(value))
        for each in value:
            yield from _parts(each, seen)
    elif isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        yield f"{value.dtype.str} {value.shape}"
        yield value.tobytes()
    elif isinstance(value, (int, float, complex, str, bytes, type(None), type(...), np.dtype)):
        yield repr(value)
    elif isinstance(value, ModuleType):
        yield value.__name__
    elif isinstance(value, EnumType):
        yield _of_enum(value)
    elif isinstance(value, (type, BuiltinFunctionType)):
        yield f"{value.__module__}.{value.__qualname__}"
    elif isinstance(value, np.ufunc):
        yield value.__name__
    else:
        raise TypeError(
            f"{value!r} has no fingerprint: it is no constant, function, module or type"
        )


@cache  # many kernels call the same functions
def _of_code(code: CodeType) -> bytes:
    """Return the parts of a code object, which refers to constants only."""
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    head = repr((code.co_argcount, code.co_kwonlyargcount, code.co_flags, *names))
    parts: list[str | bytes] = [code.co_code, head]
    for constant in code.co_consts:
        parts += _parts(constant, {})
    return _joined(parts)


@cache
def _of_enum(enumeration: EnumType) -> bytes:
    """Return the parts of an enumeration: the names and values of its members."""
    parts: list[str | bytes] = []
    members: list[str] = [*enumeration.__members__]
    for member in members:
        parts.append(member)
        parts += _parts(enumeration[member].value, {})
    return _joined(parts)
