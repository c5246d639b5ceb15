"""Python's operators on traced values.

The type of a result is what Python or NumPy returns for samples of the operands' types.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
from numpy.typing import DTypeLike

from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tape_vm import MANY
from nengo_jit.engines.cpu.python.tracing.addresses import c_function
from nengo_jit.engines.cpu.python.tracing.casting import FLOAT32, cast, rounded
from nengo_jit.engines.cpu.python.tracing.conversions import (
    array_of,
    as_array,
    check_nesting,
    constant,
    is_constant,
    known,
    known_array,
    registers_of,
    wrapped,
)
from nengo_jit.engines.cpu.python.tracing.foreign import Foreign, call_numpy
from nengo_jit.engines.cpu.python.tracing.instruction import scalar
from nengo_jit.engines.cpu.python.tracing.loops import is_contiguous, loop
from nengo_jit.engines.cpu.python.tracing.products import Function, product
from nengo_jit.engines.cpu.python.tracing.selections import (
    Selection,
    positions_of,
    take,
)
from nengo_jit.engines.cpu.python.tracing.shortcuts import chosen_by_booleans, clipped
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.ufuncs import (
    BY_VALUE,
    EXACT,
    NOT_VECTORISED,
    ON_ALL_ELEMENTS,
    ON_BOOLEANS,
    ON_INTEGERS,
    OPCODES,
    POWERS,
    SWAPPED,
    TO_BOOLEANS,
    UFUNCS,
    UNROUNDED,
    Operator,
)
from nengo_jit.engines.cpu.python.tracing.values import (
    BOOLEANS,
    INTEGERS,
    SAMPLES,
    SCALARS,
    Array,
    Number,
    Unsupported,
    Value,
    check_count,
    check_length,
    described,
    is_known,
    is_scalar,
    type_of,
)

LARGEST_KNOWN = 2**200
MOST_BITS = 1000
MOST_FACTORS = 64  # of an integer power


def apply(tracer: Tracer, operation: Operator, *values: Value) -> Value:
    """Apply one of Python's operators."""
    if all(map(is_known, values)):
        first, last = values[0], values[-1]
        is_growing = operation in (operator.pow, operator.lshift)
        if is_growing and isinstance(last, int) and abs(last) > MOST_BITS:
            raise Unsupported("computes a large integer")
        if isinstance(first, int) and abs(first) > LARGEST_KNOWN:
            raise Unsupported("computes with a large integer")
        if operation in (operator.mul, operator.mod) and any(
            isinstance(value, (str, bytes)) for value in values
        ):
            raise Unsupported("makes a string")
        if any(isinstance(value, (list, tuple)) for value in values):
            return _on_sequences(operation, values)
        return known(operation, *values)
    if any(isinstance(value, Foreign) for value in values) and operation in UFUNCS:
        return call_numpy(tracer, operation, values, {})
    if any(isinstance(value, (Array, Selection)) for value in values):
        return _on_arrays(tracer, operation, values)
    if any(isinstance(value, (list, tuple)) for value in values):
        return _on_sequences(operation, values)
    return _on_numbers(tracer, operation, values)


def _on_sequences(operation: Operator, values: tuple[Value, ...]) -> Value:
    is_joining = operation is operator.add and type(values[0]) is type(values[1])
    is_repeating = operation is operator.mul and not any(isinstance(v, Number) for v in values)
    if is_repeating:
        check_length(math.prod(abs(v) if isinstance(v, int) else known(len, v) for v in values))
    if is_joining or is_repeating or all(map(is_known, values)):
        result = known(operation, *values)
        check_nesting(result)
        return result
    raise Unsupported(f"compares or calculates with {described(values[0])}")


def _on_arrays(tracer: Tracer, operation: Operator, values: tuple[Value, ...]) -> Value:
    ufunc = UFUNCS.get(operation)
    if ufunc is None:
        raise Unsupported(f"applies `{operation.__name__}` to an array")
    if ufunc is np.matmul:
        return multiply(tracer, np.matmul, *values)
    base, exponent = values[0], values[-1]
    if ufunc is np.power and isinstance(base, Array) and not isinstance(exponent, Array):
        if not (is_known(exponent) and is_scalar(exponent)) or base.dtype.kind != "f":
            raise Unsupported("raises an array to a power that is not constant")
        if base.dtype == FLOAT32 and type(exponent) not in (int, float):
            raise Unsupported("raises an array of float32 to a power that is no Python number")
        if exponent in POWERS:
            return call_ufunc(tracer, POWERS[exponent], base)
        if exponent == 0:
            raise Unsupported("raises an array to the power of zero")
    return call_ufunc(tracer, ufunc, *values)


