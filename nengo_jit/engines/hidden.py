"""What a state cannot hold: what Python objects keep to themselves from step to step."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import SimPyFunc
from nengo.params import FrozenObject

from nengo_jit.ir.base import Operator
from nengo_jit.ir.process_state import is_sim_process, keeps_to_its_state
from nengo_jit.neurons import formula_of

IMMUTABLE = (bool, int, float, complex, str, bytes, type(None), type(...), slice, range)
FROZEN = vars(FrozenObject()).keys()  # what all objects of this kind have
STATELESS = (ModuleType, type, BuiltinFunctionType, np.ufunc, np.dtype, np.generic, FrozenObject)


def hides_state(operator: Any) -> bool:
    """Whether the steps of an operator may depend on more than a state can hold.

    Signals and generators of random numbers can be held. What a function refers to, or a process or
    operator of somebody else's has made for itself, cannot.
    """
    if is_sim_process(operator):
        return not keeps_to_its_state(operator.process)
    if isinstance(operator, SimNeurons):  # whose parameters cannot be changed
        attributes, formula = vars(operator.neurons), formula_of(operator.neurons)
        used = [attributes[name] for name in attributes.keys() - FROZEN]
        used += [formula.random] if formula is not None else []
        return any(map(may_change, used))
    if isinstance(operator, SimPyFunc):
        return may_change(operator.fn)
    if type(operator).make_step is Operator.make_step:  # which is made of a pure function
        return False
    return not type(operator).__module__.startswith(("nengo.builder.", "nengo_jit."))


def may_change(value: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Whether an object may be another one in the next step, in a way that matters.

    That goes for all that can be changed in place, unless it is a function that refers to nothing
    of the kind.
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


def _is_bound(value: Any) -> bool:
    """Whether a built-in function is a method of something, such as ``[].append``."""
    owner = getattr(value, "__self__", None) if isinstance(value, BuiltinFunctionType) else None
    return owner is not None and not isinstance(owner, ModuleType)


def _referred(function: FunctionType) -> Iterator[Any]:
    """What a function refers to: by closure, by default and by names, those of functions in it."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    names = {name for code in _codes_in(function.__code__) for name in code.co_names}
    for name in sorted(names & function.__globals__.keys()):
        yield function.__globals__[name]


def _assigns(function: FunctionType) -> bool:
    """Whether a function assigns to variables around it, which the next call sees."""
    own = set(function.__code__.co_freevars)
    return any(
        each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
        or (each.opname in ("STORE_DEREF", "DELETE_DEREF") and each.argval in own)
        for code in _codes_in(function.__code__)
        for each in dis.get_instructions(code)
    )


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """Code, and that of functions that are defined in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes_in(each)
