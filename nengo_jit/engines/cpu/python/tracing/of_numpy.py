"""What functions of NumPy, and methods of its arrays, do to traced values."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.functions import (
    FUNCTIONS,
    METHODS,
    SIZES,
    Implementation,
    method,
    stands_for,
)
from nengo_jit.engines.cpu.python.tracing.indexing import cast, element, set_item
from nengo_jit.engines.cpu.python.tracing.instruction import scalar
from nengo_jit.engines.cpu.python.tracing.loops import product, reduce
from nengo_jit.engines.cpu.python.tracing.operators import (
    apply,
    array_of,
    as_array,
    call_ufunc,
    is_constant,
    known,
    known_array,
    registers_of,
)
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    INTEGERS,
    SAMPLES,
    Array,
    Number,
    Unsupported,
    check_count,
    described,
    is_known,
    is_scalar,
    type_of,
)

# What NumPy does to an array's registers as it would to its numbers
STRUCTURAL = {
    *(np.reshape, np.ravel, np.transpose, np.squeeze, np.roll, np.flip, np.tile, np.repeat),
    *(np.atleast_1d, np.atleast_2d, np.expand_dims, np.fliplr, np.flipud, np.moveaxis),
    *(np.swapaxes, np.broadcast_to, np.take, np.delete, np.array_split, np.split),
}
GROWING = {np.tile, np.repeat, np.split, np.array_split}
JOINING = {np.concatenate, np.hstack, np.vstack, np.stack, np.column_stack, np.append}
ATTRIBUTES = {"shape", "size", "ndim", "T", "dtype"}


def _rearrange(tracer: Tracer, function: Any, args: Any, kwargs: Any) -> Any:
    if function is np.split and not isinstance(args[0], Array):
        raise Unsupported(f"calls `np.split` on {described(args[0])}")
    array = array_of(tracer, args[0])
    if function is np.roll and len(args) == 2 and isinstance(args[1], Number):
        return _roll(tracer, array, args[1])
    rest = [known_array(tracer, each) if isinstance(each, Array) else each for each in args[1:]]
    if not is_known(tuple(rest)) or not is_known(tuple(kwargs.values())):
        raise Unsupported(f"calls `np.{function.__name__}` with what it computes")
    if function in GROWING:
        check_growth(array, *rest, *kwargs.values())
    result = known(function, array.registers, *rest, **kwargs)
    if isinstance(result, list):
        return [array.of(each) for each in result]
    if not isinstance(result, np.ndarray):
        return element(tracer, array, result)
    return array.of(result)


def check_growth(array: Array, *arguments: Any) -> None:
    """See that an array does not become large by as many repetitions as arguments ask for."""
    asked = [np.prod(np.maximum(np.abs(each), 1), dtype=float) for each in arguments if each]
    check_count(array.registers.size * math.prod(asked))


def _implemented_by(implementation: Implementation, function: Any) -> Implementation:
    def call(tracer: Tracer, *args: Any, **kwargs: Any) -> Any:
        return implementation(tracer, function, args, kwargs)

    return call


def _roll(tracer: Tracer, array: Array, shift: Number) -> Array:
    if shift.type not in INTEGERS or array.registers.size == 0:
        raise Unsupported("rolls an array by what is no integer")
    n = array.registers.size
    first = tracer.contiguous(array.registers)
    result = tracer.compute(Opcode.ROLL, first, scalar(shift.register), n=n)
    return array.of(np.arange(result, result + n).reshape(array.registers.shape))


def _join(tracer: Tracer, function: Any, args: Any, kwargs: Any) -> Array:
    if function is np.append:
        if len(args) != 2 or kwargs:
            raise Unsupported("calls `np.append` in a way that is not known")
        args = ((args[0], args[1]), *args[2:])
        arrays = [array_of(tracer, each) for each in args[0]]
        arrays = [each.of(each.registers.ravel()) for each in arrays]
        function, args = np.concatenate, (arrays,)
    if not isinstance(args[0], (list, tuple)) or not is_known((*args[1:], *kwargs.values())):
        raise Unsupported(f"calls `np.{function.__name__}` in a way that is not known")
    arrays = [array_of(tracer, each) for each in args[0]]
    check_count(sum(each.registers.size for each in arrays))
    registers = known(function, [each.registers for each in arrays], *args[1:], **kwargs)
    return Array(registers, np.result_type(*(each.dtype for each in arrays)))


FUNCTIONS.update({each: _implemented_by(_rearrange, each) for each in STRUCTURAL})
FUNCTIONS.update({each: _implemented_by(_join, each) for each in JOINING})


@stands_for(np.diag)
def _diag(tracer: Tracer, value: Any, k: int = 0) -> Array:
    array = array_of(tracer, value)
    if not isinstance(k, int):
        raise Unsupported("calls `np.diag` with what it computes")
    if array.registers.ndim != 1:
        return array.of(known(np.diag, array.registers, k))  # a view
    n = len(array.registers) + abs(k)
    check_count(n * n)
    registers = np.full((n, n), tracer.constant(0.0))
    np.fill_diagonal(registers[max(-k, 0) :, max(k, 0) :], array.registers)
    return Array(registers, array.dtype)


@stands_for(np.isfinite)
def _isfinite(tracer: Tracer, value: Any) -> Any:
    array = array_of(tracer, value)
    if not array.registers.ndim:
        return np.bool_(True)
    return tracer.array(np.ones_like(array.registers, bool))


@stands_for(np.isnan, np.isinf)
def _isnan(tracer: Tracer, value: Any) -> Any:
    array = array_of(tracer, value)
    if not array.registers.ndim:
        return np.bool_(False)
    return tracer.array(np.zeros_like(array.registers, bool))


@stands_for(np.copy)
def _np_copy(tracer: Tracer, value: Any) -> Array:
    return _new_array(tracer, value)


@stands_for(np.array)
def _new_array(tracer: Tracer, value: Any, dtype: Any = None, copy: Any = True) -> Array:
    if copy is not True:
        raise Unsupported("calls `np.array` without copying")
    array = as_array(tracer, value)
    if not isinstance(array, Array):
        array = Array(registers_of(tracer, array), np.dtype(type(SAMPLES[type_of(array)])))
    return _astype(tracer, array, array.dtype if dtype is None else dtype)


@stands_for(np.asarray)
def _asarray(tracer: Tracer, value: Any, dtype: Any = None) -> Array:
    if isinstance(value, Array) and (dtype is None or dtype_of(dtype) == value.dtype):
        return value
    return _new_array(tracer, value, dtype)


def dtype_of(kind: Any) -> np.dtype:
    """The type that is meant; Unsupported if it is none of those that are known."""
    try:
        return np.dtype(kind)
    except TypeError:
        raise Unsupported(f"makes an array of {kind}") from None


@method("astype")
def _astype(tracer: Tracer, array: Array, dtype: Any) -> Array:
    target = dtype_of(dtype)
    if target != array.dtype and target.name not in ("float64", "int64", "bool"):
        raise Unsupported(f"makes an array of {target}")
    return Array(cast(tracer, array.registers, array.dtype, target).copy(order="K"), target)


@stands_for(np.zeros_like)
def _zeros_like(tracer: Tracer, value: Any) -> Array:
    array = array_of(tracer, value)
    return tracer.array(np.zeros_like(array.registers, array.dtype))


@stands_for(np.ones_like)
def _ones_like(tracer: Tracer, value: Any) -> Array:
    array = array_of(tracer, value)
    return tracer.array(np.ones_like(array.registers, array.dtype))


@stands_for(np.full)
def _full(tracer: Tracer, shape: Any, value: Any) -> Array:
    if not is_known(shape) or not is_scalar(value):
        raise Unsupported("calls `np.full` in a way that is not known")
    check_count(known(SIZES[np.full], shape, value))
    registers = known(np.full, shape, tracer.register(value))
    return Array(registers, np.dtype(type(SAMPLES[type_of(value)])))


@stands_for(np.where)
def _where(tracer: Tracer, condition: Any, a: Any, b: Any) -> Any:
    values = [as_array(tracer, each) for each in (a, b)]
    samples = [v.sample if isinstance(v, Array) else SAMPLES[type_of(v)] for v in values]
    dtype = known(np.where, True, *samples).dtype
    registers = [registers_of(tracer, each) for each in (a, b, condition)]
    try:
        chosen = tracer.elementwise(Opcode.SELECT, *registers)
    except ValueError:
        raise Unsupported("calculates with arrays of shapes that do not fit") from None
    return Array(chosen, dtype)


@stands_for(np.clip)
def _clip(tracer: Tracer, value: Any, low: Any, high: Any) -> Any:
    if low is None or high is None:
        raise Unsupported("calls `np.clip` with one bound")
    return call_ufunc(tracer, CLIP, value, low, high)


# It was called `core` before NumPy 2. NumPy 1.26 has a `_core`, too, which holds next to nothing.
_core: Any = getattr(np, "_core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "core")
CLIP: np.ufunc = _core.umath.clip


@stands_for(np.outer)
def _outer(tracer: Tracer, a: Any, b: Any) -> Any:
    first, second = array_of(tracer, a), array_of(tracer, b)
    column = first.of(first.registers.ravel()[:, None])
    return call_ufunc(tracer, np.multiply, column, second.of(second.registers.ravel()[None]))


@method("sum")
@stands_for(np.sum)
def _np_sum(tracer: Tracer, value: Any) -> Any:
    return reduce(tracer, np.add, array_of(tracer, value), 0.0)


@method("prod")
@stands_for(np.prod)
def _np_prod(tracer: Tracer, value: Any) -> Any:
    return reduce(tracer, np.multiply, array_of(tracer, value), 1.0)


@method("max")
@stands_for(np.max)
def _np_max(tracer: Tracer, value: Any) -> Any:
    return reduce(tracer, np.maximum, array_of(tracer, value), None)


@method("min")
@stands_for(np.min)
def _np_min(tracer: Tracer, value: Any) -> Any:
    return reduce(tracer, np.minimum, array_of(tracer, value), None)


@method("mean")
@stands_for(np.mean)
def _mean(tracer: Tracer, value: Any) -> Any:
    total = reduce(tracer, np.add, array_of(tracer, value), 0.0)
    return apply(tracer, operator.truediv, total, len(array_of(tracer, value)))


@stands_for(np.dot)
@method("dot")
def _dot(tracer: Tracer, a: Any, b: Any) -> Any:
    if is_scalar(a) and is_scalar(b):
        return call_ufunc(tracer, np.multiply, a, b)
    if any(1 in array_of(tracer, each).registers.shape for each in (a, b)):
        raise Unsupported("calls `np.dot` on arrays with one element along a dimension")
    if is_scalar(a) or is_scalar(b):  # what is too small gets the sign that BLAS gives it
        raise Unsupported("calls `np.dot` on a number and an array")
    return product(tracer, array_of(tracer, a), array_of(tracer, b))


@stands_for(np.linalg.norm)
def _norm(tracer: Tracer, value: Any) -> Any:
    array = array_of(tracer, value)
    if array.registers.ndim != 1:
        raise Unsupported("computes the norm of a matrix")
    flat = array.of(array.registers.ravel(order="K"))
    return call_ufunc(tracer, np.sqrt, product(tracer, flat, flat))


@stands_for(np.argmax)
@method("argmax")
def _argmax(tracer: Tracer, value: Any) -> Any:
    return _place(tracer, value, False)


@stands_for(np.argmin)
@method("argmin")
def _argmin(tracer: Tracer, value: Any) -> Any:
    return _place(tracer, value, True)


def _place(tracer: Tracer, value: Any, of_smallest: bool) -> Any:
    """Where the first of the largest, or smallest, numbers of an array stands."""
    flat = array_of(tracer, value).registers.ravel().tolist()
    if not flat:
        raise Unsupported("looks for the largest of no numbers")
    best, place = flat[0], tracer.constant(0)
    for i, register in enumerate(flat[1:], 1):
        pair = (scalar(register), scalar(best)) if of_smallest else (scalar(best), scalar(register))
        is_better = scalar(tracer.compute(Opcode.LESS, *pair))
        best = tracer.compute(Opcode.SELECT, scalar(register), scalar(best), is_better)
        place = tracer.compute(Opcode.SELECT, scalar(tracer.constant(i)), scalar(place), is_better)
    return tracer.number(place, np.int64)


@stands_for(np.any)
@method("any")
def _np_any(tracer: Tracer, value: Any) -> Any:
    return _among(tracer, value, Opcode.OR, False)


@stands_for(np.all)
@method("all")
def _np_all(tracer: Tracer, value: Any) -> Any:
    return _among(tracer, value, Opcode.AND, True)


def _among(tracer: Tracer, value: Any, opcode: Opcode, initial: bool) -> Any:
    array = array_of(tracer, value)
    if is_constant(array):
        return np.bool_((np.any if opcode == Opcode.OR else np.all)(known_array(tracer, array)))
    flat = array.registers.ravel()
    result = tracer.constant(initial)
    for register in flat.tolist():
        result = tracer.compute(opcode, scalar(result), scalar(register))
    return tracer.number(result, np.bool_)


# Methods of arrays and numbers


@method("copy")
def _copy(tracer: Tracer, array: Array) -> Array:
    return Array(array.registers.copy(), array.dtype)


@method("item")
def _item(tracer: Tracer, value: Any) -> Any:
    if isinstance(value, Array) and value.registers.size == 1:
        kinds = {"f": float, "i": int, "b": bool}
        return tracer.number(value.registers.item(), kinds[value.dtype.kind])
    raise Unsupported(f"calls `item` of {described(value)}")


@method("tolist")
def _tolist(tracer: Tracer, array: Array) -> Any:
    if array.registers.ndim != 1:
        raise Unsupported("makes a list of a matrix")
    return [_item(tracer, array.of(each)) for each in array.registers.reshape(-1, 1)]


@method("fill")
def _fill(tracer: Tracer, array: Array, value: Any) -> None:
    set_item(tracer, array, ..., value)


def _structural(name: str) -> Implementation:
    def call(tracer: Tracer, array: Array, *args: Any, **kwargs: Any) -> Array:
        if not is_known((*args, *kwargs.values())):
            raise Unsupported(f"calls `{name}` with what it computes")
        if name == "repeat":
            check_growth(array, *args, *kwargs.values())
        return array.of(known(getattr(array.registers, name), *args, **kwargs))

    return call


for _name in ("reshape", "ravel", "flatten", "transpose", "squeeze", "repeat", "swapaxes"):
    METHODS[_name] = _structural(_name)


def attribute_of(tracer: Tracer, array: Array, name: str) -> Any:
    """An attribute of an array, one of `ATTRIBUTES`."""
    if name == "T":
        return array.of(array.registers.T)
    if name == "dtype":
        return array.dtype
    return getattr(array.registers, name)
