"""The state of Python objects that functions of all members refer to: each member has its own.

A function that a node calls is one object for all members. Between members, these change places:

- generators of random numbers, and objects with the methods ``state`` and ``load_state``;
- arrays of at most `LARGEST` bytes, and queues of limited length (`collections.deque`);
- attributes of objects and functions, and all that these contain;
- variables of enclosing functions or modules that a function assigns to.

All else stays as it is for all members. So lists and dictionaries that a function itself refers to
collect what all members do. Objects and arrays that they contain from the start change places.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import partial
from random import Random
from types import CellType, FunctionType, MemberDescriptorType, SimpleNamespace
from typing import Any

import numpy as np
from nengo import Network, Simulator
from nengo.base import NengoObject
from nengo.params import FrozenObject

from nengo_jit.engines.base import Engine
from nengo_jit.engines.hidden import IMMUTABLE, assigned_by, changeable, lasts
from nengo_jit.engines.state import changeable_objects, restore_object, saved_object
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons

LARGEST = 1 << 20  # bytes of an array; larger ones are data rather than state
LIBRARIES = (sys.stdlib_module_names | {"nengo", "nengo_jit", "numpy", "scipy"}) - {"__main__"}
LIBRARY_CLASSES = (Simulator, Network, FrozenObject, NengoObject)
COLLECTIONS = (deque, list, dict, set, bytearray)
ATOMS = {*IMMUTABLE, np.float64}

Restore = Callable[[], object]


def objects_of(engine: Engine) -> Objects:
    """Return the objects that the steps of an engine refer to, after a reset."""
    found = changeable_objects(engine)
    if engine.takes_turns:  # nothing draws from it in steps
        found = [each for each in found if each[1] is not engine.drawn_from]
        if engine.is_thread_safe:  # no function changes anything
            found = [each for each in found if isinstance(each[0], SimNeurons)]
    return Objects(found)


class Objects:
    """Objects with a state of their own that steps refer to.

    Parameters
    ----------
    found : sequence of (Operator, object)
        The objects, each with an operator that refers to it.
    """

    def __init__(self, found: Sequence[tuple[Operator, object]]):
        self._found = [*found, *_contained(found)]

    def __bool__(self) -> bool:
        return bool(self._found)

    def save(self) -> list[Restore]:
        """Return functions that give all objects the state that they have now."""
        left = [(*each, False) for each in reversed(self._found)]
        restores: list[Restore] = []
        seen: set[int] = set()
        while left:
            operator, value, is_owned = left.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            found, parts = _saved(operator, value, is_owned)
            restores += found
            for part in parts:
                is_owned = not callable(part)  # a function may refer to lists that collect
                left += [(operator, each, is_owned) for each in changeable(part)]
        return restores


def _contained(found: Iterable[tuple[Operator, object]]) -> Iterator[tuple[Operator, object]]:
    """Objects in collections that functions refer to, and in collections in these."""
    left, seen = list(found), set()
    while left:
        operator, value = left.pop()
        if id(value) not in seen and isinstance(value, COLLECTIONS):
            seen.add(id(value))
            inner = [(operator, each) for item in _items(value) for each in changeable(item)]
            yield from inner
            left += inner


def _saved(operator: Operator, value: Any, is_owned: bool) -> tuple[list[Restore], list[object]]:
    """Return functions that restore an object, and what it refers to.

    Lists, dictionaries and sets are restored if something that is restored owns them.
    """
    if lasts(value):
        return [partial(restore_object, operator, value, saved_object(operator, value))], []
    if isinstance(value, Random):
        return [partial(value.setstate, value.getstate())], []
    if isinstance(value, np.ndarray):
        changes = value.flags.writeable and value.nbytes <= LARGEST
        return [partial(np.copyto, value, value.copy())] if changes else [], []
    restores: list[Restore] = []
    parts: list[object] = []
    if isinstance(value, COLLECTIONS):
        if is_owned or (isinstance(value, deque) and value.maxlen is not None):
            restores.append(partial(_refill, value, copy(value)))
            parts += _items(value)
    elif isinstance(value, FunctionType):
        cells, names = assigned_by(value)
        for cell in cells:
            restores.append(_saved_cell(cell, parts))
        for name in names:
            restores.append(_saved_name(value.__globals__, name, parts))
        restores.append(_saved_scope(vars(value), parts))
    elif _is_users(value):
        restores += [_saved_slot(each, value, parts) for each in _slots(type(value))]
        if hasattr(value, "__dict__"):
            restores.append(_saved_scope(vars(value), parts))
    return restores, parts


def _saved_cell(cell: CellType, parts: list[object]) -> Restore:
    try:
        content = cell.cell_contents
    except ValueError:  # it is empty
        return partial(delattr, cell, "cell_contents")
    parts.append(content)
    return partial(setattr, cell, "cell_contents", content)


def _saved_name(scope: dict[str, Any], name: str, parts: list[object]) -> Restore:
    if name not in scope:
        return partial(scope.pop, name, None)
    parts.append(scope[name])
    return partial(scope.__setitem__, name, scope[name])


def _saved_scope(scope: dict[str, Any], parts: list[object]) -> Restore:
    """Return a function that restores all attributes."""
    parts += _items(scope)
    items = dict(scope)

    def restore() -> None:
        scope.update(items)
        for name in scope.keys() - items.keys():  # which another member has set
            del scope[name]

    return restore


def _saved_slot(slot: MemberDescriptorType, owner: object, parts: list[object]) -> Restore:
    try:
        content = slot.__get__(owner)
    except AttributeError:  # it is not set

        def clear() -> None:
            slot.__set__(owner, None)
            slot.__delete__(owner)

        return clear
    parts.append(content)
    return partial(slot.__set__, owner, content)


def _slots(kind: type) -> Iterator[MemberDescriptorType]:
    for each in kind.__mro__:
        if "__slots__" in vars(each):
            yield from (slot for slot in vars(each).values() if type(slot) is MemberDescriptorType)


def _items(collection: Any) -> list[object]:
    """The items of a collection, or the values of a dictionary; none if nothing can change them."""
    items = list(collection.values() if isinstance(collection, dict) else collection)
    return [] if ATOMS.issuperset(map(type, items)) else items


def _is_users(value: object) -> bool:
    """Whether an object is of a class of the user's, or has only attributes of the user's."""
    module = str(type(value).__module__).partition(".")[0]
    is_library = module in LIBRARIES or isinstance(value, LIBRARY_CLASSES)
    return isinstance(value, SimpleNamespace) or not is_library


def _refill(collection: Any, items: Any) -> None:
    """Give a collection the items of a copy."""
    collection.clear()
    if isinstance(collection, (dict, set)):
        collection.update(items)
    else:
        collection.extend(items)
