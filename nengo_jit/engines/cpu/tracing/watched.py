"""What functions read from outside that may be rebound while they are in use."""

from __future__ import annotations

from collections.abc import Mapping
from types import CellType, FunctionType
from typing import Any

MISSING = object()


class Watched:
    """Names, variables and functions, with what they were when they were added.

    Arrays need not be watched: tapes read them where they are, and see for themselves that they
    are still there (`nengo_jit.engines.cpu.tracing.tape.Writer.rely_on`).
    """

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], tuple[Mapping[str, Any], str, Any]] = {}
        self._cells: dict[int, tuple[CellType, Any]] = {}
        self._functions: dict[int, tuple[FunctionType, Any]] = {}

    def add_name(self, namespace: Mapping[str, Any], name: str) -> None:
        """Watch a name in a namespace, which need not have it."""
        self._names[id(namespace), name] = (namespace, name, namespace.get(name, MISSING))

    def add_cell(self, cell: CellType) -> None:
        """Watch a variable of a function that functions inside of it use."""
        self._cells[id(cell)] = (cell, _contents(cell))

    def add_function(self, function: FunctionType) -> None:
        """Watch a function's code and defaults."""
        self._functions[id(function)] = (function, _parts(function))

    def update(self, other: Watched) -> None:
        """Watch all that another one watches, too."""
        self._names.update(other._names)
        self._cells.update(other._cells)
        self._functions.update(other._functions)

    @property
    def has_names(self) -> bool:
        """bool: whether there is anything that `are_rebound` looks at."""
        return bool(self._names or self._cells)

    def are_rebound(self) -> bool:
        """Whether names or variables are not what they were; quick enough for every step."""
        for namespace, name, value in self._names.values():
            if namespace.get(name, MISSING) is not value:
                return True
        return any(_contents(cell) is not value for cell, value in self._cells.values())

    def have_changed(self) -> bool:
        """Whether anything is not what it was."""
        return self.are_rebound() or any(
            not _are_same(_parts(function), parts) for function, parts in self._functions.values()
        )


def _are_same(parts: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    return len(parts) == len(others) and all(a is b for a, b in zip(parts, others))


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it has been deleted
        return MISSING


def _parts(function: FunctionType) -> tuple[Any, ...]:
    keywords = function.__kwdefaults__ or {}
    return function.__code__, function.__defaults__, *keywords, *keywords.values()
