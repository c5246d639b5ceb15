"""Subscripts of traced arrays, lists and tuples: select elements and assign to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.casting import cast
from nengo_jit.engines.cpu.python.tracing.instruction import Memory, scalar
from nengo_jit.engines.cpu.python.tracing.operators import (
    as_array,
    check_nesting,
    is_constant,
    known,
    known_array,
    registers_of,
    wrapped,
)
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    INTEGERS,
    Array,
    LiveArray,
    Number,
    Unsupported,
    Value,
    described,
    is_known,
    is_scalar,
    type_of,
)


def get_item(tracer: Tracer, value: Value, key: Value) -> Value:
    """``value[key]``."""
    if isinstance(key, Number):
        return _look_up(tracer, value, key)
    if isinstance(value, Array):
        registers = known(value.registers.__getitem__, index_of(tracer, key))
        if isinstance(registers, np.ndarray):
            return value.of(registers)
        return element(tracer, value, registers)
    if isinstance(value, (list, tuple, str, range)) and is_known(key):
        return known(value.__getitem__, key)
    raise Unsupported(f"selects from {described(value)}")


def element(tracer: Tracer, array: Array, register: object) -> Value:
    """The element of an array that is in a register."""
    return wrapped(tracer, np.asarray(register), array.dtype, False)


def index_of(tracer: Tracer, key: Value) -> Any:
    """Convert a key to an index for NumPy.

    Raises
    ------
    Unsupported
        If the key is not known.
    """
    if isinstance(key, tuple):
        return tuple(index_of(tracer, each) for each in key)
    if isinstance(key, list):
        return [index_of(tracer, each) for each in key]
    if isinstance(key, Array):
        return known_array(tracer, key)
    if isinstance(key, Number):
        raise Unsupported("selects along several dimensions by an index that it computes")
    if isinstance(key, slice) and any(
        isinstance(each, Number) for each in (key.start, key.stop, key.step)
    ):
        raise Unsupported("selects a slice with bounds that it computes")
    if not is_known(key):
        raise Unsupported(f"selects by {described(key)}")
    return key


def _look_up(tracer: Tracer, value: Value, key: Number) -> Value:
    """Select by an index that is known only when the function runs."""
    if key.type not in INTEGERS:
        raise Unsupported(f"selects by {described(key)}")
    if isinstance(value, LiveArray) and not value.is_loaded and _is_table(value.memory):
        rows, shape = len(value.memory), value.memory.shape[1:]
        n = int(np.prod(shape))
        row = tracer.compute(
            Opcode.LOOKUP, Memory.of(value.memory), scalar(key.register), rows, n=n
        )
        return _row(tracer, value, np.arange(row, row + n).reshape(shape))
    if isinstance(value, Array):
        if not value.registers.ndim:
            raise Unsupported("selects from an array without dimensions")
        registers = value.registers
        if len(registers) and not np.asarray(registers[0]).flags.c_contiguous:
            raise Unsupported("selects a row that is not contiguous by an index that it computes")
    elif isinstance(value, (list, tuple)) and value and all(map(is_scalar, value)):
        kinds = {type_of(each) for each in value}
        if len(kinds) > 1:
            raise Unsupported("selects from numbers of different types")
        registers = np.array([tracer.register(each) for each in value])
        first = tracer.contiguous(registers)
        register = tracer.compute(Opcode.LOOKUP, first, scalar(key.register), len(value))
        return Number(register, kinds.pop())
    else:
        raise Unsupported(f"selects from {described(value)} by an index that it computes")
    rows, shape = len(registers), registers.shape[1:]
    n = int(np.prod(shape))
    first = tracer.contiguous(registers)
    result = tracer.compute(Opcode.LOOKUP, first, scalar(key.register), rows, n=n)
    return _row(tracer, value, np.arange(result, result + n).reshape(shape))


def _row(tracer: Tracer, value: Array, registers: np.ndarray) -> Value:
    """A number that has been looked up, or a copy of a row, which would be a view in NumPy."""
    if not registers.ndim:
        return element(tracer, value, registers)
    tracer.share(value)
    return Array(registers, value.dtype, writeable=False)


def _is_table(memory: np.ndarray) -> bool:
    """Whether single rows can be loaded from an array."""
    return memory.ndim > 0 and memory.dtype == np.float64


def set_item(tracer: Tracer, target: Value, key: Value, value: Value) -> None:
    """``target[key] = value``."""
    if isinstance(target, list) and is_known(key):
        if isinstance(key, slice):
            raise Unsupported("assigns to a slice of a list")
        known(target.__setitem__, key, value)
        if isinstance(value, (list, tuple)):
            check_nesting(target)
        return
    if not isinstance(target, Array):
        raise Unsupported(f"assigns to an element of {described(target)}")
    if not (target.writeable and target.registers.flags.writeable):
        raise Unsupported("assigns to an array that is read-only")
    if tracer.is_shared(target):
        raise Unsupported("assigns to an array of which it has selected a row")
    is_list = isinstance(value, (list, tuple))
    value = as_array(tracer, value)
    registers = registers_of(tracer, value)
    dtype = value.dtype if isinstance(value, Array) else type_of(value)
    if isinstance(key, Array) and key.dtype == np.bool_ and not is_constant(key):
        if registers.size != 1 or key.registers.shape != target.registers.shape:
            raise Unsupported("assigns an array where a condition holds")
        registers = cast(tracer, registers, dtype, target.dtype)
        chosen = tracer.elementwise(Opcode.SELECT, registers, target.registers, key.registers)
        target.registers[...] = chosen
        return
    index = index_of(tracer, key)
    registers = cast(tracer, registers, dtype, target.dtype)
    selected = np.ndim(known(target.registers.__getitem__, index))
    if registers.ndim > selected and (is_list or not selected):
        raise Unsupported("assigns an array, or nested lists, to a selection with fewer dimensions")
    known(target.registers.__setitem__, index, registers)
