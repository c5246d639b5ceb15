"""State inside Python objects: which ones may change, which can be saved, and which hide state.

An object with methods ``state()`` and ``load_state(state)`` saves itself, if a node's function, a
process's step or the like is that object, a method of it, or a function that refers to it.
Generators of NumPy's are saved, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import EnumMeta
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol

import numpy as np
from nengo import Simulator
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.params import FrozenObject

from nengo_jit.engines.references import (
    attributes_assigned_by,
    cells_assigned_by,
    is_installed,
    referred,
    scopes_assigned_by,
)
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.process_state import is_sim_process, keeps_to_its_state
from nengo_jit.neurons import formula_of

IMMUTABLE = (bool, int, float, complex, str, bytes, type(None), type(...), slice, range)
OF_LIBRARIES = ("_abc_impl", "_field_defaults")  # attributes of classes
FROZEN = vars(FrozenObject()).keys()  # attributes of all such objects
STATELESS = (ModuleType, type, np.ufunc, np.dtype, np.generic, FrozenObject)


class SavesItself(Protocol):
    """An object that can save its state, and restore it: the hook for users' objects."""

    def state(self) -> object:
        """Return the state: arrays, numbers, strings, lists and dictionaries."""

    def load_state(self, state: Any) -> None:
        """Continue from a state that `state` has returned."""


def lasts(value: object) -> bool:
    """Whether an object's state can be saved: it is a generator, or has the methods to do it."""
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        return True
    has_hook = all(callable(getattr(value, name, None)) for name in ("state", "load_state"))
    return has_hook and not isinstance(value, Simulator)  # it may be the one that is saved


def hides_state(
    operator: Operator, step: Step | None = None, memory: Iterable[np.ndarray] = ()
) -> bool:
    """Whether the steps of an operator may depend on more than a state can hold.

    A state holds signals, generators of random numbers, and objects that save themselves. It cannot
    hold other objects that a function refers to. For parameters see `changeable_of`.
    """
    return not all(map(lasts, changeable_of(operator, step, memory)))


def changeable_of(
    operator: Operator, step: Step | None = None, memory: Iterable[np.ndarray] = ()
) -> list[object]:
    """Return the objects that may change, and that the steps of an operator refer to.

    Parameters
    ----------
    operator : Operator
        The operator.
    step : callable, optional
        Its function, if it has been made; else the operator itself counts as such an object where
        nothing is known of it.
    memory : iterable of numpy.ndarray
        The memory of its signals, which does not count.
    """
    own = list(memory)
    roots = roots_of(operator, step)
    found = {id(each): each for root in roots for each in changeable(root)}
    return [
        each
        for each in found.values()
        if not (isinstance(each, np.ndarray) and any(np.may_share_memory(each, a) for a in own))
    ]


def roots_of(operator: Operator, step: Step | None = None) -> list[object]:
    """Return the objects of the user's that the steps of an operator use directly."""
    roots: list[object] = []
    if is_sim_process(operator):
        if not keeps_to_its_state(operator.process):
            roots = [step or operator]
    elif isinstance(operator, SimNeurons):  # parameters of neuron types cannot be changed
        attributes, formula = vars(operator.neurons), formula_of(operator.neurons)
        roots = [attributes[name] for name in attributes.keys() - FROZEN]
        roots += [formula.random] if formula is not None else []
    elif isinstance(operator, SimPyFunc):
        roots = [operator.fn]
    elif (
        type(operator).make_step is not Operator.make_step  # which is made of a pure function
        and not type(operator).__module__.startswith(("nengo.builder.", "nengo_jit."))
    ):
        roots = [step or operator]
    return roots


def may_change(value: object) -> bool:
    """Whether an object may change from one step to the next, in a way that matters."""
    return next(changeable(value), None) is not None


def changeable(value: object, seen: set[int] | None = None) -> Iterator[object]:
    """The objects that may change, of an object and all that it refers to.

    These are all mutable objects, except functions that assign to nothing outside and have no
    attributes, and classes whose attributes stay as they are. Classes count if they are the user's.
    """
    seen = set() if seen is None else seen
    if isinstance(value, BuiltinFunctionType):  # perhaps bound to an object, as `[].append` is
        owner = value.__self__
        if owner is not None and not isinstance(owner, ModuleType):
            yield owner
        return
    is_class = is_users_class(value)
    if (isinstance(value, (*IMMUTABLE, *STATELESS)) and not is_class) or id(value) in seen:
        return
    seen.add(id(value))
    parts: Iterable[object] = ()
    if isinstance(value, (tuple, frozenset)):
        parts = value
    elif isinstance(value, (partial, MethodType)):
        parts = bound_in(value)
    elif isinstance(value, FunctionType) and not lasts(value):
        if _assigns(value) or vars(value).keys() - {"__wrapped__"}:
            yield value
        parts = (each for _, each in referred(value))
    elif isinstance(value, type):
        if _changes(value):
            yield value
        parts = (*functions_of(value), *value.__bases__)
    elif not (isinstance(value, np.ndarray) and not value.flags.writeable):
        yield value
        parts = () if lasts(value) else (type(value),)
    for each in parts:
        yield from changeable(each, seen)


def bound_in(value: partial[Any] | MethodType) -> tuple[object, ...]:
    """Return a function and what it is bound to; without the function if an object saves itself."""
    if isinstance(value, partial):
        return value.func, *value.args, *value.keywords.values()
    owner = value.__self__
    return (owner,) if lasts(owner) else (owner, value.__func__)


def functions_of(kind: type) -> Iterator[FunctionType]:
    """The functions that are defined in a class: methods, also of the class, and properties."""
    for value in vars(kind).values():
        for each in (value, getattr(value, "__func__", None), getattr(value, "fget", None)):
            if isinstance(each, FunctionType):
                yield each


def data_of(kind: type) -> dict[str, Any]:
    """Return the attributes of a class itself that are neither functions nor descriptors."""
    return {
        name: value
        for name, value in vars(kind).items()
        if not (name.startswith("__") or name in OF_LIBRARIES)
        and not (callable(value) or hasattr(value, "__get__"))
    }


def is_users_class(value: object) -> bool:
    """Whether an object is a class of the user's, whose attributes functions may change."""
    return (
        isinstance(value, type)
        and not isinstance(value, EnumMeta)
        and not is_installed(value.__module__)
    )


def _changes(kind: type) -> bool:
    """Whether attributes of a class may change."""
    data = data_of(kind)
    assigned = {name for each in functions_of(kind) for name in attributes_assigned_by(each)}
    stays = (*IMMUTABLE, *STATELESS, tuple, frozenset)
    return bool(data.keys() & assigned) or not all(isinstance(v, stays) for v in data.values())


def _assigns(function: FunctionType) -> bool:
    """Whether a function assigns to variables of others, or to attributes of itself or classes."""
    if cells_assigned_by(function) or any(names for _, names in scopes_assigned_by(function)):
        return True
    attributes = attributes_assigned_by(function)
    return bool(attributes) and any(
        each is function or (is_users_class(each) and attributes & vars(each).keys())
        for _, each in referred(function)
    )
