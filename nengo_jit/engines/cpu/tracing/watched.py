"""What functions read from outside that may be rebound while they are in use."""

from __future__ import annotations

from collections.abc import Mapping
from types import CellType, FunctionType
from typing import Any

import numpy as np

MISSING = object()


class Watched:
    """Names, variables and functions, with what they were when they were added.

    The numbers in arrays need not be watched: they are read where they are, in every step.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], tuple[Mapping[str, Any], str, Any]] = {}
        self._cells: dict[int, tuple[CellType, Any]] = {}
        self._functions: dict[int, tuple[FunctionType, Any]] = {}
        self._arrays: dict[int, tuple[np.ndarray, Any]] = {}

    def add_name(self, namespace: Mapping[str, Any], name: str) -> None:
        """Watch a name in a namespace, which need not have it."""
        self._names[id(namespace), name] = (namespace, name, namespace.get(name, MISSING))

    def add_cell(self, cell: CellType) -> None:
        """Watch a variable of a function that functions inside of it use."""
        self._cells[id(cell)] = (cell, cell.cell_contents)

    def add_function(self, function: FunctionType) -> None:
        """Watch a function's code and defaults."""
        self._functions[id(function)] = (function, _parts(function))

    def add_array(self, array: np.ndarray) -> None:
        """Watch an array's shape."""
        self._arrays[id(array)] = (array, (array.shape, array.strides))

    def update(self, other: Watched) -> None:
        """Watch all that another one watches, too."""
        self._names.update(other._names)
        self._cells.update(other._cells)
        self._functions.update(other._functions)
        self._arrays.update(other._arrays)

    @property
    def has_names(self) -> bool:
        """bool: whether there is anything that `are_rebound` looks at."""
        return bool(self._names or self._cells)

    def are_rebound(self) -> bool:
        """Whether names or variables are not what they were; quick enough for every step."""
        for namespace, name, value in self._names.values():
            if namespace.get(name, MISSING) is not value:
                return True
        return any(cell.cell_contents is not value for cell, value in self._cells.values())

    def have_changed(self) -> bool:
        """Whether anything is not what it was."""
        return (
            self.are_rebound()
            or any(_parts(function) != parts for function, parts in self._functions.values())
            or any((each.shape, each.strides) != was for each, was in self._arrays.values())
        )


def _parts(function: FunctionType) -> tuple[Any, ...]:
    return id(function.__code__), id(function.__defaults__), id(function.__kwdefaults__)
