"""What a sweep is made of, as texts that are the same in every process, to compare sweeps."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import blake2b
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

LONGEST = 100  # letters of a value that is kept as it is


def parts_of(function: Any) -> dict[str, str]:
    """Describe a function: its source, defaults, and the variables and globals that it uses."""
    return dict(_parts(function, ()))


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """Return the first difference between two descriptions; None if there is none."""
    for key in [*new, *old]:
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key, 'absent')}, and is {new.get(key, 'absent')}"
    return None


def text_of(value: Any, around: tuple[int, ...] = ()) -> str:
    """Describe a value; long descriptions are replaced by a digest."""
    text = _text(value, around)
    return text if len(text) <= LONGEST else f"{type(value).__name__} #{digest(text.encode())}"


def digest(content: bytes) -> str:
    """Short digest of some bytes."""
    return blake2b(content, digest_size=8).hexdigest()


def _text(value: Any, around: tuple[int, ...]) -> str:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, range)):
        return repr(value)
    if id(value) in around:
        return "..."
    inside = (*around, id(value))
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = np.ascontiguousarray(value).tobytes()
        return f"array {value.dtype} {value.shape} #{digest(content)}"
    if isinstance(value, Mapping):
        items = [f"{text_of(k, inside)}: {text_of(v, inside)}" for k, v in value.items()]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return f"[{', '.join(text_of(each, inside) for each in value)}]"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(text_of(each, inside) for each in value))}}}"
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, (FunctionType, MethodType, partial)):
        parts = "\n".join(f"{key} {each}" for key, each in _parts(value, inside))
        return f"{getattr(value, '__name__', 'partial')} #{digest(parts.encode())}"
    name = getattr(value, "__qualname__", None)
    if isinstance(value, type) or name is not None:
        source = _source(value) if getattr(value, "__module__", "") == "__main__" else ""
        return f"{value.__module__}.{name} {digest(source.encode()) if source else ''}".strip()
    state = value.__getstate__() if hasattr(value, "__getstate__") else None
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return f"{kind}({text_of(state, inside)})" if state else kind


def _parts(function: Any, around: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    inside = (*around, id(function))
    if isinstance(function, partial):
        yield from _parts(function.func, inside)
        yield "arguments", text_of((function.args, function.keywords), inside)
        return
    if isinstance(function, MethodType):
        yield "object", text_of(function.__self__, inside)
        function = function.__func__
    if not isinstance(function, FunctionType):
        yield "object", text_of(function, around)
        return
    yield "source", digest(_source(function).encode())
    yield "defaults", text_of((function.__defaults__, function.__kwdefaults__), inside)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield f"closure variable '{name}'", text_of(cell.cell_contents, inside)
        except ValueError:
            yield f"closure variable '{name}'", "unset"
    for name in sorted(set(_names(function.__code__)) & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            continue
        is_foreign = getattr(value, "__module__", None) not in (None, function.__module__)
        described = getattr(value, "__qualname__", "") if is_foreign else ""
        yield f"global variable '{name}'", described or text_of(value, inside)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _source(value: Any) -> str:
    """Syntax of a function or class, without comments; of a lambda, its bytecode."""
    if getattr(value, "__name__", "") != "<lambda>":
        try:
            return ast.dump(ast.parse(textwrap.dedent(inspect.getsource(value))))
        except (OSError, TypeError, SyntaxError):
            pass
    return _bytecode(value.__code__) if isinstance(value, FunctionType) else repr(value)


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    text = f"{code.co_code!r} {constants} {code.co_names} {code.co_varnames}"
    return re.sub(r" at 0x[0-9a-f]+", "", text)
