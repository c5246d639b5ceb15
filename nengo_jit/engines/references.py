"""What Python functions refer to, assign to, and do with the collections that they refer to."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

LIBRARIES = (sys.stdlib_module_names | {"nengo", "nengo_jit", "numpy", "scipy"}) - {"__main__"}
ADDING = {"add", "append", "appendleft", "extend", "extendleft", "insert"}  # methods
MOST_CODES = 4096  # of which the results are kept
ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
VARIABLES = (
    *("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_GLOBAL", "LOAD_NAME"),
    *("LOAD_FROM_DICT_OR", "STORE_FAST_LOAD_FAST"),
)


@cache
def is_installed(module: str) -> bool:
    """Whether a module belongs to a library, rather than to the user's own code."""
    name = str(module).partition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return name in LIBRARIES or not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def referred(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Objects in the closure, defaults and globals of a function, and of functions in it.

    If these have modules of the user's, objects in those that a function may name count, too.

    Yields
    ------
    str, object
        The name by which the function refers to the object, and the object.
    """
    code = function.__code__
    defaults = function.__defaults__ or ()
    positional = code.co_varnames[: code.co_argcount]
    yield from zip(positional[len(positional) - len(defaults) :], defaults)
    yield from (function.__kwdefaults__ or {}).items()
    names, cells = _names_in(code), dict(zip(code.co_freevars, function.__closure__ or ()))
    scope = function.__globals__
    outside = [(name, scope[name]) for name in names if name in scope]
    for name, value in (*_contents_of(cells), *outside):
        yield name, value
        if isinstance(value, ModuleType) and not is_installed(value.__name__):
            inner = vars(value)
            yield from ((f"{name}.{each}", inner[each]) for each in names if each in inner)


def _contents_of(cells: Mapping[str, CellType]) -> Iterator[tuple[str, object]]:
    for name, cell in cells.items():
        try:
            yield name, cell.cell_contents
        except ValueError:  # it is empty
            continue


def cells_assigned_by(function: FunctionType) -> list[CellType]:
    """Return the variables of enclosing functions that a function assigns to."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    return [cells[name] for name in _assigned_in(function.__code__)[0]]


def scopes_assigned_by(function: FunctionType) -> list[tuple[dict[str, Any], list[str]]]:
    """Return the modules in which a function assigns to variables, with their names."""
    names, attributes = _assigned_in(function.__code__)[1], attributes_assigned_by(function)
    scopes = [(function.__globals__, list(names))] if names else []
    for _, each in referred(function) if attributes else ():
        if isinstance(each, ModuleType) and not is_installed(each.__name__):
            scopes.append((vars(each), sorted(attributes & vars(each).keys())))
    return scopes


def attributes_assigned_by(function: FunctionType) -> frozenset[str]:
    """Return the names of attributes that a function assigns to, of whatever objects."""
    return _attributes_in(function.__code__)


def only_added_to(function: FunctionType) -> frozenset[str]:
    """Return the names of variables with which a function does nothing but to add to them.

    These are used only as ``name.append(...)`` or ``name[key].append(...)``, or with another method
    that adds items.
    """
    return _only_added_to(function.__code__)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    """A code object, and those of functions that are defined in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes_in(each)


@lru_cache(MOST_CODES)
def _names_in(code: CodeType) -> list[str]:
    return sorted({name for each in _codes_in(code) for name in each.co_names})


@lru_cache(MOST_CODES)
def _assigned_in(code: CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    enclosing: dict[str, None] = {}
    names: dict[str, None] = {}
    for inner in _codes_in(code):
        for each in dis.get_instructions(inner):
            if each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                names[each.argval] = None
            elif each.opname in ("STORE_DEREF", "DELETE_DEREF") and each.argval in code.co_freevars:
                enclosing[each.argval] = None
    return tuple(enclosing), tuple(names)


@lru_cache(MOST_CODES)
def _attributes_in(code: CodeType) -> frozenset[str]:
    instructions = (each for inner in _codes_in(code) for each in dis.get_instructions(inner))
    return frozenset(
        each.argval for each in instructions if each.opname in ("STORE_ATTR", "DELETE_ATTR")
    )


@lru_cache(MOST_CODES)
def _only_added_to(code: CodeType) -> frozenset[str]:
    added: set[str] = set()
    used: set[str] = set()
    for inner in _codes_in(code):
        passed_on = {*inner.co_freevars, *inner.co_cellvars}  # to functions in it
        instructions = list(dis.get_instructions(inner))
        for place, each in enumerate(instructions, start=1):
            names = _loaded(each)
            if each.opname.startswith("LOAD_FAST") and passed_on.issuperset(names):
                continue
            used.update(names[:-1])
            (added if _is_addition(instructions[place : place + 20]) else used).update(names[-1:])
    return frozenset(added - used)


def _loaded(instruction: dis.Instruction) -> tuple[str, ...]:
    """Return the names of variables that an instruction loads, one after the other."""
    if not instruction.opname.startswith(VARIABLES):
        return ()
    names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
    return names[1:] if instruction.opname.startswith("STORE") else names


def _is_addition(following: Sequence[dis.Instruction]) -> bool:
    """Whether instructions add to the object that has just been loaded, or to an item of it."""
    while len(following) > 2 and following[1].opname == "BINARY_SUBSCR":
        if not following[0].opname.startswith(("LOAD_CONST", *VARIABLES)):
            return False
        following = following[2:]
    first = following[0] if following else None
    return first is not None and first.opname in ATTRIBUTES and first.argval in ADDING
