"""The state of Python objects that functions of all members refer to: each member has its own.

A function that a node calls is one object for all members. Between members, these change places:

- generators of random numbers, and objects with the methods ``state`` and ``load_state``;
- arrays of at most `LARGEST` bytes;
- lists, dictionaries, sets and queues, with all that they contain;
- attributes of objects and functions, and of the user's classes, and all that these contain;
- variables of enclosing functions or modules that a function assigns to.

Lists and the like with which functions do nothing but to add to them collect what all members do.
So do those that have more than `MOST_ITEMS` from the start, which are data rather than state.
Objects and arrays in them change places. Python's generators and iterators cannot be copied.
"""

from __future__ import annotations

import warnings
from collections import ChainMap, UserDict, UserList
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from io import IOBase
from itertools import chain
from random import Random
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from nengo import Network, Simulator
from nengo.base import NengoObject
from nengo.params import FrozenObject

from nengo_jit.engines.base import Engine
from nengo_jit.engines.batch import contents
from nengo_jit.engines.batch.contents import ATOMS, SEQUENCES, Change, Content
from nengo_jit.engines.hidden import (
    IMMUTABLE,
    STATELESS,
    bound_in,
    functions_of,
    lasts,
    may_change,
)
from nengo_jit.engines.references import (
    ADDING,
    LIBRARIES,
    cells_assigned_by,
    is_installed,
    only_added_to,
    referred,
    scopes_assigned_by,
)
from nengo_jit.engines.state import objects_in_steps
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons

LARGEST = 1 << 20  # bytes of an array; larger ones are data rather than state
MOST_ITEMS = LARGEST // 8
LIBRARY_CLASSES = (Simulator, Network, FrozenObject, NengoObject)
WITH_ATTRIBUTES = (SimpleNamespace, UserDict, UserList, ChainMap)
COLLECTIONS = (*SEQUENCES, dict, set)


class Place(NamedTuple):
    """Where an object is: in the content of another one, or known by itself.

    Attributes
    ----------
    holder : Place or None
        The place of the object that contains it; None if it is known by itself.
    kind : type of Content or None
        The kind of content that it is part of.
    key : object
        Where it is in that.
    value : object
        The object, if it is known by itself.
    """

    holder: Place | None
    kind: type[Content] | None
    key: object
    value: object

    def find(self) -> object:
        """Return the object that is there now; raises any error if there is none."""
        if self.holder is None or self.kind is None:
            return self.value
        return self.kind.part(self.holder.find(), self.key)


class Saved(NamedTuple):
    """The state of an object, and where the object is."""

    content: Content
    place: Place


Located = tuple[Place, Change]  # a change, and where it is
States = Mapping[tuple[int, type], Saved]  # by address of the object, and kind of content


def restore(states: States) -> None:
    """Give all objects the states that they had."""
    for content, _ in states.values():
        content.restore()


class Reference(NamedTuple):
    """An object that something refers to.

    Attributes
    ----------
    value : object
        The object.
    is_owned : bool
        Whether it is each member's own if it is a collection.
    place : Place
        Where it is.
    """

    value: Any
    is_owned: bool
    place: Place


class Kind:
    """What is known of the objects of a class.

    Attributes
    ----------
    is_users : bool
        Whether the class is the user's, or its objects have only attributes of the user's.
    has_slots : bool
        Whether attributes are in slots of a class of the user's.
    is_iterator : bool
        Whether objects cannot be copied, since they are iterators of a library.
    """

    def __init__(self, cls: type):
        is_fixed = issubclass(cls, (*IMMUTABLE, *STATELESS, *LIBRARY_CLASSES, FunctionType))
        is_library = str(cls.__module__).partition(".")[0] in LIBRARIES
        self.is_users = not (is_fixed or is_library) or issubclass(cls, WITH_ATTRIBUTES)
        self.has_slots = self.is_users and next(contents.slots_of(cls), None) is not None
        self.is_iterator = issubclass(cls, Iterator) and not self.is_users


