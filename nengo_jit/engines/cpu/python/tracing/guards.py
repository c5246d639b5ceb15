"""Guards: names and objects that a tape depends on, and that may be rebound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import is_
from types import CellType, FunctionType
from typing import TypeAlias

MISSING = object()
Composite: TypeAlias = FunctionType | partial[object] | type


class Guards:
    """Names, variables, functions and classes, with their values when they were first added.

    Arrays need no guards here: tapes read them in place, and check by themselves that they have
    not moved (`nengo_jit.engines.cpu.python.tracing.tape.Writer.rely_on`).
    """

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], tuple[Callable[..., object], str, object]] = {}
        self._cells: dict[int, tuple[CellType, object]] = {}
        self._objects: dict[int, tuple[Composite, tuple[object, ...]]] = {}

    def add_name(self, namespace: Mapping[str, object], name: str) -> None:
        """Watch a name in a namespace, even if it is missing there."""
        watched = namespace.get, name, namespace.get(name, MISSING)
        self._names.setdefault((id(namespace), name), watched)

    def add_cell(self, cell: CellType) -> None:
        """Watch a variable that nested functions share."""
        self._cells.setdefault(id(cell), (cell, _contents(cell)))

    def add_object(self, value: Composite) -> None:
        """Watch the parts of a function, a `functools.partial` or a class."""
        self._objects.setdefault(id(value), (value, _parts(value)))

    def update(self, other: Guards) -> None:
        """Add all guards of another one."""
        self._names = {**other._names, **self._names}
        self._cells = {**other._cells, **self._cells}
        self._objects = {**other._objects, **self._objects}

    def __bool__(self) -> bool:
        return bool(self._names or self._cells or self._objects)

    def have_changed(self) -> bool:
        """Whether anything has been rebound. This is quick enough for every step."""
        for get, name, value in self._names.values():
            if get(name, MISSING) is not value:
                return True
        for cell, value in self._cells.values():
            if _contents(cell) is not value:
                return True
        for each, parts in self._objects.values():
            now = _parts(each)
            if len(now) != len(parts) or not all(map(is_, now, parts)):
                return True
        return False


def _contents(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it has been deleted
        return MISSING


def _parts(value: Composite) -> tuple[object, ...]:
    if isinstance(value, FunctionType):
        keywords = value.__kwdefaults__ or {}
        return value.__code__, value.__defaults__, *keywords, *keywords.values()
    if isinstance(value, partial):
        return value.func, *value.args, *value.keywords, *value.keywords.values()
    return value.__mro__
