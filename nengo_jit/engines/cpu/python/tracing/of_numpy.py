"""Implementations of NumPy's functions, and of the methods of its arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.casting import cast
from nengo_jit.engines.cpu.python.tracing.conversions import (
    array_of,
    as_array,
    known,
    known_array,
    registers_of,
)
from nengo_jit.engines.cpu.python.tracing.functions import (
    FUNCTIONS,
    METHODS,
    SIZES,
    Implementation,
    method,
    stands_for,
)
from nengo_jit.engines.cpu.python.tracing.indexing import (
    change_by,
    element,
    set_item,
)
from nengo_jit.engines.cpu.python.tracing.instruction import scalar
from nengo_jit.engines.cpu.python.tracing.operators import (
    call_ufunc,
    on_selections,
)
from nengo_jit.engines.cpu.python.tracing.selections import Selection
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.ufuncs import CLIP
from nengo_jit.engines.cpu.python.tracing.values import (
    INTEGERS,
    SAMPLES,
    SCALARS,
    Array,
    Number,
    Unsupported,
    Value,
    check_count,
    described,
    is_known,
    is_scalar,
    type_of,
)

Function: TypeAlias = Callable[..., object]
Arguments: TypeAlias = tuple[Value, ...]
Keywords: TypeAlias = dict[str, Value]

# Functions that NumPy applies to an array's registers as it would to the elements
STRUCTURAL: set[Function] = {
    *(np.reshape, np.ravel, np.transpose, np.squeeze, np.roll, np.flip, np.tile, np.repeat),
    *(np.atleast_1d, np.atleast_2d, np.expand_dims, np.fliplr, np.flipud, np.moveaxis),
    *(np.swapaxes, np.broadcast_to, np.take, np.delete, np.array_split, np.split),
}
GROWING = {np.tile, np.repeat, np.split, np.array_split}
JOINING: set[Function] = {
    np.concatenate,
    np.hstack,
    np.vstack,
    np.stack,
    np.column_stack,
    np.append,
}
ATTRIBUTES = {"shape", "size", "ndim", "T", "dtype"}


def _rearrange(tracer: Tracer, function: Function, args: Arguments, kwargs: Keywords) -> Value:
    if function is np.split and not isinstance(args[0], Array):
        raise Unsupported(f"calls `np.split` on {described(args[0])}")
    array = array_of(tracer, args[0])
    if function is np.roll and len(args) == 2 and isinstance(args[1], Number):
        return _roll(tracer, array, args[1])
    rest = [known_array(tracer, each) if isinstance(each, Array) else each for each in args[1:]]
    if not is_known(tuple(rest)) or not is_known(tuple(kwargs.values())):
        raise Unsupported(f"calls `np.{function.__name__}` with arguments that it computes")
    if function in GROWING:
        check_growth(array, *rest, *kwargs.values())
    result = known(function, array.registers, *rest, **kwargs)
    if isinstance(result, list):
        return [array.of(each) for each in result]
    if not isinstance(result, np.ndarray):
        return element(tracer, array, result)
    return array.of(result)


def check_growth(array: Array, *arguments: Value) -> None:
    """Check the size of an array after as many repetitions as the arguments ask for."""
    counts = [np.maximum(np.abs(np.asarray(each)), 1) for each in arguments if each]
    asked = [float(np.prod(each, dtype=np.float64)) for each in counts]
    check_count(array.registers.size * math.prod(asked))


def _implemented_by(
    implementation: Callable[[Tracer, Function, Arguments, Keywords], Value], function: Function
) -> Implementation:
    def call(tracer: Tracer, *args: Value, **kwargs: Value) -> Value:
        return implementation(tracer, function, args, kwargs)

    return call


def _roll(tracer: Tracer, array: Array, shift: Number) -> Array:
    if shift.type not in INTEGERS or array.registers.size == 0:
        raise Unsupported("rolls an array by a number that is not an integer")
    n = array.registers.size
    first = tracer.contiguous(array.registers)
    result = tracer.compute(Opcode.ROLL, first, scalar(shift.register), n=n)
    return array.of(np.arange(result, result + n).reshape(array.registers.shape))


def _join(tracer: Tracer, function: Function, args: Arguments, kwargs: Keywords) -> Array:
    if function is np.append:
        if len(args) != 2 or kwargs:
            raise Unsupported("calls `np.append` with arguments that are not supported")
        whole = [array_of(tracer, each) for each in args]
        function, args = np.concatenate, ([each.of(each.registers.ravel()) for each in whole],)
    if not isinstance(args[0], (list, tuple)) or not is_known((*args[1:], *kwargs.values())):
        raise Unsupported(f"calls `np.{function.__name__}` with arguments that are not supported")
    arrays = [array_of(tracer, each) for each in args[0]]
    check_count(sum(each.registers.size for each in arrays))
    registers = known(function, [each.registers for each in arrays], *args[1:], **kwargs)
    assert isinstance(registers, np.ndarray)
    return Array(registers, np.result_type(*(each.dtype for each in arrays)))


FUNCTIONS.update({each: _implemented_by(_rearrange, each) for each in STRUCTURAL})
FUNCTIONS.update({each: _implemented_by(_join, each) for each in JOINING})


@stands_for(np.diag)
def _diag(tracer: Tracer, value: Value, k: int = 0) -> Array:
    array = array_of(tracer, value)
    if not isinstance(k, int):
        raise Unsupported("calls `np.diag` with a diagonal that it computes")
    if array.registers.ndim != 1:
        return array.of(known(np.diag, array.registers, k))  # a view
    n = len(array.registers) + abs(k)
    check_count(n * n)
    registers = np.full((n, n), tracer.constant(0.0))
    np.fill_diagonal(registers[max(-k, 0) :, max(k, 0) :], array.registers)
    return Array(registers, array.dtype)


@stands_for(np.isfinite)
def _isfinite(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if not array.registers.ndim:
        return np.bool_(True)
    return tracer.array(np.ones_like(array.registers, bool))


@stands_for(np.isnan, np.isinf)
def _isnan(tracer: Tracer, value: Value) -> Value:
    array = array_of(tracer, value)
    if not array.registers.ndim:
        return np.bool_(False)
    return tracer.array(np.zeros_like(array.registers, bool))


@stands_for(np.copy)
def _np_copy(tracer: Tracer, value: Value) -> Array:
    return _new_array(tracer, value)


@stands_for(np.array)
def _new_array(tracer: Tracer, value: Value, dtype: Value = None, copy: Value = True) -> Array:
    if copy is not True:
        raise Unsupported("calls `np.array` without copying")
    array = as_array(tracer, value)
    if not isinstance(array, Array):
        array = Array(registers_of(tracer, array), np.dtype(type(SAMPLES[type_of(array)])))
    return _astype(tracer, array, array.dtype if dtype is None else dtype)


@stands_for(np.asarray)
def _asarray(tracer: Tracer, value: Value, dtype: Value = None) -> Array:
    if isinstance(value, Array) and (dtype is None or dtype_of(dtype) == value.dtype):
        return value
    return _new_array(tracer, value, dtype)


def dtype_of(kind: Any) -> np.dtype:
    """Convert to a dtype; raises Unsupported if NumPy knows no such type."""
    try:
        return np.dtype(kind)
    except TypeError:
        raise Unsupported(f"makes an array of {kind}") from None


@method("astype")
def _method_astype(tracer: Tracer, value: Value, dtype: Value) -> Value:
    if isinstance(value, Selection):
        return on_selections(tracer, lambda array: _astype(tracer, array, dtype), (value,))
    return _astype(tracer, value, dtype)


def _astype(tracer: Tracer, array: Value, dtype: Value) -> Array:
    assert isinstance(array, Array)
    target = dtype_of(dtype)
    if target != array.dtype and target not in SCALARS:
        raise Unsupported(f"makes an array of {target}")
    return Array(cast(tracer, array.registers, array.dtype, target).copy(order="K"), target)


@stands_for(np.zeros_like)
def _zeros_like(tracer: Tracer, value: Value) -> Array:
    array = array_of(tracer, value)
    return tracer.array(np.zeros_like(array.registers, array.dtype))


@stands_for(np.ones_like)
def _ones_like(tracer: Tracer, value: Value) -> Array:
    array = array_of(tracer, value)
    return tracer.array(np.ones_like(array.registers, array.dtype))


@stands_for(np.full)
def _full(tracer: Tracer, shape: Value, value: Value) -> Array:
    if not is_known(shape) or not is_scalar(value):
        raise Unsupported("calls `np.full` with arguments that are not supported")
    check_count(known(SIZES[np.full], shape, value))
    registers = known(np.full, shape, tracer.register(value))
    return Array(registers, np.dtype(type(SAMPLES[type_of(value)])))


@stands_for(np.empty_like)
def _empty_like(tracer: Tracer, value: Value) -> Array:
    array = array_of(tracer, value)  # filled by zeros: nobody may read what is in it
    return tracer.array(np.zeros_like(array.registers, array.dtype))


@method("clip")
def _clip(tracer: Tracer, value: Value, min: Value = None, max: Value = None) -> Value:
    if min is None:
        return call_ufunc(tracer, np.minimum, value, max)
    if max is None:
        return call_ufunc(tracer, np.maximum, value, min)
    return call_ufunc(tracer, CLIP, value, min, max)


@stands_for(np.clip)
def _np_clip(
    tracer: Tracer,
    value: Value,
    a_min: Value = None,
    a_max: Value = None,
    *,
    min: Value = None,
    max: Value = None,
) -> Value:
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    return _clip(tracer, value, low, high)


@stands_for(CLIP)
def _umath_clip(tracer: Tracer, value: Value, low: Value, high: Value) -> Value:
    return call_ufunc(tracer, CLIP, value, low, high)


# Functions that change their first argument


def _changing(function: Function) -> Implementation:
    def call(tracer: Tracer, array: Value, *args: Value) -> None:
        if not isinstance(array, Array):
            raise Unsupported(f"changes {described(array)}")
        change_by(tracer, array, function, args)

    return call


CHANGING: set[Function] = {np.copyto, np.putmask, np.place, np.put, np.fill_diagonal}
FUNCTIONS.update({each: _changing(each) for each in CHANGING})


@method("round")
@stands_for(np.round)
def _round(tracer: Tracer, value: Value, decimals: Value = 0) -> Value:
    if isinstance(value, Selection):
        return on_selections(tracer, lambda array: _round(tracer, array, decimals), (value,))
    array = array_of(tracer, value)
    if type(decimals) is not int or decimals != 0 or array.dtype.kind != "f":
        raise Unsupported("calls `np.round` for decimals, or on numbers that are not real")
    return call_ufunc(tracer, np.rint, array)


@stands_for(np.outer)
def _outer(tracer: Tracer, a: Value, b: Value) -> Value:
    first, second = array_of(tracer, a), array_of(tracer, b)
    column = first.of(first.registers.ravel()[:, None])
    return call_ufunc(tracer, np.multiply, column, second.of(second.registers.ravel()[None]))


# Methods of arrays and numbers


@method("copy")
def _copy(tracer: Tracer, array: Array | Selection) -> Value:
    if isinstance(array, Selection):
        return replace(array)
    return Array(array.registers.copy(), array.dtype)


@method("item")
def _item(tracer: Tracer, value: Value) -> Value:
    if isinstance(value, Array) and value.registers.size == 1:
        kinds = {"f": float, "i": int, "b": bool}
        return tracer.number(value.registers.item(), kinds[value.dtype.kind])
    raise Unsupported(f"calls `item` of {described(value)}")


@method("tolist")
def _tolist(tracer: Tracer, array: Array) -> Value:
    if array.registers.ndim != 1:
        raise Unsupported("makes a list of a matrix")
    return [_item(tracer, array.of(each)) for each in array.registers.reshape(-1, 1)]


@method("fill")
def _fill(tracer: Tracer, array: Array, value: Value) -> None:
    set_item(tracer, array, ..., value)


def _structural(name: str) -> Implementation:
    def call(tracer: Tracer, array: Array, *args: Value, **kwargs: Value) -> Array:
        if not is_known((*args, *kwargs.values())):
            raise Unsupported(f"calls `{name}` with arguments that it computes")
        if name == "repeat":
            check_growth(array, *args, *kwargs.values())
        return array.of(known(getattr(array.registers, name), *args, **kwargs))

    return call


for _name in ("reshape", "ravel", "flatten", "transpose", "squeeze", "repeat", "swapaxes"):
    METHODS[_name] = _structural(_name)


def attribute_of(tracer: Tracer, array: Array, name: str) -> Value:
    """An attribute of an array, one of `ATTRIBUTES`."""
    if name == "T":
        return array.of(array.registers.T)
    if name == "dtype":
        return array.dtype
    if name == "size":
        return math.prod(array.shape)
    return array.shape if name == "shape" else len(array.shape)
