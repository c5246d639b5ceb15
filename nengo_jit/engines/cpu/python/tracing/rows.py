"""Rows of arrays at indices that are known only when the function runs."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.casting import cast, same_kind
from nengo_jit.engines.cpu.python.tracing.conversions import (
    known,
    wrapped,
)
from nengo_jit.engines.cpu.python.tracing.instruction import Memory, Operand, scalar
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    INTEGERS,
    Array,
    LiveArray,
    Number,
    Row,
    Unsupported,
    Value,
    described,
    is_scalar,
    type_of,
)


def element(tracer: Tracer, array: Array, register: object) -> Value:
    """The element of an array that is in a register."""
    return wrapped(tracer, np.asarray(register), array.dtype, False)


def element_at(tracer: Tracer, array: Array, key: tuple[Value, ...]) -> Value:
    """Select one element by its indices, some of which are known only when the function runs."""
    registers = array.registers
    for part in key:
        if isinstance(part, Number):
            registers = row_at(tracer, array.of(registers), part.register)
        else:
            registers = known(registers.__getitem__, part)
    return element(tracer, array, registers)


def look_up(tracer: Tracer, value: Value, key: Number) -> Value:
    """Select by an index that is known only when the function runs."""
    if key.type not in INTEGERS:
        raise Unsupported(f"selects by {described(key)}")
    if isinstance(value, Array):
        return _row(tracer, value, key)
    if isinstance(value, (list, tuple)) and value and all(map(is_scalar, value)):
        kinds = {type_of(each) for each in value}
        if len(kinds) > 1:
            raise Unsupported("selects from numbers of different types")
        registers = np.array([tracer.register(each) for each in value])
        first = tracer.contiguous(registers)
        register = tracer.compute(Opcode.LOOKUP, first, scalar(key.register), len(value))
        return Number(register, kinds.pop())
    raise Unsupported(f"selects from {described(value)} by an index that it computes")


def row_at(tracer: Tracer, array: Array, index: int) -> np.ndarray:
    """The registers of a copy of the row of an array at an index in a register."""
    if isinstance(array, LiveArray) and not array.is_loaded and _is_table(array.memory):
        return _row_of_memory(tracer, array, index)
    registers = array.registers
    if not registers.ndim:
        raise Unsupported("selects from an array without dimensions")
    if len(registers) and not np.asarray(registers[0]).flags.c_contiguous:
        raise Unsupported("selects a row that is not contiguous by an index that it computes")
    return _looked_up(tracer, tracer.contiguous(registers), registers.shape, index)


def _looked_up(tracer: Tracer, table: Operand, shape: tuple[int, ...], index: int) -> np.ndarray:
    """Look up a row in a table of a shape."""
    if not shape[0]:
        raise Unsupported("selects from an empty array")
    n = math.prod(shape[1:])
    first = tracer.compute(Opcode.LOOKUP, table, scalar(index), shape[0], n=n)
    return np.arange(first, first + n).reshape(shape[1:])


def _row_of_memory(tracer: Tracer, array: LiveArray, index: int) -> np.ndarray:
    """Look up a row of an array that is not loaded, but of which rows may have been assigned."""
    memory = array.memory
    registers = _looked_up(tracer, Memory.of(memory), memory.shape, index)
    for other, row in array.rows:
        here = row_index(tracer, len(memory), index)
        is_same = np.array(tracer.compute(Opcode.EQUAL, scalar(here), scalar(other)))
        registers = tracer.elementwise(Opcode.SELECT, row, registers, is_same)
    return registers


def _row(tracer: Tracer, value: Array, key: Number) -> Value:
    """A number that has been looked up, or a copy of a row, which would be a view in NumPy."""
    registers = row_at(tracer, value, key.register)
    if not registers.ndim:
        return element(tracer, value, registers)
    row = Row(registers, value, key.register)
    tracer.rows.append(row)
    return row


def _is_table(memory: np.ndarray) -> bool:
    """Whether single rows can be loaded from an array, and stored there."""
    return memory.ndim > 0 and memory.flags.c_contiguous and memory.size > 0


def shared_rows(tracer: Tracer, array: Array) -> list[Row]:
    """Rows that an assignment to an array would have to change."""
    return [row for row in tracer.rows if _overlap(row.whole, array)]


def _overlap(a: Array, b: Array) -> bool:
    if a is b:
        return True
    if any(isinstance(each, LiveArray) and not each.is_loaded for each in (a, b)):
        return False
    return np.may_share_memory(a.registers, b.registers)


def row_index(tracer: Tracer, n_rows: int, index: int) -> int:
    """The register with an index from 0 on, of the index in a register."""
    if (n_rows, index) not in tracer.indices:
        rows = tracer.contiguous(tracer.array(np.arange(n_rows)).registers)
        tracer.indices[n_rows, index] = tracer.compute(Opcode.LOOKUP, rows, scalar(index), n_rows)
    return tracer.indices[n_rows, index]


def replace_row(tracer: Tracer, registers: np.ndarray, index: int, row: np.ndarray) -> None:
    """Replace the row of an array at an index from `row_index`."""
    n = len(registers)
    is_row = tracer.elementwise(Opcode.EQUAL, tracer.array(np.arange(n)).registers, np.array(index))
    is_row = is_row.reshape(n, *(1 for _ in registers.shape[1:]))
    registers[...] = tracer.elementwise(Opcode.SELECT, row, registers, is_row)


def set_row(tracer: Tracer, target: Array, key: Number | Array, registers: np.ndarray) -> None:
    """Assign to a row by an index that is known only when the function runs."""
    shape = target.shape
    if not shape or not shape[0]:
        raise Unsupported("assigns to an element of an empty array")
    n, row = shape[0], shape[1:]
    if isinstance(key, Number):
        if key.type not in INTEGERS or (registers.ndim and not row):
            raise Unsupported(f"assigns to an element selected by {described(key)}")
        index = key.register
    else:
        index = key.registers.item()
        registers = known(np.broadcast_to, registers, (1, *row))[0]
    registers = known(np.broadcast_to, registers, row)
    shared = shared_rows(tracer, target)
    if any(each.index != index or each.whole is not target for each in shared):
        raise Unsupported("assigns to an array of which it has selected a row")
    here = row_index(tracer, n, index)
    if isinstance(target, LiveArray) and not target.is_loaded and _is_table(target.memory):
        target.rows.append((here, registers.copy()))
        target.replace = partial(replace_row, tracer)
    else:
        replace_row(tracer, target.registers, here, registers)
    for each in shared:
        each.registers[...] = registers


def change_row(tracer: Tracer, row: Row, value: Value) -> None:
    """Assign the result of an in-place operator to a row, and so to the array that it is of."""
    checked = same_kind(row, value)
    registers = cast(tracer, checked.registers, checked.dtype, row.dtype)
    set_row(tracer, row.whole, Number(row.index, int), registers)