def multiply(tracer: Tracer, function: Function, a: Value, b: Value) -> Value:
    """The product of vectors or matrices by `numpy.matmul` or `numpy.dot`."""
    first, second = array_of(tracer, a), array_of(tracer, b)
    try:
        return product(tracer, function, first, second)
    except Unsupported:
        if first.dtype.kind == second.dtype.kind == "f":
            return call_numpy(tracer, function, (first, second), {})
        raise


def _on_numbers(tracer: Tracer, operation: Operator, values: tuple[Value, ...]) -> Value:
    types = [type_of(value) for value in values]
    result = type(known(operation, *(SAMPLES[kind] for kind in types)))
    ufunc = UFUNCS.get(operation)
    if ufunc is None:
        raise Unsupported(f"applies `{operation.__name__}` to {described(values[0])}")
    if operation is operator.pow:
        return _power(tracer, values, types, result)
    if np.float32 in types:
        return call_ufunc(tracer, ufunc, *values)
    if result in BOOLEANS and ufunc in ON_BOOLEANS:
        ufunc = ON_BOOLEANS[ufunc]
    return native(tracer, ufunc, values, result)


def native(tracer: Tracer, ufunc: np.ufunc, values: tuple[Value, ...], result: type) -> Number:
    """Compute a ufunc of single numbers by one of the tape's own instructions."""
    if ufunc in SWAPPED:
        ufunc, values = SWAPPED[ufunc], values[::-1]
    opcode = OPCODES.get(ufunc)
    if opcode is None or (result in BOOLEANS) != (opcode in TO_BOOLEANS):
        raise Unsupported(f"computes `{ufunc.__name__}` of {' and '.join(map(described, values))}")
    if result in INTEGERS and opcode not in ON_INTEGERS:
        raise Unsupported(f"computes `{ufunc.__name__}` of integers")
    register = tracer.compute(opcode, *(scalar(tracer.register(value)) for value in values))
    if result in INTEGERS:
        register = tracer.compute(Opcode.INTEGER, scalar(register))
    return Number(register, result)


def _power(tracer: Tracer, values: tuple[Value, ...], types: list[type], result: type) -> Value:
    base, exponent = values
    if result in INTEGERS:
        n = int(exponent) if isinstance(exponent, (int, np.integer)) else 0
        if not 1 <= n <= MOST_FACTORS or types[0] in BOOLEANS:
            raise Unsupported("raises an integer to a power")
        power = base
        for _ in range(n - 1):
            power = apply(tracer, operator.mul, power, base)
        return power
    if result not in (float, np.float64) or np.float32 in types:
        raise Unsupported(f"computes a power of {described(base)}")
    if types[0] in INTEGERS and types[1] in INTEGERS:
        raise Unsupported("raises an integer to a power")
    if np.int64 in types and np.float64 not in types:  # NumPy makes arrays of both
        raise Unsupported("computes a power of a Python number and a NumPy number")
    operands = (scalar(tracer.register(value)) for value in values)
    return Number(tracer.compute(Opcode.FUNCTION_OF_TWO, *operands, c_function("pow")), result)


def call_ufunc(tracer: Tracer, ufunc: np.ufunc, *arguments: Value) -> Value:
    """Call a ufunc on numbers and arrays."""
    if any(isinstance(each, Selection) for each in arguments):
        function = partial(call_ufunc, tracer, ufunc)
        if ufunc in ON_ALL_ELEMENTS:
            return on_all_elements(tracer, function, arguments)
        return on_selections(tracer, function, arguments)
    if any(isinstance(each, Foreign) for each in arguments):
        return call_numpy(tracer, ufunc, arguments, {})
    try:
        return _call_ufunc(tracer, ufunc, *arguments)
    except Unsupported:
        values = [as_array(tracer, value) for value in arguments]
        if ufunc.nin == len(values) and any(isinstance(each, Array) for each in values):
            with suppress(Unsupported):
                return call_numpy(tracer, ufunc, values, {})
        raise


