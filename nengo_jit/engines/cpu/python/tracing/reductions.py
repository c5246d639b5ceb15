"""Implementations of NumPy's functions and methods that reduce arrays."""

from __future__ import annotations

import operator

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.functions import method, stands_for
from nengo_jit.engines.cpu.python.tracing.instruction import scalar
from nengo_jit.engines.cpu.python.tracing.loops import product, reduce
from nengo_jit.engines.cpu.python.tracing.operators import (
    apply,
    array_of,
    call_ufunc,
    is_constant,
    known_array,
)
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    Number,
    Unsupported,
    Value,
    is_scalar,
)


@method("sum")
@stands_for(np.sum)
def _np_sum(tracer: Tracer, value: Value) -> Value:
    return reduce(tracer, np.add, array_of(tracer, value), 0.0)


@method("prod")
@stands_for(np.prod)
def _np_prod(tracer: Tracer, value: Value) -> Value:
    return reduce(tracer, np.multiply, array_of(tracer, value), 1.0)


@method("max")
@stands_for(np.max)
def _np_max(tracer: Tracer, value: Value) -> Value:
    return reduce(tracer, np.maximum, array_of(tracer, value), None)


@method("min")
@stands_for(np.min)
def _np_min(tracer: Tracer, value: Value) -> Value:
    return reduce(tracer, np.minimum, array_of(tracer, value), None)


@method("mean")
@stands_for(np.mean)
def _mean(tracer: Tracer, value: Value) -> Value:
    total = reduce(tracer, np.add, array_of(tracer, value), 0.0)
    return apply(tracer, operator.truediv, total, len(array_of(tracer, value)))


@stands_for(np.dot)
@method("dot")
def _dot(tracer: Tracer, a: Value, b: Value) -> Value:
    if is_scalar(a) and is_scalar(b):
        return call_ufunc(tracer, np.multiply, array_of(tracer, a), array_of(tracer, b))
    if any(1 in array_of(tracer, each).registers.shape for each in (a, b)):
        raise Unsupported("calls `np.dot` on arrays with one element along a dimension")
    if is_scalar(a) or is_scalar(b):  # BLAS chooses the sign of results that underflow
        raise Unsupported("calls `np.dot` on a number and an array")
    return product(tracer, array_of(tracer, a), array_of(tracer, b))


@stands_for(np.linalg.norm)
def _norm(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if array.registers.ndim != 1:
        raise Unsupported("computes the norm of a matrix")
    flat = array.of(array.registers.ravel(order="K"))
    return call_ufunc(tracer, np.sqrt, product(tracer, flat, flat))


@stands_for(np.argmax)
@method("argmax")
def _argmax(tracer: Tracer, value: Value) -> Value:
    return _index_of_extreme(tracer, value, False)


@stands_for(np.argmin)
@method("argmin")
def _argmin(tracer: Tracer, value: Value) -> Value:
    return _index_of_extreme(tracer, value, True)


def _index_of_extreme(tracer: Tracer, value: Value, of_smallest: bool) -> Value:
    """The index of the first of the largest, or smallest, elements of an array."""
    flat = array_of(tracer, value).registers.ravel().tolist()
    if not flat:
        raise Unsupported("takes the largest element of an empty array")
    best, index = flat[0], tracer.constant(0)
    for i, register in enumerate(flat[1:], 1):
        pair = (scalar(register), scalar(best)) if of_smallest else (scalar(best), scalar(register))
        is_better = scalar(tracer.compute(Opcode.LESS, *pair))
        best = tracer.compute(Opcode.SELECT, scalar(register), scalar(best), is_better)
        index = tracer.compute(Opcode.SELECT, scalar(tracer.constant(i)), scalar(index), is_better)
    return tracer.number(index, np.int64)


@stands_for(np.count_nonzero)
def _count_nonzero(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if is_constant(array):
        return int(np.count_nonzero(known_array(tracer, array)))
    zero = np.array(tracer.constant(0.0))
    flags = tracer.elementwise(Opcode.NOT_EQUAL, array.registers.ravel(), zero)
    return Number(reduce(tracer, np.add, Array(flags, np.float64), 0.0).register, int)


@stands_for(np.any)
@method("any")
def _np_any(tracer: Tracer, value: Value) -> Value:
    return _fold(tracer, value, Opcode.OR, False)


@stands_for(np.all)
@method("all")
def _np_all(tracer: Tracer, value: Value) -> Value:
    return _fold(tracer, value, Opcode.AND, True)


def _fold(tracer: Tracer, value: Value, opcode: Opcode, initial: bool) -> Value:
    array = array_of(tracer, value)
    if is_constant(array):
        return np.bool_((np.any if opcode == Opcode.OR else np.all)(known_array(tracer, array)))
    flat = array.registers.ravel()
    result = tracer.constant(initial)
    for register in flat.tolist():
        result = tracer.compute(opcode, scalar(result), scalar(register))
    return tracer.number(result, np.bool_)
