"""The functions of neuron formulas in Numba, as code that LLVM can vectorise.

Importing this module makes the functions of `nengo_jit.scalar` work in compiled code, for
float64 and float32, and for half precision by tables (`half.py`); `define_formula` does the same
for a formula. Nothing here branches or calls a library, so that LLVM vectorises a loop that applies
a formula to a contiguous array.

Argument reduction and series are the textbook ones (Muller, "Elementary Functions"): a number is
split into a power of two and a remainder near zero, for which a Taylor series is summed.

=============  =============================  ==================================================
function       error (units in the last       exact for
               place; float64, float32)
=============  =============================  ==================================================
``exp``        1.1, 1.0                       0, infinities, NaN, overflow and underflow
``expm1``      2.1, 1.5                       zeros with their sign, infinities, NaN, overflow
``log1p``      1.6, 1.5                       zeros with their sign, -1, infinities, NaN;
                                              NaN below -1
``tanh``       2.7, 2.4                       zeros with their sign, infinities, NaN
=============  =============================  ==================================================

These are the largest errors found in millions of numbers. Arguments and results may be subnormal
unless the processor flushes them to zero. All other functions are exact.

Each function is compiled with flags of its own and inlined by LLVM, not by Numba: rounding by
adding and subtracting a large number would not survive a caller's ``fastmath``.
"""

# Numba infers the types of most functions below.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cache
from math import factorial
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

import nengo_jit.scalar as vocabulary
from nengo_jit.engines.cpu.toolchain.llvm.half import (
    Half,
    PythonFloat,
    Weak,
    common_type,
    half,
    looked_up,
    weak,
)
from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    Codegen,
    Definition,
    IRType,
    Signature,
    Target,
    Type,
    Typing,
    Value,
    Values,
)
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import ONLY_FOR_KERNELS

