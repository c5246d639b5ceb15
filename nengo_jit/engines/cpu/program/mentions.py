"""Whether code of users mentions arrays of signals, as far as it can be followed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import _lru_cache_wrapper, partial
from types import CodeType, FunctionType, GetSetDescriptorType, MethodType, ModuleType
from typing import Any

from nengo_jit.engines.live import LiveSignals
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.neurons import formula_of

# Code that gets hold of arrays of signals, or makes constants writable, has one of these names.
GETTING, OPENING = {"signals"}, {"setflags", "writeable", "WRITEABLE"}
# Packages that have such code for purposes of their own
OTHERS = {*sys.stdlib_module_names, "numpy", "scipy", "nengo", "nengo_jit"}
MOST_OBJECTS = 10_000  # that are looked at
MOST_ITEMS = 100  # of a list that is looked through
# How Python finds what stands in a class, whatever its metaclass says
_MRO, _DICT, _MODULE = (vars(type)[name] for name in ("__mro__", "__dict__", "__module__"))


def mentioned(operators: Iterable[Any]) -> set[str]:
    """Which of the names the code that operators run has in it, or stands for.

    A function is followed to the functions, classes and objects that it refers to by global names
    and in its closure; an object to its attributes; and short lists, tuples, sets and
    dictionaries to what is in them.
    """
    seen: dict[int, Any] = {}
    found: set[str] = set()
    pending = [each for operator in operators for each in _code_of(operator)]
    while pending and len(seen) < MOST_OBJECTS:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if type(value) is CodeType:
            found.update((GETTING | OPENING).intersection(_names(value)))
        elif issubclass(type(value), LiveSignals):  # `sim.signals`, whatever its name
            found.update(GETTING)
        pending += _parts(value)
    return found


def _code_of(operator: Any) -> list[Any]:
    """Where the code of a user begins that an operator runs."""
    if isinstance(operator, SimPyFunc):
        return [operator.fn]
    if isinstance(operator, SimProcess):
        return [operator.process, getattr(operator.process, "make_step", None)]
    if isinstance(operator, SimNeurons):
        formula = formula_of(operator.neurons)
        draw = None if formula is None else formula.random
        return [operator.neurons, getattr(operator.neurons, "step", None), draw]
    return [operator]


def _parts(value: Any) -> Iterator[Any]:
    """What is to be looked at in an object.

    No code of the object's class runs: it may do anything, such as to answer for any attribute.
    """
    kind = type(value)
    if issubclass(kind, MethodType):
        yield from (value.__func__, value.__self__)
    elif issubclass(kind, (staticmethod, classmethod)):
        yield value.__func__
    elif issubclass(kind, property):
        yield from (value.fget, value.fset)
    elif issubclass(kind, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif issubclass(kind, FunctionType):
        yield from _cells(value)
        if not _is_of_others(value):
            yield from _codes(value.__code__)
            yield from _globals(value)
    elif issubclass(kind, type):
        for each in _MRO.__get__(value):
            if not _is_of_others(each):
                yield from list(_variables(each).values())
    elif issubclass(kind, (list, tuple, set, frozenset, dict)):
        yield from _items(value)
    elif issubclass(kind, _lru_cache_wrapper):
        yield value.__wrapped__
    elif not issubclass(kind, CodeType) and not _is_of_others(kind):
        yield kind
        yield from list(_variables(value).values())


def _items(value: Any) -> list[Any]:
    """What is in a container, if that is not too much."""
    for kind in (list, tuple, set, frozenset):
        if issubclass(type(value), kind):
            return [*kind.__iter__(value)] if kind.__len__(value) <= MOST_ITEMS else []
    return [*dict.values(value)] if dict.__len__(value) <= MOST_ITEMS else []


def _variables(value: Any) -> Mapping[str, Any]:
    """The attributes that an object itself has."""
    for base in _MRO.__get__(type(value)):
        found = _DICT.__get__(base).get("__dict__")
        if isinstance(found, GetSetDescriptorType):
            variables: Mapping[str, Any] = found.__get__(value)
            return variables
    return {}


def _is_of_others(value: Any) -> bool:
    """Whether a function or class is of one of the packages that are known."""
    module = _MODULE.__get__(value) if issubclass(type(value), type) else value.__module__
    return _is_known(module)


def _is_known(module: Any) -> bool:
    return isinstance(module, str) and module.split(".")[0] in OTHERS


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from (constant for constant in code.co_consts if isinstance(constant, str))


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # nothing has been assigned yet
            continue
    yield from (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())


def _globals(function: FunctionType) -> Iterator[Any]:
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    for value in [dict.get(function.__globals__, name) for name in names]:
        if not issubclass(type(value), ModuleType):
            yield value
        elif not _is_known(_variables(value).get("__name__")):
            yield from [_variables(value).get(name) for name in names]
