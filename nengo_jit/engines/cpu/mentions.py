"""Whether code of users mentions arrays of signals, as far as it can be followed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import _lru_cache_wrapper, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from nengo.builder.signal import SignalDict

from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.python import SimPyFunc

# Code that gets hold of arrays of signals, or makes constants writable, has one of these names.
GETTING, OPENING = {"signals"}, {"setflags", "writeable", "WRITEABLE"}
# Packages that have such code for purposes of their own
OTHERS = {*sys.stdlib_module_names, "numpy", "scipy", "nengo", "nengo_jit"}
MOST_OBJECTS = 10_000  # that are looked at
MOST_ITEMS = 100  # of a list that is looked through


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
        if isinstance(value, CodeType):
            found.update((GETTING | OPENING).intersection(_names(value)))
        elif isinstance(value, SignalDict):  # for which `sim.signals` is taken, whatever its name
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
        return [operator.neurons, getattr(operator.neurons, "step", None)]
    return [operator]


def _parts(value: Any) -> Iterator[Any]:
    """What is to be looked at in an object."""
    if isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, (staticmethod, classmethod)):
        yield value.__func__
    elif isinstance(value, property):
        yield from (value.fget, value.fset)
    elif isinstance(value, partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, FunctionType):
        yield from _cells(value)
        if not _is_of_others(value):
            yield from _codes(value.__code__)
            yield from _globals(value)
    elif isinstance(value, type):
        for each in value.__mro__:
            if not _is_of_others(each):
                yield from vars(each).values()
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        if len(value) <= MOST_ITEMS:
            yield from value.values() if isinstance(value, dict) else value
    elif isinstance(value, _lru_cache_wrapper):
        yield value.__wrapped__
    elif not isinstance(value, CodeType) and not _is_of_others(type(value)):
        yield type(value)
        yield from getattr(value, "__dict__", {}).values()


def _is_of_others(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).split(".")[0] in OTHERS


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
    for value in [function.__globals__.get(name) for name in names]:
        if not isinstance(value, ModuleType):
            yield value
        elif value.__name__.split(".")[0] not in OTHERS:
            yield from (vars(value).get(name) for name in names)
