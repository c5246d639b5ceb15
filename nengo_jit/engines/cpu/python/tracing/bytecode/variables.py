"""Instructions that read and assign variables, and those that define functions."""

from __future__ import annotations

import builtins
import dis
from collections.abc import Mapping
from types import CellType, CodeType

from nengo_jit.engines.cpu.python.tracing.bytecode.frame import (
    IS_313,
    NULL,
    Cell,
    Frame,
    argument,
    handles,
    is_ours,
)
from nengo_jit.engines.cpu.python.tracing.guards import MISSING
from nengo_jit.engines.cpu.python.tracing.values import LocalFunction, Unsupported, Value

PARTS = {1: "defaults", 2: "keyword_defaults", 8: "closure"}  # of a function; 4: annotations


@handles("LOAD_CONST")
def _load_const(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(instruction.argval)


@handles("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_CLOSURE")
def _load_fast(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(_variable(frame, instruction.argval))


def _variable(frame: Frame, name: str) -> Value:
    value = frame.variables.get(name, MISSING)
    if value is MISSING:
        raise Unsupported(f"reads `{name}` before assigning it")
    return value


@handles("LOAD_FAST_AND_CLEAR")
def _load_fast_and_clear(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(frame.variables.pop(instruction.argval, MISSING))


@handles("LOAD_FAST_LOAD_FAST")
def _load_fast_load_fast(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack += [_variable(frame, name) for name in instruction.argval]


@handles("STORE_FAST")
def _store_fast(frame: Frame, instruction: dis.Instruction) -> None:
    frame.variables[instruction.argval] = frame.stack.pop()


@handles("STORE_FAST_STORE_FAST")
def _store_fast_store_fast(frame: Frame, instruction: dis.Instruction) -> None:
    for name in instruction.argval:
        frame.variables[name] = frame.stack.pop()


@handles("STORE_FAST_LOAD_FAST")
def _store_fast_load_fast(frame: Frame, instruction: dis.Instruction) -> None:
    stored, loaded = instruction.argval
    frame.variables[stored] = frame.stack.pop()
    frame.stack.append(_variable(frame, loaded))


@handles("DELETE_FAST")
def _delete_fast(frame: Frame, instruction: dis.Instruction) -> None:
    frame.variables.pop(instruction.argval, None)


@handles("LOAD_GLOBAL")
def _load_global(frame: Frame, instruction: dis.Instruction) -> None:
    name = instruction.argval
    found: object = frame.namespace.get(name, MISSING)
    if not is_ours(frame.namespace):
        frame.tracer.watched.add_name(frame.namespace, name)
    where = f"the global `{name}`"
    if found is MISSING:
        names = frame.namespace.get("__builtins__", builtins)
        names = names if isinstance(names, Mapping) else vars(names)
        found = names.get(name, MISSING)
        frame.tracer.watched.add_name(names, name)
        where = f"`{name}`"
    if found is MISSING:
        raise Unsupported(f"reads the global `{name}`, which does not exist")
    value = frame.interpreter.lift(found, where)
    has_null = argument(instruction) & 1
    frame.stack += [value, NULL] if has_null and IS_313 else [NULL] * has_null + [value]


@handles("MAKE_CELL")
def _make_cell(frame: Frame, instruction: dis.Instruction) -> None:
    name = instruction.argval
    frame.variables[name] = Cell(frame.variables.get(name, MISSING))


@handles("COPY_FREE_VARS")
def _copy_free_vars(frame: Frame, instruction: dis.Instruction) -> None:
    frame.variables.update(zip(frame.code.co_freevars, frame.closure))


@handles("LOAD_DEREF")
def _load_deref(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(variable_of_closure(frame, instruction.argval))


def variable_of_closure(frame: Frame, name: str) -> Value:
    """The value of a variable that functions share."""
    cell = frame.variables[name]
    if isinstance(cell, CellType):
        try:
            found = cell.cell_contents
        except ValueError:
            reason = f"reads the closure variable `{name}`, which is not assigned"
            raise Unsupported(reason) from None
        if not is_ours(frame.namespace):
            frame.tracer.watched.add_cell(cell)
        return frame.interpreter.lift(found, f"the closure variable `{name}`")
    assert isinstance(cell, Cell)
    if cell.cell_contents is MISSING:
        raise Unsupported(f"reads `{name}` before assigning it")
    return cell.cell_contents


@handles("STORE_DEREF")
def _store_deref(frame: Frame, instruction: dis.Instruction) -> None:
    cell = frame.variables[instruction.argval]
    if not isinstance(cell, Cell):
        raise Unsupported(f"assigns to the closure variable `{instruction.argval}`")
    cell.cell_contents = frame.stack.pop()


@handles("MAKE_FUNCTION")
def _make_function(frame: Frame, instruction: dis.Instruction) -> None:
    code = frame.stack.pop()
    assert isinstance(code, CodeType)
    function = LocalFunction(code, frame.namespace)
    flags = 0 if IS_313 else argument(instruction)
    for flag in (8, 4, 2, 1):
        if flags & flag:
            _set_part(function, flag, frame.stack.pop())
    frame.stack.append(function)


@handles("SET_FUNCTION_ATTRIBUTE")
def _set_function_attribute(frame: Frame, instruction: dis.Instruction) -> None:
    function, value = frame.stack.pop(), frame.stack.pop()
    assert isinstance(function, LocalFunction)
    _set_part(function, argument(instruction), value)
    frame.stack.append(function)


def _set_part(function: LocalFunction, flag: int, value: Value) -> None:
    if flag in PARTS:
        setattr(function, PARTS[flag], value)
