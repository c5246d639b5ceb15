"""Implementations of NumPy's functions of conditions."""

from __future__ import annotations

from functools import partial

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.casting import cast
from nengo_jit.engines.cpu.python.tracing.conversions import (
    array_of,
    as_array,
    is_constant,
    known,
    known_array,
    registers_of,
)
from nengo_jit.engines.cpu.python.tracing.functions import stands_for
from nengo_jit.engines.cpu.python.tracing.operators import (
    call_ufunc,
    on_selections,
)
from nengo_jit.engines.cpu.python.tracing.selections import Indices, Selection
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    SAMPLES,
    Array,
    Unsupported,
    Value,
    type_of,
)


@stands_for(np.nonzero)
def _nonzero(tracer: Tracer, value: Value) -> tuple[Value, ...]:
    array = array_of(tracer, value)
    condition = array if array.dtype == bool else call_ufunc(tracer, np.not_equal, array, 0)
    if is_constant(array):
        return tuple(map(tracer.array, np.nonzero(known_array(tracer, array))))
    assert isinstance(condition, Array)
    return tuple(Indices(condition, axis) for axis in range(condition.registers.ndim))


@stands_for(np.flatnonzero)
def _flatnonzero(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    (indices,) = _nonzero(tracer, array.of(array.registers.ravel()))
    return indices


@stands_for(np.where)
def _where(tracer: Tracer, condition: Value, *values: Value) -> Value:
    if not values:
        return _nonzero(tracer, condition)
    if any(isinstance(each, Selection) for each in (condition, *values)):
        return on_selections(tracer, partial(_choose, tracer), (condition, *values))
    return _choose(tracer, condition, *values)


def _choose(tracer: Tracer, condition: Value, a: Value, b: Value) -> Value:
    values = [as_array(tracer, each) for each in (a, b)]
    samples = [v.sample if isinstance(v, Array) else SAMPLES[type_of(v)] for v in values]
    dtype = np.asarray(known(np.where, True, *samples)).dtype
    types = [each.dtype if isinstance(each, Array) else type_of(each) for each in values]
    registers = [
        cast(tracer, registers_of(tracer, each), kind, dtype)
        if dtype == np.float32
        else registers_of(tracer, each)
        for each, kind in zip(values, types)
    ]
    try:
        chosen = tracer.elementwise(Opcode.SELECT, *registers, registers_of(tracer, condition))
    except ValueError:
        raise Unsupported("calculates with arrays of shapes that cannot be broadcast") from None
    return Array(chosen, dtype)