OPTIONS: Any = {"error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}
OPTIONS |= ONLY_FOR_KERNELS
LN2 = Decimal(2).ln()


def with_precision(function: Callable[..., object], number: type) -> FunctionType:
    """Copy ``function``, with floating-point literals of type ``number``.

    In Numba a literal ``1.0`` is of double precision, and so is each expression that contains it.
    Integer literals stay integers.

    Parameters
    ----------
    function : function
        In the subset of Python that Numba compiles.
    number : type
        `numpy.float64` or `numpy.float32`; `PythonFloat` in half precision.
    """
    code = function.__code__
    literals = tuple(number(c) if isinstance(c, float) else c for c in code.co_consts)
    return FunctionType(
        code.replace(co_consts=literals),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def _precision(*arguments: Type) -> type:
    """Type of a formula's literals: single precision if all floating-point arguments are."""
    if any(isinstance(argument, (Half, Weak)) for argument in arguments):
        return PythonFloat
    numbers = [argument for argument in arguments if isinstance(argument, types.Float)]
    is_single = numbers and all(number.bitwidth == 32 for number in numbers)
    return np.float32 if is_single else np.float64


def define_formula(step: Callable[..., object], contract: bool) -> None:
    """Make a formula's ``step`` known to Numba, see `primitives.compilable`."""

    def compiled_step(*arguments):
        return with_precision(step, _precision(*arguments))

    options: Any = {**OPTIONS, "fastmath": {"contract"} if contract else {"nsz"}}
    del options["pipeline_class"]  # formulas may be anything that Numba compiles
    overload(step, strict=False, jit_options=options)(compiled_step)


# Instructions that have no equivalent in Python


@intrinsic
def _select(typingctx: Typing, condition: Type, if_true: Type, if_false: Type) -> Definition:
    """Select one of two values, without a branch.

    In half precision, the result belongs to a neuron: it is not `Weak`.
    """
    result = common_type(if_true, if_false) or typingctx.unify_types(if_true, if_false)
    result = half if result == weak else result

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        values = [
            context.cast(builder, value, given, result)
            for value, given in zip(args[1:], signature.args[1:])
        ]
        return builder.select(args[0], *values)

    return result(types.boolean, if_true, if_false), codegen


def _declare(builder: Builder, name: str, number: IRType, n_arguments: int) -> Value:
    """Declare an intrinsic function of LLVM, of numbers of one type."""
    function_type = ir.FunctionType(number, [number] * n_arguments)
    return builder.module.declare_intrinsic(name, [number], function_type)


def _instruction(name: str, n_arguments: int) -> Callable[..., Value]:
    """Make an intrinsic function of LLVM callable from compiled code."""

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return builder.call(_declare(builder, name, args[0].type, n_arguments), args)

    if n_arguments == 1:
        return _unary(codegen)
    binary: Callable[..., Value] = intrinsic(lambda typingctx, x, y: (x(x, x), codegen))
    return binary


def _unary(codegen: Codegen) -> Callable[..., Value]:
    """Make code for a function of one number callable from compiled code."""
    unary: Callable[..., Value] = intrinsic(lambda typingctx, x: (x(x), codegen))
    return unary


_floor = _instruction("llvm.floor", 1)
_with_sign_of = _instruction("llvm.copysign", 2)


def _polynomial(coefficients: Sequence[float]) -> Callable[..., Value]:
    """Make a function for ``coefficients[0] + coefficients[1] x + ...`` by Estrin's scheme.

    Terms are joined in pairs, then pairs of pairs, with x, x², x⁴ ... Horner's scheme has fewer
    multiplications, but each depends on the one before, so that their latencies add up.
    """

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        power = args[0]
        multiply_add = _declare(builder, "llvm.fmuladd", power.type, 3)
        terms: list[Value] = [ir.Constant(power.type, c) for c in coefficients]
        while len(terms) > 1:
            pairs = [
                builder.call(multiply_add, [power, upper, lower])
                for lower, upper in zip(terms[::2], terms[1::2])
            ]
            terms = pairs + terms[2 * len(pairs) :]
            power = builder.fmul(power, power)
        return terms[0]

    return _unary(codegen)


def _bit_operations(number: type) -> SimpleNamespace:
    """Make functions that round, and that take or set exponents, by the bits of IEEE 754.

    The last bits of ``integer + 1.5 * 2**fraction`` are those of the integer, for integers of
    either sign that are much smaller than ``2**fraction``.
    """
    layout = np.finfo(number)
    fraction, bias = layout.nmant, layout.maxexp - 1
    integer = ir.IntType(layout.bits)
    shifter = 1.5 * 2.0**fraction

    def bits_of(value: float) -> int:
        return int(np.asarray(value, dtype=number).view(f"i{layout.bits // 8}"))

    @intrinsic
    def nearest_integer(typingctx: Typing, x: Type) -> Definition:
        """Round ``x`` to an integer, as a floating-point number."""

        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            constant = ir.Constant(args[0].type, shifter)
            return builder.fsub(builder.fadd(args[0], constant), constant)

        return x(x), codegen

    @intrinsic
    def power_of_two(typingctx: Typing, n: Type) -> Definition:
        """Two to the power of an integer; 0 for the exponent below that of normal numbers."""

        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            shifted = builder.fadd(args[0], ir.Constant(args[0].type, shifter + bias))
            exponent = builder.shl(
                builder.bitcast(shifted, integer), ir.Constant(integer, fraction)
            )
            return builder.bitcast(exponent, args[0].type)

        return n(n), codegen

    def raised(builder: Builder, x: Value) -> Value:
        """Bits of ``x``, shifted so that the exponent changes at the root of 1/2, not at 1."""
        offset = ir.Constant(integer, bits_of(1.0) - bits_of(0.5**0.5))
        return builder.add(builder.bitcast(x, integer), offset)

    @intrinsic
    def exponent(typingctx: Typing, x: Type) -> Definition:
        """The integer k that puts ``x / 2**k`` between the square roots of 1/2 and 2."""

        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            biased = builder.lshr(raised(builder, args[0]), ir.Constant(integer, fraction))
            shifted = builder.or_(biased, ir.Constant(integer, bits_of(2.0**fraction)))
            return builder.fsub(
                builder.bitcast(shifted, args[0].type),
                ir.Constant(args[0].type, 2.0**fraction + bias),
            )

        return x(x), codegen

    @intrinsic
    def quadruple_scale(typingctx: Typing, x: Type) -> Definition:
        """``4 / 2**k`` for the k that is the `exponent` of ``x``; ``1 / 2**k`` may be subnormal."""

        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            exponent_bits = ir.Constant(integer, bits_of(np.inf))
            present = builder.and_(raised(builder, args[0]), exponent_bits)
            total = ir.Constant(integer, bits_of(1.0) + bits_of(4.0))
            return builder.bitcast(builder.sub(total, present), args[0].type)

        return x(x), codegen

    return SimpleNamespace(
        nearest_integer=nearest_integer,
        power_of_two=power_of_two,
        exponent=exponent,
        quadruple_scale=quadruple_scale,
    )


# The functions, made for one precision at a time


@cache
def _functions(number: type) -> dict[str, FunctionType]:
    """Make Python definitions of exp, expm1, log1p and tanh for float64 or float32."""
    bits = _bit_operations(number)
    nearest_integer, power_of_two = bits.nearest_integer, bits.power_of_two
    exponent, quadruple_scale = bits.exponent, bits.quadruple_scale
    layout = np.finfo(number)
    exp_terms, log_terms = (13, 9) if number is np.float64 else (8, 4)

    # ln 2 in two parts; a product of the first with an exponent is exact.
    leading_bits = 32 if number is np.float64 else 14
    ln2_high = number(int(LN2 * 2**leading_bits) / 2**leading_bits)
    ln2_low = number(LN2 - Decimal(float(ln2_high)))
    log2_e = number(1 / LN2)

    overflowing = number((layout.maxexp + 0.25) * float(LN2))  # exp of this is infinite,
    underflowing = number((layout.minexp - layout.nmant - 2) * float(LN2))  # exp of this 0,
    vanishing = number(-(layout.nmant + 4) * float(LN2))  # and expm1 of this -1
    saturating = number((layout.nmant + 4) * float(LN2))  # tanh of half of this is 1
    negligible = number(2.0 ** -(layout.nmant + 2))  # a square that does not change 1
    infinity, not_a_number = number(np.inf), number(np.nan)

    # exp(r) = 1 + r + r² exp_tail(r);  log((1 + s) / (1 - s)) = 2 s + s s² log_tail(s²)
    exp_tail = _polynomial([1.0 / factorial(n) for n in range(2, exp_terms + 1)])
    log_tail = _polynomial([2.0 / (2 * n + 1) for n in range(1, log_terms + 1)])

    @njit(**OPTIONS)
    def split(x):
        """The integer n and expm1(r), where x = n ln 2 + r and r is as near zero as possible."""
        n = nearest_integer(x * log2_e)
        r = (x - n * ln2_high) - n * ln2_low
        return n, r + (r * r) * exp_tail(r)

    def exp(x):
        bounded = _select(x < underflowing, underflowing, x)
        bounded = _select(x > overflowing, overflowing, bounded)
        n, y = split(bounded)
        half = nearest_integer(0.5 * n)  # in two steps, since 2**n may be out of range
        return (1.0 + y) * power_of_two(half) * power_of_two(n - half)

    def expm1(x):
        bounded = _select(x < vanishing, vanishing, x)
        bounded = _select(x > overflowing, overflowing, bounded)
        n, y = split(bounded)
        n = n - 1.0  # since 2**1024 is out of range
        half_result = (y + (1.0 - 0.5 * power_of_two(-n))) * power_of_two(n)
        return _select(abs(x) < negligible, x, half_result + half_result)

    def log1p(x):
        # 1 + x = 2**k (1 + f); f is computed from x, since 1 + x is rounded.
        k = exponent(1.0 + x)
        scale = quadruple_scale(1.0 + x)
        f = (0.25 * x) * scale + (0.25 * scale - 1.0)
        s = f / (2.0 + f)
        square = s * s
        half_square = (0.5 * f) * f
        # log(1 + f) = f - f²/2 + s (f²/2 + s² log_tail(s²))
        correction = s * (half_square + square * log_tail(square)) + k * ln2_low
        y = k * ln2_high + (f - (half_square - correction))
        y = _select(abs(x) < negligible, x, y)
        special = _select(x < -1.0, not_a_number, _select(x == -1.0, -infinity, x))
        return _select((x > -1.0) & (x < infinity), y, special)

    compiled_expm1 = njit(**OPTIONS)(with_precision(expm1, number))

    def tanh(x):
        doubled = 2.0 * abs(x)
        y = compiled_expm1(_select(doubled > saturating, saturating, doubled))
        return _with_sign_of(y / (y + 2.0), x)

    return {
        function.__name__: with_precision(function, number)
        for function in (exp, expm1, log1p, tanh)
    }


@intrinsic
def _as_double(typingctx: Typing, x: Type) -> Definition:
    return types.float64(weak), lambda context, builder, signature, args: args[0]


@intrinsic
def _as_weak(typingctx: Typing, x: Type) -> Definition:
    return weak(types.float64), lambda context, builder, signature, args: args[0]


def _overload_function(name: str) -> None:
    @overload(getattr(vocabulary, name), jit_options=OPTIONS)
    def typed_function(x):
        if isinstance(x, Half):
            look_up = looked_up(name)
            return lambda x: look_up(x)
        if isinstance(x, Weak):
            function = njit(**OPTIONS)(_functions(np.float64)[name])
            return lambda x: _as_weak(function(_as_double(x)))
        return _functions(_precision(x))[name] if isinstance(x, types.Float) else None


for _name in ("exp", "expm1", "log1p", "tanh"):
    _overload_function(_name)


@overload(vocabulary.where, jit_options=OPTIONS)
def _where(condition, if_true, if_false):
    return lambda condition, if_true, if_false: _select(condition, if_true, if_false)


@overload(vocabulary.above, jit_options=OPTIONS)
def _above(x, threshold):
    return lambda x, threshold: x > threshold


@overload(vocabulary.reached, jit_options=OPTIONS)
def _reached(x, threshold):
    return lambda x, threshold: x >= threshold


@overload(vocabulary.floor, jit_options=OPTIONS)
def _floor_of(x):
    return lambda x: _floor(x)


@overload(vocabulary.maximum, jit_options=OPTIONS)
def _maximum(a, b):
    if common_type(a, b) is half:  # of zeros, NumPy returns the first
        return lambda a, b: _select((a >= b) | (a != a), a, b)
    return lambda a, b: _select((a > b) | (a != a), a, b)


@overload(vocabulary.minimum, jit_options=OPTIONS)
def _minimum(a, b):
    if common_type(a, b) is half:
        return lambda a, b: _select((a <= b) | (a != a), a, b)
    return lambda a, b: _select((a < b) | (a != a), a, b)


@overload(vocabulary.clip, jit_options=OPTIONS)
def _clip(x, low, high):
    return lambda x, low, high: _select(x < low, low, _select(x > high, high, x))
