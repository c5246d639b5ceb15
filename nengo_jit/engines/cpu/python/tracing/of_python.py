"""Implementations of Python's own functions, and of those of its module `math`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from types import FunctionType

import numpy as np
from nengo.params import FrozenObject

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.addresses import c_function
from nengo_jit.engines.cpu.python.tracing.casting import cast
from nengo_jit.engines.cpu.python.tracing.conversions import (
    known,
)
from nengo_jit.engines.cpu.python.tracing.functions import FUNCTIONS, Implementation, stands_for
from nengo_jit.engines.cpu.python.tracing.indexing import set_item
from nengo_jit.engines.cpu.python.tracing.instruction import scalar
from nengo_jit.engines.cpu.python.tracing.iterators import Iteration, elements, iterate, reverse
from nengo_jit.engines.cpu.python.tracing.operators import (
    apply,
    call_ufunc,
    native,
)
from nengo_jit.engines.cpu.python.tracing.reductions import count_of
from nengo_jit.engines.cpu.python.tracing.selections import Indices
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.truths import compare, truth
from nengo_jit.engines.cpu.python.tracing.values import (
    SAMPLES,
    Array,
    LocalFunction,
    Number,
    Super,
    Unknown,
    Unsupported,
    Value,
    described,
    is_known,
    is_scalar,
    type_of,
)
from nengo_jit.ir.evaluator import assign
from nengo_jit.ir.python import store

# Functions of the C library that `math` calls, and checks the results of
OF_ONE = [
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "exp",
    "expm1",
    "log10",
    "log2",
    "log1p",
]
OF_TWO = ["atan2", "fmod", "pow", "copysign"]

# Functions of this package


@stands_for(store)
def _store(tracer: Tracer, value: Value, output: Value, fn: Value) -> None:
    if value is None:
        raise Unsupported("returns None")
    set_item(tracer, output, ..., value)


@stands_for(assign)
def _assign(tracer: Tracer, value: Value, target: Value) -> None:
    if value is None:
        raise Unsupported("returns None")
    if isinstance(value, (list, tuple)) and not all(map(is_scalar, value)):
        raise Unsupported("returns a list of arrays")
    set_item(tracer, target, ..., value)


# Functions of Python


@stands_for(abs)
def _abs(tracer: Tracer, value: Value) -> Value:
    if isinstance(value, Array):
        return call_ufunc(tracer, np.absolute, value)
    return native(tracer, np.absolute, (value,), type(known(abs, SAMPLES[type_of(value)])))


@stands_for(float)
def _float(tracer: Tracer, value: Value = 0.0) -> Value:
    return Number(_number(value).register, float)


@stands_for(np.float64)
def _float64(tracer: Tracer, value: Value) -> Value:
    return Number(_number(value).register, np.float64)


@stands_for(np.float32)
def _float32(tracer: Tracer, value: Value) -> Value:
    number = _number(value)
    registers = cast(tracer, np.array(number.register), number.type, np.float32)
    return Number(registers.item(), np.float32)


@stands_for(bool)
def _bool(tracer: Tracer, value: Value) -> Value:
    return truth(tracer, value)


def _rounded_by(function: Callable[..., Value], opcode: Opcode) -> Implementation:
    def call(tracer: Tracer, value: Value) -> Number:
        number = _number(value)
        if type(known(function, SAMPLES[number.type])) is not int:
            raise Unsupported(f"rounds {described(value)}")
        register = tracer.compute(opcode, scalar(number.register))
        return Number(tracer.compute(Opcode.INTEGER, scalar(register)), int)

    return call


def _number(value: Value) -> Number:
    if not isinstance(value, Number):
        raise Unsupported(f"converts {described(value)} to a number")
    return value


FUNCTIONS[int] = _rounded_by(int, Opcode.TRUNC)
FUNCTIONS[round] = _rounded_by(round, Opcode.RINT)
FUNCTIONS[math.trunc] = _rounded_by(math.trunc, Opcode.TRUNC)
FUNCTIONS[math.floor] = _rounded_by(math.floor, Opcode.FLOOR)
FUNCTIONS[math.ceil] = _rounded_by(math.ceil, Opcode.CEIL)


@stands_for(len)
def _len(tracer: Tracer, value: Value) -> Value:
    if isinstance(value, Indices):
        return count_of(tracer, value)
    if isinstance(value, Array) and value.shape:
        return len(value)
    if isinstance(value, (list, tuple)):
        return len(value)
    raise Unsupported(f"takes the length of {described(value)}")


@stands_for(list)
def _list(tracer: Tracer, value: Value = ()) -> list[Value]:
    return elements(tracer, value)


@stands_for(tuple)
def _tuple(tracer: Tracer, value: Value = ()) -> tuple[Value, ...]:
    return value if type(value) is tuple else tuple(elements(tracer, value))


@stands_for(reversed)
def _reversed(tracer: Tracer, value: Value) -> Iteration:
    return Iteration(reverse(tracer, value))


@stands_for(enumerate)
def _enumerate(tracer: Tracer, value: Value, start: int = 0) -> Iteration:
    return Iteration(enumerate(iterate(tracer, value), start))


@stands_for(zip)
def _zip(tracer: Tracer, *values: Value) -> Iteration:
    return Iteration(zip(*(iterate(tracer, value) for value in values)))


@stands_for(iter)
def _iter(tracer: Tracer, value: Value) -> Value:
    return value if isinstance(value, Iteration) else Iteration(iterate(tracer, value))


@stands_for(next)
def _next(tracer: Tracer, value: Value, *default: Value) -> Value:
    if not isinstance(value, Iteration):
        raise Unsupported(f"calls `next` on {described(value)}")
    for each in value:
        return each
    if not default:
        raise Unsupported("calls `next` on an exhausted iterator")
    return default[0]


@stands_for(sum)
def _sum(tracer: Tracer, value: Value, start: Value = 0) -> Value:
    total = start
    for each in iterate(tracer, value):
        if SUMS_ARE_COMPENSATED and is_scalar(each) and type_of(each) is float:
            raise Unsupported("calls `sum` on numbers of type float")
        total = apply(tracer, operator.add, total, each)
    return total


SUMS_ARE_COMPENSATED = sum([1e100, 1.0, -1e100]) == 1.0  # true from Python 3.12 on


@stands_for(all)
def _all(tracer: Tracer, value: Value) -> bool:
    return all(truth(tracer, each) for each in iterate(tracer, value))


@stands_for(any)
def _any(tracer: Tracer, value: Value) -> bool:
    return any(truth(tracer, each) for each in iterate(tracer, value))


@stands_for(max)
def _max(tracer: Tracer, *values: Value) -> Value:
    return _extreme(tracer, ">", values)


@stands_for(min)
def _min(tracer: Tracer, *values: Value) -> Value:
    return _extreme(tracer, "<", values)


def _extreme(tracer: Tracer, symbol: str, values: tuple[Value, ...]) -> Value:
    candidates = elements(tracer, values[0]) if len(values) == 1 else values
    if not candidates:
        raise Unsupported("calls `max` or `min` on an empty iterable")
    best = candidates[0]
    for each in candidates[1:]:
        is_better = compare(tracer, symbol, each, best)
        if isinstance(is_better, Number) and type_of(each) is type_of(best):
            registers = scalar(tracer.register(each)), scalar(tracer.register(best))
            condition = scalar(is_better.register)
            best = Number(tracer.compute(Opcode.SELECT, *registers, condition), type_of(best))
        elif truth(tracer, is_better):
            best = each
    return best


@stands_for(pow)
def _pow(tracer: Tracer, base: Value, exponent: Value) -> Value:
    return apply(tracer, operator.pow, base, exponent)


@stands_for(divmod)
def _divmod(tracer: Tracer, a: Value, b: Value) -> Value:
    return apply(tracer, operator.floordiv, a, b), apply(tracer, operator.mod, a, b)


@stands_for(isinstance)
def _isinstance(tracer: Tracer, value: Value, kinds: Value) -> bool:
    classes: list[type] = []
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        is_class = type(kind) is type or getattr(kind, "__module__", "") in ABSTRACT
        if not (isinstance(kind, type) and is_class):
            raise Unsupported(f"tests whether {described(value)} is an instance of {kind!r}")
        classes.append(kind)
    return issubclass(_type(tracer, value), tuple(classes))


ABSTRACT = ("numbers", "collections.abc")  # modules whose abstract classes may be asked for


@stands_for(type)
def _type(tracer: Tracer, value: Value) -> type:
    if isinstance(value, Number):
        return value.type
    if isinstance(value, Array):
        return np.ndarray
    if isinstance(value, LocalFunction):
        return FunctionType
    if isinstance(value, Unknown):
        raise Unsupported("takes the type of an object that it makes")
    return type(value)


@stands_for(super)
def _super(tracer: Tracer, after: Value, owner: Value) -> Super:
    if isinstance(after, type) and isinstance(owner, FrozenObject) and isinstance(owner, after):
        return Super(after, owner)
    raise Unsupported(f"calls `super` on {described(owner)}")


@stands_for(callable)
def _callable(tracer: Tracer, value: Value) -> bool:
    return any("__call__" in vars(base) for base in _type(tracer, value).__mro__)


# Functions of the module math


def _from_c(name: str) -> Implementation:
    def call(tracer: Tracer, value: Value) -> Number:
        operand = scalar(_real(tracer, value))
        return Number(tracer.compute(Opcode.FUNCTION, operand, c_function(name)), float)

    return call


def _from_c_of_two(name: str) -> Implementation:
    def call(tracer: Tracer, a: Value, b: Value) -> Number:
        operands = scalar(_real(tracer, a)), scalar(_real(tracer, b))
        return Number(tracer.compute(Opcode.FUNCTION_OF_TWO, *operands, c_function(name)), float)

    return call


def _real(tracer: Tracer, value: Value) -> int:
    if not is_scalar(value):
        raise Unsupported(f"calls a function of `math` on {described(value)}")
    known(math.fabs, SAMPLES[type_of(value)])  # check that `math` takes this type
    return tracer.register(value)


FUNCTIONS.update({getattr(math, name): _from_c(name) for name in OF_ONE})
FUNCTIONS.update({getattr(math, name): _from_c_of_two(name) for name in OF_TWO})


@stands_for(math.log)
def _log(tracer: Tracer, value: Value, *base: Value) -> Value:
    logarithms = [
        known(math.log, each) if _is_positive(each) else _from_c("log")(tracer, each)
        for each in (value, *base)
    ]
    return apply(tracer, operator.truediv, *logarithms) if base else logarithms[0]


def _is_positive(value: Value) -> bool:
    return is_known(value) and known(operator.gt, value, 0)


@stands_for(math.sqrt)
def _sqrt(tracer: Tracer, value: Value) -> Value:
    return Number(tracer.compute(Opcode.SQRT, scalar(_real(tracer, value))), float)


@stands_for(math.fabs)
def _fabs(tracer: Tracer, value: Value) -> Value:
    return Number(tracer.compute(Opcode.ABSOLUTE, scalar(_real(tracer, value))), float)


@stands_for(math.degrees)
def _degrees(tracer: Tracer, value: Value) -> Value:
    return apply(tracer, operator.mul, _float(tracer, value), 180.0 / math.pi)


@stands_for(math.radians)
def _radians(tracer: Tracer, value: Value) -> Value:
    return apply(tracer, operator.mul, _float(tracer, value), math.pi / 180.0)


@stands_for(math.isnan, math.isinf)
def _never(tracer: Tracer, value: Value) -> bool:
    _real(tracer, value)
    return False


@stands_for(math.isfinite)
def _always(tracer: Tracer, value: Value) -> bool:
    _real(tracer, value)
    return True
