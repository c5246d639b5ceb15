"""Numbers of 16 bits in Numba, which are rounded as NumPy rounds them.

NumPy computes each operation on numbers of half precision in single precision, and rounds the
result. So does LLVM's type ``half``; processors with instructions for half precision round once,
which gives the same bits for ``+ - * /``. A function such as `numpy.exp` has other last bits on
each processor, so kernels look its results up in a table that NumPy makes (`half_tables.py`).

A Python number takes the type of the array that it is combined with (NEP 50). `Weak` is the type
of such numbers, in formulas and among the parameters of kernels: Python computes with them in
double precision until they meet an array.

LLVM must not contract or reassociate operations on these types, whatever a kernel allows: they have
a flag that is of no effect on arithmetic, since Numba adds flags only to operations without any.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core.datamodel import DataModelManager
from numba.core.imputils import lower_cast, lower_constant
from numba.core.typeconv import Conversion
from numba.extending import intrinsic, models, register_model, typeof_impl

from nengo_jit.engines.cpu.toolchain.half_tables import N_NUMBERS, symbol_of
from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    Definition,
    IRType,
    Signature,
    Target,
    Type,
    Typing,
    Value,
    Values,
)
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import instruction

WITHOUT_EFFECT = ("afn",)  # allows approximate functions, and so nothing in ``+ - * /``
DROPPED = 29  # bits that the fraction of a double-precision number has more than a single one's


class Half(types.Number):
    """Numba's type of numbers of half precision."""

    bitwidth = 16

    def __init__(self) -> None:
        super().__init__("half")

    def can_convert_from(self, typingctx: Typing, other: Type) -> Conversion | None:
        """Numbers are rounded when they are stored in an array of this type."""
        is_number = isinstance(other, (types.Float, types.Integer, types.Boolean, Weak))
        return Conversion.unsafe if is_number else None


class Weak(types.Number):
    """Numba's type of Python's floating-point numbers in kernels of half precision."""

    bitwidth = 64

    def __init__(self) -> None:
        super().__init__("weak")


class PythonFloat(float):
    """A literal in a formula whose type is `Weak`."""


half, weak = Half(), Weak()


def _model_of(value_type: IRType) -> type[models.PrimitiveModel]:
    class Model(models.PrimitiveModel):
        def __init__(self, manager: DataModelManager, number: Type):
            super().__init__(manager, number, value_type)

    return Model


register_model(Half)(_model_of(ir.HalfType()))
register_model(Weak)(_model_of(ir.DoubleType()))


@typeof_impl.register(PythonFloat)
def _typeof_literal(value: PythonFloat, context: object) -> Type:
    return weak


@lower_constant(Weak)
def _literal(context: Target, builder: Builder, number: Type, value: float) -> Value:
    return ir.Constant(ir.DoubleType(), float(value))


# Conversions


def _to_double(context: Target, builder: Builder, value: Value, given: Type) -> Value:
    if isinstance(given, Half):
        single = builder.fpext(value, ir.FloatType())
        return builder.fpext(single, ir.DoubleType())
    if isinstance(given, Weak):
        return value
    return context.cast(builder, value, given, types.float64)


def _to_half(builder: Builder, value: Value) -> Value:
    """Round a number of single or double precision, once, to the nearest; ties to even.

    Few processors round from double precision. So the number is first cut off to single precision,
    with the last bit set if anything is lost.
    """
    if value.type == ir.DoubleType():
        integer = ir.IntType(64)
        bits = builder.bitcast(value, integer)
        lost = builder.and_(bits, integer(2**DROPPED - 1))
        is_inexact = builder.zext(builder.icmp_unsigned("!=", lost, integer(0)), integer)
        kept = builder.and_(bits, integer(-(2**DROPPED)))
        bits = builder.or_(kept, builder.shl(is_inexact, integer(DROPPED)))
        value = builder.fptrunc(builder.bitcast(bits, ir.DoubleType()), ir.FloatType())
    return builder.fptrunc(value, ir.HalfType())


@lower_cast(types.Float, Half)
@lower_cast(types.Integer, Half)
@lower_cast(types.Boolean, Half)
@lower_cast(Weak, Half)
def _cast_to_half(context: Target, builder: Builder, given: Type, to: Type, value: Value) -> Value:
    if given != types.float32:
        value = _to_double(context, builder, value, given)
    return _to_half(builder, value)


