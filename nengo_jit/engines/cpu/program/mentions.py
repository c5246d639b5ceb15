"""Scan user code for mentions of arrays of signals."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import _lru_cache_wrapper, partial
from types import CodeType, FunctionType, GetSetDescriptorType, MethodType, ModuleType
from typing import Any

from nengo_jit.engines.live import LiveSignals
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.neurons import formula_of

# Code that gets arrays of signals, or makes constants writable, contains one of these names.
GETTING, OPENING = {"signals"}, {"setflags", "writeable", "WRITEABLE"}
# Packages that use such names for other purposes
TRUSTED = {*sys.stdlib_module_names, "numpy", "scipy", "nengo", "nengo_jit"}
MAX_OBJECTS = 10_000  # that are scanned
MAX_ITEMS = 100  # of a container that is scanned
# Access to a class without calling its metaclass
_MRO, _DICT, _MODULE = (vars(type)[name] for name in ("__mro__", "__dict__", "__module__"))


def mentioned(operators: Iterable[Operator], names: Set[str] = GETTING | OPENING) -> set[str]:
    """Which of some names the code of operators mentions; `GETTING` if it has live signals."""
    found: set[str] = set()
    for value in reached(each for operator in operators for each in code_of(operator)):
        if type(value) is CodeType:
            found.update(names & {*_names(value)})
        elif issubclass(type(value), LiveSignals):  # `sim.signals`, whatever its name
            found.update(GETTING)
    return found


def reached(values: Iterable[object]) -> list[object]:
    """What objects refer to, directly or not, and the objects; at most `MAX_OBJECTS`.

    The scan goes from a function to the functions, classes and objects in its globals and closure,
    from an object to its attributes, and from a short container to its items.
    """
    seen: dict[int, object] = {}
    pending = list(values)
    while pending and len(seen) < MAX_OBJECTS:
        value = pending.pop()
        if id(value) not in seen:
            seen[id(value)] = value
            pending += _parts(value)
    return list(seen.values())


def code_of(operator: Operator) -> list[object]:
    """Objects at which the scan of an operator begins."""
    if isinstance(operator, SimPyFunc):
        return [operator.fn]
    if isinstance(operator, SimProcess):
        return [operator.process, getattr(operator.process, "make_step", None)]
    if isinstance(operator, SimNeurons):
        formula = formula_of(operator.neurons)
        draw = None if formula is None else formula.random
        return [operator.neurons, getattr(operator.neurons, "step", None), draw]
    return [operator]


def _parts(value: Any) -> Iterator[object]:
    """Objects that an object refers to.

    This runs no code of the object's class, which may do anything, such as invent attributes.
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
        if not _is_trusted(value):
            yield from _codes(value.__code__)
            yield from _globals(value)
    elif issubclass(kind, type):
        for each in _MRO.__get__(value):
            if not _is_trusted(each):
                yield from list(_variables(each).values())
    elif issubclass(kind, (list, tuple, set, frozenset, dict)):
        yield from _items(value)
    elif issubclass(kind, _lru_cache_wrapper):
        yield value.__wrapped__
    elif not issubclass(kind, CodeType) and not _is_trusted(kind):
        yield kind
        yield from list(_variables(value).values())


def _items(value: Any) -> list[object]:
    """Items of a container, unless it is large."""
    for kind in (list, tuple, set, frozenset):
        if issubclass(type(value), kind):
            return [*kind.__iter__(value)] if kind.__len__(value) <= MAX_ITEMS else []
    return [*dict.values(value)] if dict.__len__(value) <= MAX_ITEMS else []


def _variables(value: object) -> Mapping[str, object]:
    """Attributes in the ``__dict__`` of an object."""
    for base in _MRO.__get__(type(value)):
        found = _DICT.__get__(base).get("__dict__")
        if isinstance(found, GetSetDescriptorType):
            variables: Mapping[str, object] = found.__get__(value)
            return variables
    return {}


def _is_trusted(value: FunctionType | type) -> bool:
    """Whether a function or class is defined in one of the `TRUSTED` packages."""
    module = _MODULE.__get__(value) if issubclass(type(value), type) else value.__module__
    return _is_in_trusted_package(module)


def _is_in_trusted_package(module: object) -> bool:
    return isinstance(module, str) and module.split(".")[0] in TRUSTED


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from (constant for constant in code.co_consts if isinstance(constant, str))


def _cells(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the cell is empty
            continue
    yield from (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())


def _globals(function: FunctionType) -> Iterator[object]:
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    for value in [dict.get(function.__globals__, name) for name in names]:
        if not issubclass(type(value), ModuleType):
            yield value
        elif not _is_in_trusted_package(_variables(value).get("__name__")):
            yield from [_variables(value).get(name) for name in names]
