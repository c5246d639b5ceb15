"""Hidden state: what Python objects keep from step to step, and a state cannot hold."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.params import FrozenObject

from nengo_jit.ir.base import Operator
from nengo_jit.ir.process_state import is_sim_process, keeps_to_its_state
from nengo_jit.neurons import formula_of

IMMUTABLE = (bool, int, float, complex, str, bytes, type(None), type(...), slice, range)
FROZEN = vars(FrozenObject()).keys()  # attributes of all such objects
STATELESS = (ModuleType, type, BuiltinFunctionType, np.ufunc, np.dtype, np.generic, FrozenObject)


def hides_state(operator: Operator) -> bool:
    """Whether the steps of an operator may depend on more than a state can hold.

    A state holds signals and generators of random numbers. It cannot hold objects that a function
    refers to, nor objects that third-party processes or operators make.
    """
    if is_sim_process(operator):
        return not keeps_to_its_state(operator.process)
    if isinstance(operator, SimNeurons):  # parameters of neuron types cannot be changed
        attributes, formula = vars(operator.neurons), formula_of(operator.neurons)
        used = [attributes[name] for name in attributes.keys() - FROZEN]
        used += [formula.random] if formula is not None else []
        return any(map(may_change, used))
    if isinstance(operator, SimPyFunc):
        return may_change(operator.fn)
    if type(operator).make_step is Operator.make_step:  # which is made of a pure function
        return False
    return not type(operator).__module__.startswith(("nengo.builder.", "nengo_jit."))


def may_change(value: object, seen: frozenset[int] = frozenset()) -> bool:
    """Whether an object may change from one step to the next, in a way that matters.

    This holds for all mutable objects, except functions that refer to no other mutable object.
    """
    if isinstance(value, (*IMMUTABLE, *STATELESS)) or id(value) in seen:
        return _is_bound(value)
    seen |= {id(value)}
    if isinstance(value, (tuple, frozenset)):
        return any(may_change(each, seen) for each in value)
    if isinstance(value, np.ndarray):
        return value.flags.writeable
    if isinstance(value, partial):
        parts = (value.func, *value.args, *value.keywords.values())
        return any(may_change(each, seen) for each in parts)
    if isinstance(value, FunctionType):
        return _assigns(value) or any(may_change(each, seen) for each in _referred(value))
    return True


def _is_bound(value: object) -> bool:
    """Whether an object is a built-in function bound to an object, such as ``[].append``."""
    owner = getattr(value, "__self__", None) if isinstance(value, BuiltinFunctionType) else None
    return owner is not None and not isinstance(owner, ModuleType)


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
    own = set(function.__code__.co_freevars)
    return any(
        each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
        or (each.opname in ("STORE_DEREF", "DELETE_DEREF") and each.argval in own)
        for code in _codes_in(function.__code__)
        for each in dis.get_instructions(code)
    )


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """A code object, and those of functions that are defined in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes_in(each)
