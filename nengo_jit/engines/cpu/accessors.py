"""What kernels read and write memory with, for Numba: see `nengo_jit.engines.cpu.machine`."""

# Intrinsics take one argument less when they are called than when they are defined.
# mypy: disable-error-code="call-arg, no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import errors
from numba.extending import intrinsic, overload

from nengo_jit.engines.cpu import machine
from nengo_jit.engines.cpu.checks import HEADER, checked, end_of, mark_scratch
from nengo_jit.engines.cpu.intrinsics import add_atomically, define_inlined, typed_pointer
from nengo_jit.regions import CHECKED


@intrinsic
def _pointer(typingctx: Any, memory: Any, address: Any) -> Any:
    """Pointer to an address, of the type of ``memory``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[1], context.get_value_type(signature.return_type))

    return memory(memory, types.int64), codegen


@intrinsic
def itemsize_of(typingctx: Any, memory: Any) -> Any:
    """Bytes of a number of the type of ``memory``."""
    n_bytes = memory.dtype.bitwidth // 8
    return types.int64(memory), lambda context, builder, signature, args: ir.IntType(64)(n_bytes)


@define_inlined(machine.vector)
def _vector(memory, address, size):
    return carray(_pointer(memory, checked(address, size, itemsize_of(memory))), size)


def _vector_from(memory, address):
    return carray(_pointer(memory, address), 1)


def _checked_vector_from(memory, address):
    n = (end_of(address) - address) // itemsize_of(memory)
    return carray(_pointer(memory, checked(address, 1, itemsize_of(memory))), n)


define_inlined(machine.vector_from)(_checked_vector_from if CHECKED else _vector_from)


def _define_array(function: Callable[..., Any], number: Any) -> None:
    """Define what makes arrays of numbers of a type."""
    itemsize = number.itemsize

    @define_inlined(function)
    def array(address, size):
        return carray(typed_pointer(checked(address, size, itemsize), number), size)


def _define_foreign_array(function: Callable[..., Any], number: Any) -> None:
    """As `_define_array`, in memory that we know nothing of."""

    @define_inlined(function)
    def array(address, size):
        return carray(typed_pointer(address, number), size)


_define_array(machine.integers, np.int64(0))
_define_array(machine.short_integers, np.int32(0))
_define_array(machine.octets, np.uint8(0))
_define_array(machine.reals, np.float64(0))
_define_array(machine.short_reals, np.float32(0))
_define_foreign_array(machine.foreign_integers, np.int64(0))
_define_foreign_array(machine.foreign_short_integers, np.int32(0))
_define_foreign_array(machine.foreign_reals, np.float64(0))


@intrinsic
def _atomic_load(typingctx: Any, address: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), codegen


@intrinsic
def _scratch(typingctx: Any, n_bytes: Any) -> Any:
    if not isinstance(n_bytes, types.IntegerLiteral):
        raise errors.RequireLiteralValue("The size must be a literal number")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with builder.goto_entry_block():
            size = n_bytes.literal_value + (HEADER if CHECKED else 0)
            pointer = builder.alloca(ir.ArrayType(ir.IntType(8), size))
            pointer.align = 64
        if CHECKED:
            return mark_scratch(builder, pointer, n_bytes.literal_value)
        return builder.ptrtoint(pointer, ir.IntType(64))

    return types.int64(n_bytes), codegen


@intrinsic
def _bits_of(typingctx: Any, flags: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        octets = ir.VectorType(ir.IntType(8), 64)
        values = builder.load(builder.inttoptr(args[0], octets.as_pointer()), align=1)
        are_set = builder.icmp_unsigned("!=", values, ir.Constant(octets, None))
        return builder.bitcast(are_set, ir.IntType(64))

    return types.int64(types.int64), codegen


LISTED_AT_ONCE = 16  # bits of 64: mostly no more are set


@intrinsic
def _list_bits(typingctx: Any, bits: Any, first: Any, address: Any) -> Any:
    octets, mask = ir.VectorType(ir.IntType(8), 64), ir.VectorType(ir.IntType(1), 64)
    integers = ir.VectorType(ir.IntType(64), LISTED_AT_ONCE)

    def lanes(numbers: Any) -> Any:
        return ir.Constant(ir.VectorType(ir.IntType(32), LISTED_AT_ONCE), list(numbers))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        compress = builder.module.declare_intrinsic(
            "llvm.experimental.vector.compress.v64i8",
            (),
            ir.FunctionType(octets, [octets, mask, octets]),
        )
        numbers = ir.Constant(octets, list(range(64)))
        set_bits = builder.bitcast(args[0], mask)
        listed = builder.call(compress, [numbers, set_bits, ir.Constant(octets, ir.Undefined)])
        single = builder.insert_element(
            ir.Constant(integers, ir.Undefined), args[1], ir.Constant(ir.IntType(32), 0)
        )
        firsts = builder.shuffle_vector(single, single, lanes([0] * LISTED_AT_ONCE))
        place = builder.inttoptr(args[2], integers.as_pointer())

        def store(k: int) -> None:
            some = builder.shuffle_vector(
                listed, listed, lanes(range(k * LISTED_AT_ONCE, (k + 1) * LISTED_AT_ONCE))
            )
            target = builder.gep(place, [ir.Constant(ir.IntType(64), k)])
            builder.store(builder.add(builder.zext(some, integers), firsts), target, align=8)

        store(0)
        are_more = builder.icmp_unsigned(
            ">", builder.ctpop(args[0]), ir.Constant(ir.IntType(64), LISTED_AT_ONCE)
        )
        with builder.if_then(are_more, likely=False):
            for k in range(1, 64 // LISTED_AT_ONCE):
                store(k)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), codegen


_take_error = types.ExternalFunction("PyErr_Fetch", types.void(*[types.int64] * 3))

define_inlined(machine.atomic_add)(
    lambda address, value: add_atomically(checked(address, 1, 8), value)
)
define_inlined(machine.atomic_load)(lambda address: _atomic_load(checked(address, 1, 8)))
define_inlined(machine.take_error)(
    lambda kind, value, traceback: _take_error(
        checked(kind, 1, 8), checked(value, 1, 8), checked(traceback, 1, 8)
    )
)
define_inlined(machine.bits_of)(lambda flags: _bits_of(checked(flags, 64, 1)))
define_inlined(machine.list_bits)(
    lambda bits, first, address: _list_bits(bits, first, checked(address, 64, 8))
)

# This is about the function that calls it.
overload(machine.scratch, inline="always", prefer_literal=True)(
    lambda n_bytes: lambda n_bytes: _scratch(n_bytes)
)