class Objects:
    """Objects with a state of their own that steps refer to.

    Parameters
    ----------
    found : sequence of (Operator, object)
        Objects that steps use directly, each with the operator.
    skipped : iterable of object
        Objects that members do not share, or that are the memory of signals.
    """

    def __init__(self, found: Sequence[tuple[Operator, object]], skipped: Iterable[object] = ()):
        self._found, self._skipped = found, list(skipped)
        self._owned: set[int] = set()  # collections, by their addresses
        self._code: dict[int, tuple[object, bool]] = {}  # functions and classes, see `_matters`
        self._kinds: dict[type, Kind] = {}
        self.iterators: dict[int, tuple[Operator, object]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def save(self) -> States:
        """Return the states that all objects have now."""
        if not self._found:
            return {}
        states: dict[tuple[int, type], Saved] = {}
        seen = {(id(each), is_owned) for each in self._skipped for is_owned in (True, False)}
        left = [(operator, known(value)) for operator, value in reversed(self._found)]
        while left:
            operator, (value, is_owned, place) = left.pop()
            is_owned = is_owned or (id(value), True) in seen
            if (id(value), is_owned) in seen or not self._matters(value):
                continue
            seen.add((id(value), is_owned))
            kind = self._kind_of(type(value))
            if kind.is_iterator and not _is_output(value):
                self.iterators.setdefault(id(value), (operator, value))
            if not lasts(value):
                left += [(operator, each) for each in self._referred(value, is_owned)]
            for content in _contents(operator, value, is_owned, kind):
                states[id(value), type(content)] = Saved(content, place)
                for key, part in content.parts():
                    where = Place(place, type(content), key, None)
                    left.append((operator, Reference(part, True, where)))
        return states

    def _matters(self, value: object) -> bool:
        """Whether an object is none of the many that never change."""
        if not isinstance(value, (FunctionType, type)):
            return type(value) not in ATOMS
        known = self._code.get(id(value))
        if known is None:
            known = self._code[id(value)] = (value, may_change(value))
        return known[1]

    def _kind_of(self, cls: type) -> Kind:
        kind = self._kinds.get(cls)
        if kind is None:
            kind = self._kinds[cls] = Kind(cls)
        return kind

    def _referred(self, value: Any, is_owned: bool) -> Iterator[Reference]:
        """Return what an object refers to, besides the content that is saved."""
        if isinstance(value, (tuple, frozenset)):
            yield from (known(each, is_owned) for each in value)
        elif isinstance(value, COLLECTIONS):
            if is_owned:
                self._owned.add(id(value))
            else:
                items = value.values() if isinstance(value, dict) else value
                yield from (known(each, False) for each in items)
        elif isinstance(value, (partial, MethodType)):
            yield from map(known, bound_in(value))
        elif isinstance(value, BuiltinFunctionType):  # perhaps bound to an object
            if value.__self__ is not None and not isinstance(value.__self__, ModuleType):
                yield known(value.__self__, value.__name__ not in ADDING)
        elif isinstance(value, FunctionType):
            added, is_library = only_added_to(value), is_installed(value.__module__)
            for name, each in referred(value):
                is_data = isinstance(each, COLLECTIONS) and self._is_data(each)
                yield known(each, not (name in added or is_library or is_data))
        elif isinstance(value, type):
            yield from map(known, chain(functions_of(value), value.__bases__))
        yield known(type(value))

    def _is_data(self, collection: Any) -> bool:
        return len(collection) > MOST_ITEMS and id(collection) not in self._owned

    def changes(self, left: States) -> list[Located]:
        """Return how objects differ from the states in which they were left, and where they are."""
        changes = []
        for key, (content, place) in self.save().items():
            change = left[key].content.change_to(content) if key in left else None
            if change is not None:
                changes.append((place, change))
        return changes

    def changed(self, states: States, changes: Iterable[Located]) -> States:
        """Return the states of another member with changes, where it has such objects, too."""
        restore(states)
        for place, change in changes:
            try:
                target = place.find()
            except Exception:  # this member has no such object
                continue
            change(target)
        return self.save()

    def warn(self) -> None:
        """Warn of iterators, which members will share."""
        for operator, value in self.iterators.values():
            warnings.warn(
                f"{operator} uses {value!r}. It cannot be copied, so all members of the batch take "
                "items from the same one, and each gets only some. Use a list and a variable that "
                "counts, or an object with the methods state() and load_state(state).",
                stacklevel=2,
            )


def objects_of(engine: Engine) -> Objects:
    """Return the objects that the steps of an engine refer to, after a reset."""
    found, memory = objects_in_steps(engine)
    if not engine.takes_turns:
        return Objects(found, memory)
    if engine.is_thread_safe:  # no function changes anything
        found = [each for each in found if isinstance(each[0], SimNeurons)]
    return Objects(found, [*memory, engine.drawn_from])  # nothing draws from it in steps


def known(value: object, is_owned: bool = True) -> Reference:
    """Return a reference to an object that is known by itself."""
    return Reference(value, is_owned, Place(None, None, None, value))


def _contents(operator: Operator, value: Any, is_owned: bool, kind: Kind) -> list[Content]:
    """Return what an object contains, as far as members do not share it."""
    if lasts(value) or isinstance(value, Random):
        return [contents.State(value, operator)]
    if isinstance(value, np.ndarray):
        changes = value.flags.writeable and value.nbytes <= LARGEST
        return [contents.Numbers(value)] if changes else []
    if isinstance(value, type):
        return [contents.OfClass(value)]
    if isinstance(value, FunctionType):
        assigns = cells_assigned_by(value) or scopes_assigned_by(value)
        return [contents.Attributes(value), *([contents.Variables(value)] if assigns else [])]
    found: list[Content] = []
    if is_owned and isinstance(value, SEQUENCES):
        found.append(contents.Sequence(value))
    elif is_owned and isinstance(value, dict):
        found.append(contents.Entries(value))
    elif is_owned and isinstance(value, set):
        found.append(contents.Members(value))
    if kind.has_slots:
        found.append(contents.Slots(value))
    if kind.is_users and hasattr(value, "__dict__"):
        found.append(contents.Attributes(value))
    return found


def _is_output(value: object) -> bool:
    """Whether an object is a file that is only written to."""
    return isinstance(value, IOBase) and (value.closed or not value.readable())
