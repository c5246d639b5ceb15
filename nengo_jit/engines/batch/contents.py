"""What an object contains at some time: can be restored, and compared with a later time.

Contents of an object that members of a batch share are saved for each member. What a user changes
between two runs is the difference of two of them. It is applied to the same object, or to the one
that has its place, of every other member.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from types import FunctionType, MemberDescriptorType
from typing import Any

import numpy as np

from nengo_jit.engines.hidden import IMMUTABLE, data_of
from nengo_jit.engines.references import cells_assigned_by, scopes_assigned_by
from nengo_jit.engines.state import restore_object, saved_object
from nengo_jit.ir.base import Operator

SEQUENCES = (list, deque, bytearray, array)
ATOMS = {*IMMUTABLE, np.float64}
ABSENT = object()

Change = Callable[[Any], None]  # applies to an object
Part = tuple[object, object]  # where an object is in another one, and the object


class Content(ABC):
    """What an object contains.

    Parameters
    ----------
    owner : Any
        The object.
    """

    def __init__(self, owner: Any):
        self.owner = owner

    @abstractmethod
    def restore(self) -> None:
        """Let the object contain this again."""

    @abstractmethod
    def change_to(self, now: Any) -> Change | None:
        """Return how the object differs from a later content of it; None if it does not."""

    def parts(self) -> Iterable[Part]:
        """Return the objects in it that may change, and where they are."""
        return ()

    @staticmethod
    def part(owner: Any, key: Any) -> object:
        """Return the object that is somewhere in an object."""
        raise NotImplementedError


class State(Content):
    """The state of a generator of random numbers, or of an object that saves itself."""

    def __init__(self, owner: Any, operator: Operator):
        super().__init__(owner)
        self._operator = operator
        self._state: Any = (
            owner.getstate() if isinstance(owner, Random) else saved_object(operator, owner)
        )

    def restore(self) -> None:
        self._set(self.owner)

    def _set(self, target: Any) -> None:
        if isinstance(target, Random):
            target.setstate(self._state)
        else:
            restore_object(self._operator, target, self._state)

    def change_to(self, now: State) -> Change | None:
        return None if _are_same(self._state, now._state) else now._set


class Numbers(Content):
    """The numbers in an array."""

    owner: np.ndarray

    def __init__(self, owner: np.ndarray):
        super().__init__(owner)
        self._copy = owner.copy()

    def restore(self) -> None:
        np.copyto(self.owner, self._copy)

    def change_to(self, now: Numbers) -> Change | None:
        new = now._copy
        places = np.flatnonzero((_bytes_in(self._copy) != _bytes_in(new)).any(axis=1))
        if not places.size:
            return None

        def change(target: Any) -> None:
            if isinstance(target, np.ndarray) and target.shape == new.shape:
                target.flat[places] = new.flat[places]

        return change


class Sequence(Content):
    """The items of a list or the like.

    If some have left it at the front, and others have come at the end, so they do elsewhere.
    """

    def __init__(self, owner: Any):
        super().__init__(owner)
        self._items = owner[:] if isinstance(owner, (bytearray, array)) else [*owner]

    def restore(self) -> None:
        self._fill(self.owner)

    def _fill(self, target: Any) -> None:
        if isinstance(target, deque):
            target.clear()
            target.extend(self._items)
        else:
            target[:] = self._items

    def parts(self) -> Iterable[Part]:
        return _unless_atoms(enumerate(self._items))

    @staticmethod
    def part(owner: Any, key: Any) -> object:
        return owner[key]

    def change_to(self, now: Sequence) -> Change | None:
        old, new = self._items, now._items
        if len(old) == len(new) and all(map(_are_alike, old, new)):
            return None
        n_gone = next(n for n in range(len(old) + 1) if _begins(new, old[n:]))
        is_moved = n_gone < len(old) and isinstance(now.owner, deque)
        others = {i: b for i, (a, b) in enumerate(zip(old, new)) if not _are_alike(a, b)}

        def change(target: Any) -> None:
            if type(target) is not type(now.owner):
                return
            if len(old) == len(new) and not is_moved:
                for place, item in others.items():
                    if place < len(target):
                        target[place] = item
                return
            for _ in range(min(n_gone, len(target))):
                del target[0]
            target.extend(new[len(old) - n_gone :])

        return change


class Members(Content):
    """The members of a set."""

    owner: set[Any]

    def __init__(self, owner: set[Any]):
        super().__init__(owner)
        self._members = set(owner)

    def restore(self) -> None:
        self.owner.clear()
        self.owner.update(self._members)

    def parts(self) -> Iterable[Part]:
        return _unless_atoms((None, each) for each in self._members)

    def change_to(self, now: Members) -> Change | None:
        added, removed = now._members - self._members, self._members - now._members
        if not added and not removed:
            return None

        def change(target: Any) -> None:
            if isinstance(target, set):
                target -= removed
                target |= added

        return change


class Names(Content):
    """Objects by name: the attributes of an object, or the variables that a function assigns to."""

    def __init__(self, owner: Any):
        super().__init__(owner)
        self._values = self.read(owner)

    @staticmethod
    @abstractmethod
    def read(owner: Any) -> dict[Any, object]:
        """Return all values by name."""

    @staticmethod
    @abstractmethod
    def write(owner: Any, name: Any, value: object) -> None:
        """Set a value; `ABSENT` removes it."""

    def restore(self) -> None:
        live = self.read(self.owner)
        for name, value in self._values.items():
            if live.get(name, ABSENT) is not value:
                self.write(self.owner, name, value)
        for name in live.keys() - self._values.keys():  # which another member has set
            self.write(self.owner, name, ABSENT)

    def parts(self) -> Iterable[Part]:
        return _unless_atoms(self._values.items())

    @classmethod
    def part(cls, owner: Any, key: Any) -> object:
        return cls.read(owner)[key]

    def change_to(self, now: Names) -> Change | None:
        old, new = self._values, now._values
        changed = {
            name: new.get(name, ABSENT)
            for name in {**old, **new}
            if old.get(name, ABSENT) is not new.get(name, ABSENT)
        }
        if not changed:
            return None

        def change(target: Any) -> None:
            if type(target) is not type(now.owner):
                return
            present = self.read(target)
            for name, value in changed.items():
                if value is not ABSENT or name in present:
                    self.write(target, name, value)

        return change


class Entries(Names):
    """The entries of a dictionary."""

    @staticmethod
    def read(owner: dict[Any, object]) -> dict[Any, object]:
        return dict(owner)

    @staticmethod
    def write(owner: dict[Any, object], name: Any, value: object) -> None:
        if value is ABSENT:
            del owner[name]
        else:
            owner[name] = value

    def restore(self) -> None:
        self.owner.clear()  # their order counts
        self.owner.update(self._values)


class Attributes(Names):
    """The attributes of an object, or of a function."""

    @staticmethod
    def read(owner: Any) -> dict[str, object]:
        return dict(vars(owner))

    @staticmethod
    def write(owner: Any, name: str, value: object) -> None:
        Entries.write(vars(owner), name, value)


class OfClass(Names):
    """The attributes of a class itself."""

    @staticmethod
    def read(owner: type) -> dict[str, object]:
        return data_of(owner)

    @staticmethod
    def write(owner: type, name: str, value: object) -> None:
        if value is ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)


class Slots(Names):
    """The attributes of an object for which its class has slots."""

    @staticmethod
    def read(owner: object) -> dict[MemberDescriptorType, object]:
        values = {}
        for slot in slots_of(type(owner)):
            try:
                values[slot] = slot.__get__(owner)
            except AttributeError:  # it is not set
                continue
        return values

    @staticmethod
    def write(owner: object, name: MemberDescriptorType, value: object) -> None:
        if value is ABSENT:
            name.__delete__(owner)
        else:
            name.__set__(owner, value)


class Variables(Names):
    """Variables of enclosing functions and of modules that a function assigns to."""

    @staticmethod
    def read(owner: FunctionType) -> dict[Any, object]:
        values: dict[Any, object] = {}
        for number, (scope, names) in enumerate(scopes_assigned_by(owner)):
            values |= {(number, name): scope[name] for name in names if name in scope}
        for number, cell in enumerate(cells_assigned_by(owner)):
            try:
                values[number] = cell.cell_contents
            except ValueError:  # it is empty
                continue
        return values

    @staticmethod
    def write(owner: FunctionType, name: Any, value: object) -> None:
        if isinstance(name, tuple):
            number, variable = name
            Entries.write(scopes_assigned_by(owner)[number][0], variable, value)
            return
        cell = cells_assigned_by(owner)[name]
        if value is ABSENT:
            del cell.cell_contents
        else:
            cell.cell_contents = value


def slots_of(kind: type) -> Iterator[MemberDescriptorType]:
    """The slots of a class for attributes of its objects."""
    for each in kind.__mro__:
        if "__slots__" in vars(each):
            yield from (slot for slot in vars(each).values() if type(slot) is MemberDescriptorType)


def _bytes_in(numbers: np.ndarray) -> np.ndarray:
    """Return the bytes of each number, (size, itemsize)."""
    return np.frombuffer(numbers.tobytes(), np.uint8).reshape(numbers.size, -1)


def _unless_atoms(parts: Iterable[Part]) -> list[Part]:
    """Return the parts that may change, or that contain anything."""
    return [each for each in parts if type(each[1]) not in ATOMS]


def _begins(items: Any, first: Any) -> bool:
    return len(first) <= len(items) and all(map(_are_alike, first, items))


def _are_alike(a: object, b: object) -> bool:
    """Whether two items are the same object, or equal ones that cannot change."""
    return a is b or (type(a) is type(b) and type(a) in ATOMS and a == b)


def _are_same(a: Any, b: Any) -> bool:
    """Whether two states, as trees of collections and arrays, are the same."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_are_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_are_same, a, b))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return a is b or bool(a == b) or bool(a != a and b != b)
