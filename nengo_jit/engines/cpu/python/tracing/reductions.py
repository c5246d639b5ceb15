"""Implementations of NumPy's functions and methods that reduce arrays."""

from __future__ import annotations

import operator

import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.conversions import (
    array_of,
    is_constant,
    known_array,
)
from nengo_jit.engines.cpu.python.tracing.functions import method, stands_for
from nengo_jit.engines.cpu.python.tracing.instruction import scalar
from nengo_jit.engines.cpu.python.tracing.loops import reduce
from nengo_jit.engines.cpu.python.tracing.operators import (
    apply,
    call_ufunc,
)
from nengo_jit.engines.cpu.python.tracing.products import product
from nengo_jit.engines.cpu.python.tracing.selections import (
    Indices,
    Selection,
    positions_of,
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
    if isinstance(value, Selection):
        return _sum_of_selection(tracer, value)
    array = array_of(tracer, value)
    if array.dtype == np.bool_ and array.registers.size:
        flags = array.registers.ravel()
        return Number(reduce(tracer, np.add, Array(flags, FLOAT64), 0.0).register, np.int64)
    return reduce(tracer, np.add, array, 0.0)


def _sum_of_selection(tracer: Tracer, selection: Selection) -> Number:
    chosen = selection.chosen
    if chosen.n_axes < len(chosen.shape):
        raise Unsupported("adds rows that a condition selects")
    return reduce(
        tracer, np.add, selection.taken(tracer), 0.0, positions_of(tracer, chosen.condition)
    )


def count_of(tracer: Tracer, selection: Selection | Indices) -> Number:
    """How many elements or indices there are."""
    if isinstance(selection, Selection):
        condition = selection.chosen.condition
    else:
        condition = selection.condition.registers
    return Number(positions_of(tracer, condition).count, int)


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
    if isinstance(value, Selection):
        total = _sum_of_selection(tracer, value)
        return apply(tracer, operator.truediv, total, count_of(tracer, value))
    total = reduce(tracer, np.add, array_of(tracer, value), 0.0)
    return apply(tracer, operator.truediv, total, len(array_of(tracer, value)))


@stands_for(np.dot)
@method("dot")
def _dot(tracer: Tracer, a: Value, b: Value) -> Value:
    if is_scalar(a) and is_scalar(b):
        return call_ufunc(tracer, np.multiply, array_of(tracer, a), array_of(tracer, b))
    if is_scalar(a) or is_scalar(b):  # BLAS chooses the sign of results that underflow
        raise Unsupported("calls `np.dot` on a number and an array")
    return product(tracer, np.dot, array_of(tracer, a), array_of(tracer, b))


@stands_for(np.matmul)
def _matmul(tracer: Tracer, a: Value, b: Value) -> Value:
    return product(tracer, np.matmul, array_of(tracer, a), array_of(tracer, b))


@stands_for(np.linalg.norm)
def _norm(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if array.registers.ndim != 1:
        raise Unsupported("computes the norm of a matrix")
    flat = array.of(array.registers.ravel(order="K"))
    return call_ufunc(tracer, np.sqrt, product(tracer, np.dot, flat, flat))


@stands_for(np.argmax)
@method("argmax")
def _argmax(tracer: Tracer, value: Value) -> Value:
    return _index_of_extreme(tracer, value, np.maximum)


@stands_for(np.argmin)
@method("argmin")
def _argmin(tracer: Tracer, value: Value) -> Value:
    return _index_of_extreme(tracer, value, np.minimum)


def _index_of_extreme(tracer: Tracer, value: Value, ufunc: np.ufunc) -> Value:
    """The index of the first of the largest, or smallest, elements of an array."""
    registers = array_of(tracer, value).registers.ravel()
    if not registers.size:
        raise Unsupported("takes the largest element of an empty array")
    first = tracer.contiguous(registers)
    flat = np.arange(first.first, first.first + registers.size)
    best = scalar(reduce(tracer, ufunc, Array(flat, FLOAT64), None).register)
    return tracer.number(tracer.compute(Opcode.FIND, first, best, flat.size), np.int64)


@stands_for(np.count_nonzero)
def _count_nonzero(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if is_constant(array):
        return int(np.count_nonzero(known_array(tracer, array)))
    return Number(_n_nonzero(tracer, array), int)


def _n_nonzero(tracer: Tracer, array: Array) -> int:
    """The register with the number of elements that are not zero."""
    flags = array.registers.ravel()
    if array.dtype != np.bool_:
        zero = np.array(tracer.constant(0.0))
        flags = tracer.elementwise(Opcode.NOT_EQUAL, flags, zero)
    return reduce(tracer, np.add, Array(flags, FLOAT64), 0.0).register


@stands_for(np.any)
@method("any")
def _np_any(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if is_constant(array):
        return np.bool_(np.any(known_array(tracer, array)))
    counts = scalar(_n_nonzero(tracer, array)), scalar(tracer.constant(0.0))
    return tracer.number(tracer.compute(Opcode.NOT_EQUAL, *counts), np.bool_)


@stands_for(np.all)
@method("all")
def _np_all(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if is_constant(array):
        return np.bool_(np.all(known_array(tracer, array)))
    size = tracer.constant(array.registers.size)
    counts = scalar(_n_nonzero(tracer, array)), scalar(size)
    return tracer.number(tracer.compute(Opcode.EQUAL, *counts), np.bool_)
