"""Guards: names and objects that a tape depends on, and that may be rebound.

What a variable, a function, a `functools.partial` or a class holds is a pointer in the object's
memory. The tape compares these pointers by itself, each time that it runs. Python compares names in
namespaces: few, because all functions of a module share them.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping
from functools import partial
from operator import is_
from types import CellType, FunctionType
from typing import TypeAlias

MISSING = object()
Composite: TypeAlias = FunctionType | partial[object] | type
Pointers: TypeAlias = list[tuple[int, object]]  # offsets in an object, and what is there
Words: TypeAlias = list[tuple[int, int]]  # addresses of 64-bit integers, and their values

# Offsets in an object (bytes)
HEADER = object.__basicsize__
CELL_CONTENTS = HEADER
FUNCTION_CODE, FUNCTION_DEFAULTS, FUNCTION_KEYWORDS = HEADER + 32, HEADER + 40, HEADER + 48
PARTIAL_FUNCTION, PARTIAL_ARGUMENTS, PARTIAL_KEYWORDS = HEADER, HEADER + 8, HEADER + 16
CLASS_MRO = HEADER + 328
DICT_SIZE, DICT_VERSION = HEADER, HEADER + 8
HAS_VERSIONS = sys.version_info < (3, 13)  # whether a dictionary's version changes with its items


class Guards:
    """Names, variables, functions and classes, with their values when they were first added.

    Arrays need no guards here: tapes read them in place, and check by themselves that they have
    not moved (`nengo_jit.engines.cpu.python.tracing.tape.Writer.rely_on`).
    """

    def __init__(self) -> None:
        self._names: dict[tuple[int, str], tuple[Callable[..., object], str, object]] = {}
        self._cells: dict[int, tuple[CellType, object]] = {}
        self._objects: dict[int, tuple[Composite, tuple[object, ...]]] = {}
        self._words: dict[int, Words] = {}  # of variables and objects, by their identities
        self._held: list[object] = []  # what the words point to

    def add_name(self, namespace: Mapping[str, object], name: str) -> None:
        """Watch a name in a namespace, even if it is missing there."""
        watched = namespace.get, name, namespace.get(name, MISSING)
        self._names.setdefault((id(namespace), name), watched)

    def add_alike(self, namespace: Mapping[str, object], other: Mapping[str, object]) -> None:
        """Watch the names in another namespace that are watched in one."""
        for at, name in list(self._names):
            if at == id(namespace):
                self.add_name(other, name)

    def add_cell(self, cell: CellType) -> None:
        """Watch a variable that nested functions share."""
        if id(cell) not in self._cells:
            contents = _contents(cell)
            self._add_words(cell, [(CELL_CONTENTS, None if contents is MISSING else contents)])
            self._cells[id(cell)] = cell, contents

    def add_object(self, value: Composite) -> None:
        """Watch the parts of a function, a `functools.partial` or a class."""
        if id(value) not in self._objects:
            self._add_words(value, *_pointers(value))
            self._objects[id(value)] = value, _parts(value)

    def _add_words(
        self, value: object, pointers: Pointers, items: dict[str, object] | None = None
    ) -> None:
        """Add an object's pointers and the items of a dictionary, if memory shows their changes."""
        words = [(id(value) + at, 0 if part is None else id(part)) for at, part in pointers]
        if items is not None:
            if items and not HAS_VERSIONS:
                return
            address = id(items) + (DICT_VERSION if items else DICT_SIZE)
            words.append((address, _word(address)))
        if all(_word(address) == word for address, word in words):
            self._words[id(value)] = words
            self._held += [part for _, part in pointers]

    def update(self, other: Guards) -> None:
        """Add all guards of another one."""
        self._names = {**other._names, **self._names}
        self._cells = {**other._cells, **self._cells}
        self._objects = {**other._objects, **self._objects}
        self._words = {**other._words, **self._words}
        self._held += other._held

    def words(self) -> Words:
        """What can be compared in memory, without Python and without the GIL.

        Each is one aligned integer of an object that the guards keep.
        """
        return [word for words in self._words.values() for word in words]

    def without_words(self) -> Guards:
        """The guards that only Python can compare."""
        rest = Guards()
        rest._names = self._names
        rest._cells = {k: v for k, v in self._cells.items() if k not in self._words}
        rest._objects = {k: v for k, v in self._objects.items() if k not in self._words}
        return rest

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


def _pointers(value: Composite) -> tuple[Pointers, dict[str, object] | None]:
    """The offsets of an object's parts, and the dictionary among them whose items count."""
    if isinstance(value, FunctionType):
        keywords = value.__kwdefaults__
        code, defaults = (FUNCTION_CODE, value.__code__), (FUNCTION_DEFAULTS, value.__defaults__)
        return [code, defaults, (FUNCTION_KEYWORDS, keywords)], keywords
    if isinstance(value, partial):
        called, given = (PARTIAL_FUNCTION, value.func), (PARTIAL_ARGUMENTS, value.args)
        return [called, given, (PARTIAL_KEYWORDS, value.keywords)], value.keywords
    return [(CLASS_MRO, value.__mro__)], None


def _word(address: int) -> int:
    return ctypes.c_ssize_t.from_address(address).value