def _call_ufunc(tracer: Tracer, ufunc: np.ufunc, *arguments: Value) -> Value:
    """Call a ufunc by the instructions of a tape."""
    values = [as_array(tracer, value) for value in arguments]
    if ufunc.nin != len(values) or ufunc.nout != 1 or ufunc.signature is not None:
        raise Unsupported(f"calls `np.{ufunc.__name__}` with arguments that are not supported")
    shapes = [value.registers.shape if isinstance(value, Array) else () for value in values]
    try:
        n = math.prod(np.broadcast_shapes(*shapes))
    except ValueError:
        raise Unsupported("calculates with arrays of shapes that cannot be broadcast") from None
    check_count(n)
    if all(is_known(value) or is_constant(value) for value in values):
        for value in values:
            if isinstance(value, Array) and ufunc not in EXACT and not is_contiguous(value):
                raise Unsupported(f"calls `np.{ufunc.__name__}` on arrays that are not contiguous")
        numbers = [known_array(tracer, v) if isinstance(v, Array) else v for v in values]
        return constant(tracer, known(ufunc, *numbers))
    samples = [v.sample if isinstance(v, Array) else SAMPLES[type_of(v)] for v in values]
    sample = known(ufunc, *samples)
    asked = [v.dtype if isinstance(v, Array) else _asked_of(type_of(v)) for v in values]
    used = known(ufunc.resolve_dtypes, (*asked, None))
    if BY_VALUE and FLOAT32 in asked and len(set(asked)) > 1:
        raise Unsupported("calculates with numbers of several types in single precision")
    chosen = chosen_by_booleans(tracer, ufunc, values, sample)
    if chosen is not None:
        return chosen
    if ufunc in ON_BOOLEANS and sample.dtype == bool:
        ufunc = ON_BOOLEANS[ufunc]
    if ufunc in SWAPPED:
        ufunc, values = SWAPPED[ufunc], values[::-1]
    if sample.dtype not in SCALARS or any(np.dtype(dtype) not in SCALARS for dtype in used):
        raise Unsupported(f"calls `np.{ufunc.__name__}` on numbers of {used[0]}")
    registers = [registers_of(tracer, value) for value in values]
    if FLOAT32 in used:
        types = [v.dtype if isinstance(v, Array) else type_of(v) for v in values]
        registers = [cast(tracer, *each, FLOAT32) for each in zip(registers, types)]
    opcode = OPCODES.get(ufunc)
    is_short = all(np.dtype(dtype) == FLOAT32 for dtype in used)
    is_exact = ufunc in EXACT and not (is_short and ufunc is np.floor_divide)
    is_float = is_short or all(np.dtype(dtype) == FLOAT64 for dtype in used)
    is_large = n > MANY and (tracer.is_counting or opcode in NOT_VECTORISED)
    is_own = opcode in TO_BOOLEANS or (not is_large and is_float and is_exact)
    if opcode is not None and is_own:
        results = tracer.elementwise(opcode, *registers)
    elif is_float and (clip := clipped(tracer, ufunc, registers)) is not None:
        results = clip
    elif is_float:
        arrays = [v if isinstance(v, Array) else None for v in values]
        kind = FLOAT32 if is_short and not is_exact else FLOAT64
        results = loop(tracer, ufunc, arrays, registers, is_exact, kind)
    elif opcode in ON_INTEGERS and sample.dtype == np.int64:
        results = tracer.elementwise(Opcode.INTEGER, tracer.elementwise(opcode, *registers))
    else:
        raise Unsupported(f"calls `np.{ufunc.__name__}` on numbers of {used[0]}")
    if is_short and is_exact and ufunc not in UNROUNDED:
        results = rounded(tracer, results)
    return wrapped(tracer, results, sample.dtype, isinstance(sample, np.ndarray))


def on_all_elements(
    tracer: Tracer, function: Callable[..., Value], arguments: tuple[Value, ...]
) -> Selection:
    """Call an exact function as `on_selections` does, but for all elements if possible."""
    (chosen, *others) = [each.chosen for each in arguments if isinstance(each, Selection)]
    selections = [each for each in arguments if isinstance(each, Selection)]
    if any(each != chosen for each in others) or any(each.whole is None for each in selections):
        return on_selections(tracer, function, arguments)
    whole: list[Value] = []
    for each in arguments:
        if isinstance(each, Selection):
            whole.append(each.whole)
        elif is_scalar(each):
            whole.append(each)
        else:
            array = array_of(tracer, each)
            whole.append(Array(chosen.spread(array.registers), array.dtype))
    result = function(*whole)
    assert isinstance(result, Array)
    return Selection(chosen, result)


def on_selections(
    tracer: Tracer, function: Callable[..., Value], arguments: tuple[Value, ...]
) -> Selection:
    """Call an elementwise function on elements that a condition selects, and numbers or arrays.

    Parameters
    ----------
    tracer : Tracer
        Writes the instructions.
    function : callable
        The function; called with an array or number for each argument.
    arguments : tuple of Value
        Some of which are selections.
    """
    (chosen, *others) = [each.chosen for each in arguments if isinstance(each, Selection)]
    if any(each != chosen for each in others):
        raise Unsupported("calculates with elements that different conditions select")
    positions, whole = positions_of(tracer, chosen.condition), list[Value]()
    for each in arguments:
        if isinstance(each, Selection):
            whole.append(each.taken(tracer))
        elif is_scalar(each) or each is None:
            whole.append(each)
        else:
            array = array_of(tracer, each)
            spread = chosen.spread(array.registers)
            whole.append(Array(take(tracer, spread, positions), array.dtype))
    with tracer.at(positions):
        result = function(*whole)
    if not isinstance(result, Array) or result.registers.shape != (positions.size,):
        raise Unsupported("calculates with elements that a condition selects")
    return Selection(chosen, copied=result)


def _asked_of(kind: type) -> DTypeLike:
    return kind if kind in (int, float) else np.dtype(kind)
