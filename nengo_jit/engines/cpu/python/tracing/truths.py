"""Comparisons, and whether values count as true."""

from __future__ import annotations

import operator

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.conversions import (
    known,
)
from nengo_jit.engines.cpu.python.tracing.foreign import Foreign
from nengo_jit.engines.cpu.python.tracing.instruction import CONSTANTS, scalar
from nengo_jit.engines.cpu.python.tracing.operators import (
    apply,
)
from nengo_jit.engines.cpu.python.tracing.selections import Selection
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.ufuncs import Operator
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    Number,
    Unsupported,
    Value,
    described,
    is_known,
    is_scalar,
)

COMPARABLE = (Array, Selection, Foreign)


def truth(tracer: Tracer, value: Value) -> bool:
    """Whether a value counts as true. If that is not known, the tape branches."""
    if isinstance(value, Array):
        if value.registers.size != 1:
            raise Unsupported("tests whether an array is true")
        return tracer.decide(truth_register(tracer, value.registers.item()))
    if isinstance(value, Number):
        return tracer.decide(value.register)
    if isinstance(value, (list, tuple)):
        return len(value) > 0
    if not is_known(value):
        raise Unsupported(f"tests whether {described(value)} is true")
    return bool(known(bool, value))


def truth_register(tracer: Tracer, register: int) -> int:
    """A register that a tape can branch on: constants are moved to a register first."""
    return tracer.compute(Opcode.MOVE, scalar(register)) if register >= CONSTANTS else register


def compare(tracer: Tracer, symbol: str, a: Value, b: Value) -> Value:
    """Apply a comparison operator, such as "<="."""
    operations: dict[str, Operator] = {"<": operator.lt, "<=": operator.le, "==": operator.eq}
    operations |= {">": operator.gt, ">=": operator.ge, "!=": operator.ne}
    for value in (a, b):
        if not (is_known(value) or is_scalar(value) or isinstance(value, COMPARABLE)):
            raise Unsupported(f"compares {described(value)}")
    if any(value is None or isinstance(value, str) for value in (a, b)) and symbol in "==!=":
        if isinstance(a, Array) or isinstance(b, Array):
            raise Unsupported("compares an array with something else")
        return known(operations[symbol], a, b)
    return apply(tracer, operations[symbol], a, b)
