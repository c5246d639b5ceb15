"""The state of Python objects that functions of all members refer to: each member has its own.

A function that a node calls is one object for all members. Between members, these change places:

- generators of random numbers, and objects with the methods ``state`` and ``load_state``;
- arrays of at most `LARGEST` bytes, and queues of limited length (`collections.deque`);
- attributes of objects, with the contents of arrays, lists, dictionaries and sets among them;
- variables of enclosing functions or modules that a function assigns to.

All else stays as it is for all members. So lists and dictionaries that a function itself refers to
collect what all members do.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from copy import copy
from functools import partial
from types import CellType, FunctionType
from typing import Any

import numpy as np
from nengo import Network, Simulator
from nengo.base import NengoObject
from nengo.params import FrozenObject

from nengo_jit.engines.base import Engine
from nengo_jit.engines.hidden import assigned_by, lasts
from nengo_jit.engines.state import changeable_objects, restore_object, saved_object
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons

LARGEST = 1 << 20  # bytes of an array; larger ones are data rather than state
LIBRARIES = (sys.stdlib_module_names | {"nengo", "nengo_jit", "numpy", "scipy"}) - {"__main__"}
LIBRARY_CLASSES = (Simulator, Network, FrozenObject, NengoObject)
COLLECTIONS = (deque, list, dict, set, bytearray)

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
        self._found = found

    def __bool__(self) -> bool:
        return bool(self._found)

    def save(self) -> list[Restore]:
        """Return functions that give all objects the state that they have now."""
        seen: set[int] = set()
        return [each for op, value in self._found for each in _saved(op, value, seen)]


def _saved(
    operator: Operator, value: Any, seen: set[int], is_attribute: bool = False
) -> Iterator[Restore]:
    """Functions that restore an object, and what its attributes refer to."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if lasts(value):
        state = saved_object(operator, value)
        yield lambda: restore_object(operator, value, state)
    elif isinstance(value, np.ndarray):
        if value.flags.writeable and value.nbytes <= LARGEST:
            numbers = value.copy()
            yield lambda: np.copyto(value, numbers)
    elif isinstance(value, COLLECTIONS):
        if is_attribute or (isinstance(value, deque) and value.maxlen is not None):
            items = copy(value)
            yield lambda: _refill(value, items)
    elif isinstance(value, FunctionType):
        cells, names = assigned_by(value)
        for cell in cells:
            yield from _saved_cell(operator, cell, seen)
        yield from _saved_names(operator, value.__globals__, names, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and _is_users(value):
        yield from _saved_names(operator, vars(value), list(vars(value)), seen)


def _saved_cell(operator: Operator, cell: CellType, seen: set[int]) -> Iterator[Restore]:
    try:
        content = cell.cell_contents
    except ValueError:  # it is empty
        return
    yield lambda: setattr(cell, "cell_contents", content)
    yield from _saved(operator, content, seen)


def _saved_names(
    operator: Operator, scope: MutableMapping[str, Any], names: list[str], seen: set[int]
) -> Iterator[Restore]:
    for name in names:
        if name in scope:
            content = scope[name]
            yield partial(scope.__setitem__, name, content)
            yield from _saved(operator, content, seen, is_attribute=True)


def _is_users(value: object) -> bool:
    """Whether an object is of a class of the user's."""
    module = str(type(value).__module__).partition(".")[0]
    return module not in LIBRARIES and not isinstance(value, LIBRARY_CLASSES)


def _refill(collection: Any, items: Any) -> None:
    """Give a collection the items of a copy."""
    collection.clear()
    if isinstance(collection, (dict, set)):
        collection.update(items)
    else:
        collection.extend(items)
