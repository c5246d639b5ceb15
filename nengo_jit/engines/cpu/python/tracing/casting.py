"""Convert numbers from one type to another, as NumPy does.

A register holds a float64 whatever the number's type is. Numbers of type float32 are those that
single precision can represent.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import CONSTANTS
from nengo_jit.engines.cpu.python.tracing.loops import packed
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import Array, Unsupported, Value

FLOAT32 = np.dtype(np.float32)


def cast(
    tracer: Tracer, registers: np.ndarray, source_type: DTypeLike, target_type: DTypeLike
) -> np.ndarray:
    """Cast numbers as NumPy does in assignments."""
    source, target = np.dtype(source_type), np.dtype(target_type)
    if target == source or source.kind == "b":
        return registers
    if target == FLOAT32:
        return rounded(tracer, registers)
    if target.kind == "f":
        return registers
    if target.kind == "i":
        return tracer.elementwise(Opcode.INTEGER, tracer.elementwise(Opcode.TRUNC, registers))
    zero = np.array(tracer.constant(0.0))
    return tracer.elementwise(Opcode.NOT_EQUAL, registers, zero)


def rounded(tracer: Tracer, registers: np.ndarray) -> np.ndarray:
    """Round numbers to single precision.

    Raises
    ------
    Unsupported
        If a number that is known is too large or too small for it.
    """
    if tracer.is_counting and registers.size:
        first = tracer.compute(Opcode.UNPACK, packed(tracer, registers), n=registers.size)
        return np.arange(first, first + registers.size).reshape(registers.shape)
    if not registers.size or registers.min() < CONSTANTS:
        return tracer.elementwise(Opcode.SHORT, registers)
    values = np.empty_like(registers, np.float64)
    flat = [tracer.writer.constant(each) for each in registers.ravel().tolist()]
    values[...] = np.reshape(flat, registers.shape)
    try:
        with np.errstate(all="raise"):
            return tracer.array(values.astype(FLOAT32, order="K")).registers
    except FloatingPointError:
        raise Unsupported("has a constant that single precision cannot represent") from None


def same_kind(
    array: Array, value: Value, casting: Literal["no", "same_kind"] = "same_kind"
) -> Array:
    """Check that NumPy casts a result to an array's type, and that it has the array's shape."""
    if isinstance(value, Array) and np.can_cast(value.dtype, array.dtype, casting):
        if value.registers.shape == array.registers.shape:
            return value
        raise Unsupported("changes an array in place by numbers of another shape")
    raise Unsupported("changes an array in place by numbers of another type")
