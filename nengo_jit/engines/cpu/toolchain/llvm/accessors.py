"""Primitives that read and write memory, for Numba; declared in `primitives.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llvmlite import ir
from numba import types
from numba.core import errors
from numba.core.cgutils import get_or_insert_function
from numba.np.arrayobj import np_cfarray

from nengo_jit.engines.cpu.language import primitives, python_objects
from nengo_jit.engines.cpu.toolchain.llvm.checks import HEADER, check, mark_scratch, size_from
from nengo_jit.engines.cpu.toolchain.llvm.half import half, weak
from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    CPointer,
    Definition,
    Signature,
    Target,
    Type,
    Typing,
    Value,
    Values,
)
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import instruction
from nengo_jit.regions import CHECKED


def _view(context: Target, builder: Builder, number: Type, address: Value, size: Value) -> Value:
    """Generate code for an array at an address, without a bounds check."""
    pointer = builder.inttoptr(address, context.get_data_type(number).as_pointer())
    signature = types.Array(number, 1, "C")(types.CPointer(number), types.int64)
    return np_cfarray(context, builder, signature, [pointer, size])


@instruction(primitives.vector)
def _vector(typingctx: Typing, memory: CPointer, address: Type, size: Type) -> Definition:
    number = memory.dtype

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        _, address, size = args
        address = check(context, builder, address, size, number.bitwidth // 8)
        return _view(context, builder, number, address, size)

    return types.Array(number, 1, "C")(memory, types.int64, types.int64), codegen


@instruction(primitives.scalars)
def _scalars(typingctx: Typing, memory: CPointer, address: Type, size: Type) -> Definition:
    number = weak if memory.dtype == half else memory.dtype

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        _, address, size = args
        address = check(context, builder, address, size, number.bitwidth // 8)
        return _view(context, builder, number, address, size)

    return types.Array(number, 1, "C")(memory, types.int64, types.int64), codegen


@instruction(primitives.vector_from)
def _vector_from(typingctx: Typing, memory: CPointer, address: Type) -> Definition:
    number = memory.dtype

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        size = size_from(context, builder, args[1], number.bitwidth // 8)
        return _view(context, builder, number, args[1], size)

    return types.Array(number, 1, "C")(memory, types.int64), codegen


def _define_array(
    function: Callable[..., object], number: Type, itemsize: int, is_foreign: bool = False
) -> None:
    """Define a primitive that makes arrays of a type; foreign ones are not bounds-checked."""

    def definition(typingctx: Typing, address: Type, size: Type) -> Definition:
        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            address, size = args
            if not is_foreign:
                address = check(context, builder, address, size, itemsize)
            return _view(context, builder, number, address, size)

        return types.Array(number, 1, "C")(types.int64, types.int64), codegen

    instruction(function)(definition)


_define_array(primitives.int64s, types.int64, 8)
_define_array(primitives.int32s, types.int32, 4)
_define_array(primitives.int16s, types.int16, 2)
_define_array(primitives.uint8s, types.uint8, 1)
_define_array(primitives.float64s, types.float64, 8)
_define_array(primitives.float32s, types.float32, 4)
_define_array(python_objects.foreign_int64s, types.int64, 8, is_foreign=True)
_define_array(python_objects.foreign_float64s, types.float64, 8, is_foreign=True)


def _define_number(function: Callable[..., object], number: Type) -> None:
    """Define a primitive that loads a foreign number, by a single instruction."""

    def definition(typingctx: Typing, address: Type) -> Definition:
        def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
            pointer = context.get_data_type(number).as_pointer()
            return builder.load(builder.inttoptr(args[0], pointer))

        return number(types.int64), codegen

    instruction(function)(definition)


_define_number(python_objects.foreign_int64, types.int64)
_define_number(python_objects.foreign_int32, types.int32)
_define_number(python_objects.foreign_float64, types.float64)


@instruction(primitives.atomic_add)
def _atomic_add(typingctx: Typing, address: Type, value: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        address = check(context, builder, args[0], 1, 8)
        pointer = builder.inttoptr(address, ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@instruction(primitives.atomic_load)
def _atomic_load(typingctx: Typing, address: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        address = check(context, builder, args[0], 1, 8)
        pointer = builder.inttoptr(address, ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), codegen


@instruction(primitives.scratch, prefer_literal=True)
def _scratch(typingctx: Typing, n_bytes: Type) -> Definition:
    if not isinstance(n_bytes, types.IntegerLiteral):
        raise errors.RequireLiteralValue("The size must be a literal number")

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        with builder.goto_entry_block():
            size = n_bytes.literal_value + (HEADER if CHECKED else 0)
            pointer = builder.alloca(ir.ArrayType(ir.IntType(8), size))
            pointer.align = 64
        if CHECKED:
            return mark_scratch(builder, pointer, n_bytes.literal_value)
        return builder.ptrtoint(pointer, ir.IntType(64))

    return types.int64(n_bytes), codegen


@instruction(primitives.movemask)
def _movemask(typingctx: Typing, flags: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        byte_vector = ir.VectorType(ir.IntType(8), 64)
        address = check(context, builder, args[0], 64, 1)
        values = builder.load(builder.inttoptr(address, byte_vector.as_pointer()), align=1)
        are_set = builder.icmp_unsigned("!=", values, ir.Constant(byte_vector, None))
        return builder.bitcast(are_set, ir.IntType(64))

    return types.int64(types.int64), codegen


STORED_AT_ONCE = 16  # of 64 indices: more bits are rarely set


@instruction(primitives.list_bits)
def _list_bits(typingctx: Typing, bits: Type, first: Type, address: Type) -> Definition:
    byte_vector, mask = ir.VectorType(ir.IntType(8), 64), ir.VectorType(ir.IntType(1), 64)
    int64_vector = ir.VectorType(ir.IntType(64), STORED_AT_ONCE)

    def lanes(numbers: Iterable[int]) -> Value:
        return ir.Constant(ir.VectorType(ir.IntType(32), STORED_AT_ONCE), list(numbers))

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        compress = builder.module.declare_intrinsic(
            "llvm.experimental.vector.compress.v64i8",
            (),
            ir.FunctionType(byte_vector, [byte_vector, mask, byte_vector]),
        )
        numbers = ir.Constant(byte_vector, list(range(64)))
        set_bits = builder.bitcast(args[0], mask)
        listed = builder.call(compress, [numbers, set_bits, ir.Constant(byte_vector, ir.Undefined)])
        single = builder.insert_element(
            ir.Constant(int64_vector, ir.Undefined), args[1], ir.Constant(ir.IntType(32), 0)
        )
        firsts = builder.shuffle_vector(single, single, lanes([0] * STORED_AT_ONCE))
        address = check(context, builder, args[2], 64, 8)
        pointer = builder.inttoptr(address, int64_vector.as_pointer())

        def store(k: int) -> None:
            some = builder.shuffle_vector(
                listed, listed, lanes(range(k * STORED_AT_ONCE, (k + 1) * STORED_AT_ONCE))
            )
            target = builder.gep(pointer, [ir.Constant(ir.IntType(64), k)])
            builder.store(builder.add(builder.zext(some, int64_vector), firsts), target, align=8)

        store(0)
        has_more = builder.icmp_unsigned(
            ">", builder.ctpop(args[0]), ir.Constant(ir.IntType(64), STORED_AT_ONCE)
        )
        with builder.if_then(has_more, likely=False):
            for k in range(1, 64 // STORED_AT_ONCE):
                store(k)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), codegen


@instruction(python_objects.fetch_error)
def _fetch_error(typingctx: Typing, kind: Type, value: Type, traceback: Type) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        addresses = [check(context, builder, each, 1, 8) for each in args]
        c_type = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 3)
        builder.call(get_or_insert_function(builder.module, c_type, "PyErr_Fetch"), addresses)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), codegen
