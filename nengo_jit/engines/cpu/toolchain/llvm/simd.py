"""Primitives for lanes, vector registers that kernels name, for Numba."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core.datamodel import DataModelManager
from numba.extending import models, register_model

from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.toolchain.llvm.checks import check
from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    CPointer,
    Definition,
    Float,
    Signature,
    Target,
    Type,
    Typing,
    Value,
    Values,
)
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import instruction
from nengo_jit.engines.cpu.toolchain.target import has


class Lanes(types.Type):
    """Numba's type of a vector register: as many numbers as the widest one holds.

    Parameters
    ----------
    dtype : numba.types.Float
        Type of the numbers.
    """

    def __init__(self, dtype: Float):
        n_bytes = 64 if has("vectors of 512 bits") else 32
        self.dtype, self.size = dtype, n_bytes * 8 // dtype.bitwidth
        self.suffix = f"v{self.size}f{dtype.bitwidth}"  # of LLVM's intrinsics
        super().__init__(f"Lanes({dtype}, {self.size})")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """Data model of `Lanes`: a vector of LLVM."""

    def __init__(self, manager: DataModelManager, lanes: Lanes):
        number = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(number, lanes.size))


def _broadcast(builder: Builder, value: Value, size: int) -> Value:
    """Generate a vector whose elements are all the same."""
    one = builder.insert_element(
        ir.Constant(ir.VectorType(value.type, size), ir.Undefined), value, ir.IntType(32)(0)
    )
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), size), None))


def _first_lanes(builder: Builder, n: Value, size: int) -> Value:
    """Generate a mask of ``size`` lanes of which the first n are set."""
    indices = ir.Constant(ir.VectorType(n.type, size), list(range(size)))
    return builder.icmp_signed("<", indices, _broadcast(builder, n, size))


def _clamped(builder: Builder, n: Value, most: int) -> Value:
    """Generate code that clamps a number of elements to between none and ``most``."""
    for limit, comparison in ((n.type(most), "<"), (n.type(0), ">")):
        n = builder.select(builder.icmp_signed(comparison, n, limit), n, limit)
    return n


def _access_lanes(context: Target, builder: Builder, lanes: Lanes, args: Values) -> Value:
    """Generate a masked load, or a masked store of the lanes that are the last argument."""
    address, n, *values = args
    vector = context.get_value_type(lanes)
    touched = _clamped(builder, n, lanes.size)
    address = check(context, builder, address, touched, lanes.dtype.bitwidth // 8)
    alignment = ir.IntType(32)(lanes.dtype.bitwidth // 8)
    pointer = builder.inttoptr(address, vector.as_pointer())
    mask = _first_lanes(builder, n, lanes.size)
    kind = "store" if values else "load"
    others = [] if values else [ir.Constant(vector, None)]
    given = [*values, pointer, alignment, mask, *others]
    function = builder.module.declare_intrinsic(
        f"llvm.masked.{kind}.{lanes.suffix}.p0",
        (),
        ir.FunctionType(ir.VoidType() if values else vector, [each.type for each in given]),
    )
    return builder.call(function, given)


@instruction(primitives.n_lanes)
def _n_lanes(typingctx: Typing, memory: CPointer) -> Definition:
    size = Lanes(memory.dtype).size
    return types.int64(memory), lambda context, builder, signature, args: ir.IntType(64)(size)


@instruction(primitives.load_lanes)
def _load_lanes(typingctx: Typing, memory: CPointer, address: Type, n: Type) -> Definition:
    lanes = Lanes(memory.dtype)

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return _access_lanes(context, builder, lanes, args[1:])

    return lanes(memory, types.int64, types.int64), codegen


@instruction(primitives.store_lanes)
def _store_lanes(typingctx: Typing, address: Type, n: Type, lanes: Lanes) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        _access_lanes(context, builder, lanes, args)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, lanes), codegen


def _multiply_add(context: Target, builder: Builder, lanes: Lanes, values: Values) -> Value:
    """Return ``values[0] * values[1] + values[2]``."""
    vector = context.get_value_type(lanes)
    function = builder.module.declare_intrinsic(
        f"llvm.fmuladd.{lanes.suffix}", (), ir.FunctionType(vector, [vector] * 3)
    )
    return builder.call(function, values)


@instruction(primitives.add_product)
def _add_product(typingctx: Typing, lanes: Lanes, factor: Type, others: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        factors = _broadcast(builder, args[1], lanes.size)
        return _multiply_add(context, builder, lanes, [factors, args[2], args[0]])

    return lanes(lanes, lanes.dtype, lanes), codegen


@instruction(primitives.add_products)
def _add_products(typingctx: Typing, lanes: Lanes, others: Lanes, more: Lanes) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        return _multiply_add(context, builder, lanes, [args[1], args[2], args[0]])

    return lanes(lanes, lanes, lanes), codegen


@instruction(primitives.sum_lanes)
def _sum_lanes(typingctx: Typing, lanes: Lanes) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        (numbers,), size = args, lanes.size
        while size > 1:  # add the upper half to the lower one
            size //= 2
            halves = [
                ir.Constant(ir.VectorType(ir.IntType(32), size), list(range(first, first + size)))
                for first in (0, size)
            ]
            lower, upper = (builder.shuffle_vector(numbers, numbers, each) for each in halves)
            numbers = builder.fadd(lower, upper)
        return builder.extract_element(numbers, ir.IntType(32)(0))

    return lanes.dtype(lanes), codegen
