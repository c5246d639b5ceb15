"""State inside Python objects: which ones may change, which can be saved, and which hide state.

An object with methods ``state()`` and ``load_state(state)`` saves itself, if a node's function, a
process's step or the like is that object, a method of it, or a function that refers to it.
Generators of NumPy's are saved, too.
"""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol

import numpy as np
from nengo import Simulator
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.params import FrozenObject

from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.process_state import is_sim_process, keeps_to_its_state
from nengo_jit.neurons import formula_of

IMMUTABLE = (bool, int, float, complex, str, bytes, type(None), type(...), slice, range)
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
    own = list(memory)
    found = {id(each): each for root in roots for each in changeable(root)}
    return [
        each
        for each in found.values()
        if not (isinstance(each, np.ndarray) and any(np.may_share_memory(each, a) for a in own))
    ]


def may_change(value: object) -> bool:
    """Whether an object may change from one step to the next, in a way that matters."""
    return next(changeable(value), None) is not None


def changeable(value: object, seen: set[int] | None = None) -> Iterator[object]:
    """The objects that may change, of an object and all that it refers to.

    These are all mutable objects, except functions that assign to no variable and have no
    attributes.
    """
    seen = set() if seen is None else seen
    if isinstance(value, BuiltinFunctionType):  # perhaps bound to an object, as `[].append` is
        owner = value.__self__
        if owner is not None and not isinstance(owner, ModuleType):
            yield owner
        return
    if isinstance(value, (*IMMUTABLE, *STATELESS)) or id(value) in seen:
        return
    seen.add(id(value))
    parts: Iterable[object] = ()
    if isinstance(value, (tuple, frozenset)):
        parts = value
    elif isinstance(value, partial):
        parts = (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, MethodType):
        parts = (value.__self__,) if lasts(value.__self__) else (value.__self__, value.__func__)
    elif isinstance(value, FunctionType) and not lasts(value):
        if _assigns(value) or vars(value).keys() - {"__wrapped__"}:
            yield value
        parts = _referred(value)
    elif not (isinstance(value, np.ndarray) and not value.flags.writeable):
        yield value
    for each in parts:
        yield from changeable(each, seen)


def _referred(function: FunctionType) -> Iterator[object]:
    """Objects in the closure, defaults and globals of a function, and of functions in it."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the cell is empty
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    names = {name for code in _codes_in(function.__code__) for name in code.co_names}
    for name in sorted(names & function.__globals__.keys()):
        yield function.__globals__[name]


def _assigns(function: FunctionType) -> bool:
    """Whether a function assigns to global or enclosing variables."""
    return assigned_by(function) != ([], [])


def assigned_by(function: FunctionType) -> tuple[list[CellType], list[str]]:
    """Return the enclosing variables, and the names of global ones, that a function assigns to."""
    own = function.__code__.co_freevars
    enclosing: dict[str, None] = {}
    names: dict[str, None] = {}
    for code in _codes_in(function.__code__):
        for each in dis.get_instructions(code):
            if each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                names[each.argval] = None
            elif each.opname in ("STORE_DEREF", "DELETE_DEREF") and each.argval in own:
                enclosing[each.argval] = None
    cells = dict(zip(own, function.__closure__ or ()))
    return [cells[name] for name in enclosing], list(names)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """A code object, and those of functions that are defined in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes_in(each)
