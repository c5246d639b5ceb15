"""Tables of NumPy's ufuncs: which operators they implement, and which opcodes implement them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.values import Value

Operator: TypeAlias = Callable[..., Value]

# NumPy 2 renamed `core` to `_core`. NumPy 1.26 has a `_core`, too, without `umath`.
_core: Any = getattr(np, "_core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "core")
CLIP: np.ufunc = _core.umath.clip

# Python's operators, and the ufuncs that implement them on arrays
UFUNCS: dict[Operator, np.ufunc] = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.true_divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.remainder,
    operator.pow: np.power,
    operator.matmul: np.matmul,
    operator.and_: np.bitwise_and,
    operator.or_: np.bitwise_or,
    operator.xor: np.bitwise_xor,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
    operator.neg: np.negative,
    operator.pos: np.positive,
    operator.invert: np.invert,
}
# Ufuncs that a tape's own instructions compute, exactly as NumPy does
OPCODES: dict[np.ufunc, Opcode] = {
    np.add: Opcode.ADD,
    np.subtract: Opcode.SUBTRACT,
    np.multiply: Opcode.MULTIPLY,
    np.true_divide: Opcode.DIVIDE,
    np.floor_divide: Opcode.FLOOR_DIVIDE,
    np.remainder: Opcode.REMAINDER,
    np.negative: Opcode.NEGATIVE,
    np.positive: Opcode.MOVE,
    np.absolute: Opcode.ABSOLUTE,
    np.fabs: Opcode.ABSOLUTE,
    np.sqrt: Opcode.SQRT,
    np.less: Opcode.LESS,
    np.less_equal: Opcode.LESS_EQUAL,
    np.equal: Opcode.EQUAL,
    np.not_equal: Opcode.NOT_EQUAL,
    np.logical_and: Opcode.AND,
    np.logical_or: Opcode.OR,
    np.logical_not: Opcode.NOT,
}
ON_BOOLEANS: dict[np.ufunc, np.ufunc] = {
    np.bitwise_and: np.logical_and,
    np.bitwise_or: np.logical_or,
    np.bitwise_xor: np.not_equal,
    np.invert: np.logical_not,
}
# Ufuncs with results that IEEE 754 defines, whatever the layout in memory
EXACT = set(OPCODES) | {np.square, np.reciprocal, np.floor, np.ceil, np.trunc, np.rint}
EXACT |= {np.copysign, np.greater, np.greater_equal}
# Of these, those with results that are never rounded. All others, rounded first to double and then
# to single precision, are what they are when they are rounded once.
UNROUNDED = {np.negative, np.positive, np.absolute, np.fabs, np.copysign}
UNROUNDED |= {np.floor, np.ceil, np.trunc, np.rint}
BY_VALUE = np.lib.NumpyVersion(np.__version__) < "2.0.0"  # types of results depend on values
# Functions of selected elements that may be computed for all elements: results are as finite as
# the operands, but for overflow
ON_ALL_ELEMENTS = {np.add, np.subtract, np.multiply, np.negative, np.positive, np.absolute}
SWAPPED = {np.greater: np.less, np.greater_equal: np.less_equal}
NOT_VECTORISED = {Opcode.FLOOR_DIVIDE, Opcode.REMAINDER}  # NumPy's loops are as fast
TO_BOOLEANS = {Opcode.LESS, Opcode.LESS_EQUAL, Opcode.EQUAL, Opcode.NOT_EQUAL}
TO_BOOLEANS |= {Opcode.AND, Opcode.OR, Opcode.NOT}
ON_INTEGERS = {Opcode.ADD, Opcode.SUBTRACT, Opcode.MULTIPLY, Opcode.NEGATIVE, Opcode.ABSOLUTE}
ON_INTEGERS |= {Opcode.MOVE, Opcode.FLOOR_DIVIDE, Opcode.REMAINDER}
# The ufuncs that NumPy takes in place of a power with one of these exponents
POWERS: dict[object, np.ufunc] = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal, 1: np.positive}