@lower_cast(Half, types.Float)
@lower_cast(Weak, types.Float)
def _cast_to_float(context: Target, builder: Builder, given: Type, to: Type, value: Value) -> Value:
    if isinstance(given, Half) and to == types.float32:
        return builder.fpext(value, ir.FloatType())
    double = _to_double(context, builder, value, given)
    return context.cast(builder, double, types.float64, to)


@lower_cast(types.Integer, Weak)
@lower_cast(types.Boolean, Weak)
def _cast_to_weak(context: Target, builder: Builder, given: Type, to: Type, value: Value) -> Value:
    return _to_double(context, builder, value, given)


# Operations


def common_type(*given: Type) -> Type | None:
    """Return the type in which NumPy computes with two numbers; None if neither is of these types.

    Integers and booleans take the type of the other number.
    """
    ours = [each for each in given if isinstance(each, (Half, Weak))]
    others = [each for each in given if isinstance(each, types.Float)]
    if not ours or not all(isinstance(each, (types.Number, types.Boolean)) for each in given):
        return None
    if others:
        return others[0]
    return half if half in ours else weak


def _define(
    functions: Sequence[Callable[..., object]],
    emit: Callable[[Builder, Value, Value], Value],
    result: Type | None = None,
) -> None:
    """Define operators of two numbers; the result has their common type, unless one is given."""

    def definition(typingctx: Typing, a: Type, b: Type) -> Definition | None:
        common = common_type(a, b)
        if common is None:
            return None

        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            given = zip(args, signature.args)
            return emit(builder, *(context.cast(builder, *each, common) for each in given))

        return (result or common)(a, b), codegen

    for function in functions:
        instruction(function)(definition)


def _operation(name: str) -> Callable[[Builder, Value, Value], Value]:
    return lambda builder, a, b: getattr(builder, name)(a, b, flags=WITHOUT_EFFECT)


def _comparison(sign: str) -> Callable[[Builder, Value, Value], Value]:
    # Only "!=" holds for NaN.
    name = "fcmp_unordered" if sign == "!=" else "fcmp_ordered"
    return lambda builder, a, b: getattr(builder, name)(sign, a, b)


_define((operator.add, operator.iadd), _operation("fadd"))
_define((operator.sub, operator.isub), _operation("fsub"))
_define((operator.mul, operator.imul), _operation("fmul"))
_define((operator.truediv, operator.itruediv), _operation("fdiv"))
_define((operator.lt,), _comparison("<"), types.boolean)
_define((operator.le,), _comparison("<="), types.boolean)
_define((operator.gt,), _comparison(">"), types.boolean)
_define((operator.ge,), _comparison(">="), types.boolean)
_define((operator.eq,), _comparison("=="), types.boolean)
_define((operator.ne,), _comparison("!="), types.boolean)


def _define_unary(function: Callable[..., object], emit: Callable[[Builder, Value], Value]) -> None:
    def definition(typingctx: Typing, x: Type) -> Definition | None:
        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            return emit(builder, args[0])

        return (x(x), codegen) if isinstance(x, (Half, Weak)) else None

    instruction(function)(definition)


def _absolute(builder: Builder, x: Value) -> Value:
    function_type = ir.FunctionType(x.type, [x.type])
    fabs = builder.module.declare_intrinsic("llvm.fabs", [x.type], function_type)
    return builder.call(fabs, [x])


_define_unary(operator.neg, lambda builder, x: builder.fneg(x))
_define_unary(operator.pos, lambda builder, x: x)
_define_unary(abs, _absolute)


# Functions


def looked_up(name: str) -> Callable[..., Value]:
    """Make a function of half precision that looks results up in the table of its name."""

    @intrinsic
    def look_up(typingctx: Typing, x: Type) -> Definition:
        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            number, symbol, integer = ir.HalfType(), symbol_of(name), ir.IntType(64)
            table = builder.module.globals.get(symbol)
            if table is None:
                table = ir.GlobalVariable(builder.module, ir.ArrayType(number, N_NUMBERS), symbol)
                table.global_constant = True
            index = builder.zext(builder.bitcast(args[0], ir.IntType(16)), integer)
            return builder.load(builder.gep(table, [integer(0), index]))

        return half(half), codegen

    function: Callable[..., Value] = look_up
    return function
