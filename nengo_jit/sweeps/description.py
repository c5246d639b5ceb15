"""Describe functions and values by texts that are the same in every process, to compare sweeps.

A function is described by its bytecode, so that comments and the place of its file do not matter,
and by what it refers to: defaults, closure variables, and globals. Of modules that are the user's
own, what a function uses is described in the same way; installed packages count by their names.
"""

from __future__ import annotations

import copyreg
import dis
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import nengo
import numpy as np
from nengo.params import FrozenObject

LONGEST = 100  # letters of a description; others are replaced by a digest
ATOMS = (type(None), type(...), bool, int, float, complex, str, bytes, range)
PACKAGES = {"site-packages", "dist-packages"}  # folders of installed packages
CACHED = "_FrozenObject__argreprs"
INSTALLED = [
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")),
    Path(nengo.__file__).resolve().parent,
    Path(__file__).resolve().parents[1],
]


def parts_of(function: Any) -> dict[str, str]:
    """Describe a function: its code, and everything that it refers to, by name."""
    return {name: Describer().text(value) for name, value in _parts(function)}


def text_of(value: Any) -> str:
    """Describe a value."""
    return Describer().text(value)


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> str | None:
    """Return the first difference between two descriptions; None if there is none."""
    for key in [*new, *old]:
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key, 'absent')}, and is {new.get(key, 'absent')}"
    return None


def is_users(module: str | None) -> bool:
    """Whether a module is neither installed nor built in, such as one that is not imported."""
    if module == "__main__" or module not in sys.modules:
        return True
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return False
    path = Path(file).resolve()
    is_installed = any(path.is_relative_to(folder) for folder in INSTALLED)
    return not is_installed and PACKAGES.isdisjoint(path.parts)


class Describer:
    """Describes values. An object that comes again is replaced by its number, as in a pickle."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Any]] = {}

    def text(self, value: Any) -> str:
        """Describe a value; long descriptions are replaced by a digest."""
        text = self._text(value)
        return text if len(text) <= LONGEST else f"{type(value).__name__} #{digest(text.encode())}"

    def _text(self, value: Any) -> str:
        if isinstance(value, np.generic):
            value = value.item()
        if type(value) in ATOMS:
            return repr(value)
        if isinstance(value, (set, frozenset)):  # in any order
            return f"{{{', '.join(sorted(map(text_of, value)))}}}"
        if id(value) in self._known:
            return f"object {self._known[id(value)][0]}"
        self._known[id(value)] = len(self._known), value
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            content = np.ascontiguousarray(value).tobytes()
            return f"array {value.dtype} {value.shape} #{digest(content)}"
        if type(value) is dict:
            return f"{{{', '.join(f'{self.text(k)}: {self.text(v)}' for k, v in value.items())}}}"
        if type(value) in (list, tuple):
            return f"[{', '.join(map(self.text, value))}]"
        if isinstance(value, ModuleType):
            return f"module {value.__name__}"
        if isinstance(value, CodeType):
            return self._code(value)
        name = getattr(value, "__qualname__", None)
        if isinstance(value, (FunctionType, MethodType, partial)) or (
            isinstance(value, type) and is_users(value.__module__)
        ):
            if name is not None and not is_users(value.__module__):
                return f"{value.__module__}.{name}"
            parts = [f"{key} {self.text(each)}" for key, each in _parts(value)]
            return f"{name or 'partial'} #{digest(chr(10).join(parts).encode())}"
        if isinstance(value, (type, BuiltinFunctionType)):
            return f"{value.__module__}.{name}"
        return self._object(value)

    def _object(self, value: Any) -> str:
        """Describe an object by its class, and by what it would be copied from."""
        if isinstance(getattr(value, "__wrapped__", None), FunctionType):  # such as `lru_cache`
            return self.text(value.__wrapped__)
        try:
            reduce = copyreg.dispatch_table.get(type(value))
            reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception:  # such as those of locks and files
            return self.text(type(value))
        if isinstance(reduced, str):
            return f"{type(value).__name__} {reduced}"
        make, arguments, *rest = reduced
        contents = [list(each) if isinstance(each, Iterator) else each for each in rest if each]
        if isinstance(value, FrozenObject):  # which keeps its description once it has been shown
            contents = [{**each, CACHED: None} for each in contents if isinstance(each, dict)]
        is_usual = getattr(make, "__name__", "") == "__newobj__"  # called with the class
        contents += arguments[1:] if is_usual else [make, *arguments]
        return f"{self.text(type(value))}({', '.join(map(self.text, contents))})"

    def _code(self, code: CodeType) -> str:
        rest = [code.co_consts, code.co_names, code.co_varnames, code.co_freevars]
        return f"#{digest(code.co_code + self.text(rest).encode())}"


def digest(content: bytes) -> str:
    """Short digest of some bytes."""
    return blake2b(content, digest_size=8).hexdigest()


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function, a method, a partial function or a class consists of, by name."""
    if isinstance(value, partial):
        yield from _parts(value.func)
        yield "arguments", [value.args, value.keywords]
    elif isinstance(value, MethodType):
        yield "object", value.__self__
        yield from _parts(value.__func__)
    elif isinstance(value, type):
        yield "bases", [*value.__bases__]
        for name, each in sorted(vars(value).items()):
            inner = getattr(each, "__func__", each)
            if isinstance(each, property):
                yield f"property '{name}'", [each.fget, each.fset]
            elif isinstance(inner, (FunctionType, *ATOMS)) and name != "__doc__":
                yield f"attribute '{name}'", inner
    elif isinstance(value, FunctionType):
        yield "code", value.__code__
        yield "defaults", [value.__defaults__, value.__kwdefaults__]
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or ()):
            try:
                yield f"closure variable '{name}'", cell.cell_contents
            except ValueError:  # not assigned yet
                yield f"closure variable '{name}'", None
        yield from _globals(value)
    else:
        yield "object", value


def _globals(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Global variables that a function uses, and what it uses of modules of the user's."""
    names, attributes = set[str](), set[str]()
    for code in _codes_in(function.__code__):
        for each in dis.get_instructions(code):
            if "GLOBAL" in each.opname or "NAME" in each.opname:
                names.add(each.argval)
        attributes.update(code.co_names)
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        yield f"global variable '{name}'", value
        if isinstance(value, ModuleType) and is_users(value.__name__):
            for used in sorted(attributes & vars(value).keys()):
                yield f"'{name}.{used}'", vars(value)[used]


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes_in(each)
