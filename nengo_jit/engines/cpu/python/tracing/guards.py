"""What functions read from outside that may be rebound while they are in use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import is_
from types import CellType, FunctionType
from typing import Any

MISSING = object()


class Guards:
    """Names, variables, functions and classes, with what they were when they were added first.

    Arrays need not be watched: tapes read them where they are, and see for themselves that they
    are still there (`nengo_jit.engines.cpu.python.tracing.tape.Writer.rely_on`).
    """

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], tuple[Callable[..., Any], str, Any]] = {}
        self._cells: dict[int, tuple[CellType, Any]] = {}
        self._objects: dict[int, tuple[Any, tuple[Any, ...]]] = {}

    def add_name(self, namespace: Mapping[str, Any], name: str) -> None:
        """Watch a name in a namespace, which need not have it."""
        watched = namespace.get, name, namespace.get(name, MISSING)
        self._names.setdefault((id(namespace), name), watched)

    def add_cell(self, cell: CellType) -> None:
        """Watch a variable of a function that functions inside of it use."""
        self._cells.setdefault(id(cell), (cell, _contents(cell)))

    def add_object(self, value: Any) -> None:
        """Watch the parts of a function, a `functools.partial` or a class."""
        self._objects.setdefault(id(value), (value, _parts(value)))

    def update(self, other: Guards) -> None:
        """Watch all that another one watches, too."""
        self._names = {**other._names, **self._names}
        self._cells = {**other._cells, **self._cells}
        self._objects = {**other._objects, **self._objects}

    def __bool__(self) -> bool:
        return bool(self._names or self._cells or self._objects)

    def have_changed(self) -> bool:
        """Whether anything is not what it was; quick enough for every step."""
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


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it has been deleted
        return MISSING


def _parts(value: Any) -> tuple[Any, ...]:
    if isinstance(value, FunctionType):
        keywords = value.__kwdefaults__ or {}
        return value.__code__, value.__defaults__, *keywords, *keywords.values()
    if isinstance(value, partial):
        return value.func, *value.args, *value.keywords, *value.keywords.values()
    return value.__mro__
