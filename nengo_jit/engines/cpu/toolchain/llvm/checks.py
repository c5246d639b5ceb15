"""Bounds checks in compiled kernels, for Numba: see `nengo_jit.regions`.

Each access to memory at an address calls `check` first. The memory may be that of an array that
`REGIONS` knows, or scratch memory on the kernel's stack (`primitives.scratch`). Scratch memory has
a header in front of it, by which it is found.
"""

# Calls of intrinsics leave out the first parameter of the definition.
# mypy: disable-error-code="call-arg, no-untyped-def"

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nengo_jit.engines.cpu.language.primitives import only_in_kernels
from nengo_jit.engines.cpu.language.python_objects import foreign_int64s
from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    Definition,
    Signature,
    Target,
    Type,
    Typing,
    Value,
    Values,
)
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import define
from nengo_jit.regions import ADDRESS, CHECKED, LENGTH, N_BYTES, READERS, SYMBOL, TABLE

HEADER = 64  # bytes in front of scratch memory, and its alignment
MARK = 0x5C2A7C4E5C2A7C4E  # in the header, combined with the address by exclusive or
MARK_AT, SIZE_AT = 16, 8  # distance of mark and size from the memory behind them (bytes)
REACH = 1 << 16  # bytes of the stack that are searched for scratch memory


@intrinsic
def _shared(typingctx: Typing) -> Definition:
    """Address of the memory that kernels and `REGIONS` share."""

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        integer = ir.IntType(64)
        symbol = builder.module.globals.get(SYMBOL) or ir.GlobalVariable(
            builder.module, integer, SYMBOL
        )
        return builder.ptrtoint(symbol, integer)

    return types.int64(), codegen


@intrinsic
def _stack(typingctx: Typing) -> Definition:
    """Address of the top of the stack, its lowest address in use."""

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        pointer = ir.IntType(8).as_pointer()
        function = builder.module.declare_intrinsic(
            "llvm.stacksave.p0", (), ir.FunctionType(pointer, [])
        )
        return builder.ptrtoint(builder.call(function, []), ir.IntType(64))

    return types.int64(), codegen


@intrinsic
def _add_atomically(typingctx: Typing, address: Type, value: Type) -> Definition:
    """Add to the integer at an address, without a bounds check."""

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


def mark_scratch(builder: Builder, base: Value, n_bytes: int) -> Value:
    """Generate code that writes the header of scratch memory; returns the address behind it."""
    integer = ir.IntType(64)
    address = builder.add(builder.ptrtoint(base, integer), integer(HEADER))
    for value, before in ((builder.xor(address, integer(MARK)), MARK_AT), (n_bytes, SIZE_AT)):
        pointer = builder.inttoptr(builder.sub(address, integer(before)), integer.as_pointer())
        builder.store(integer(value) if isinstance(value, int) else value, pointer)
    return address


def end_of_scratch(address: int) -> int:
    """End of the scratch memory that contains an address; zero if none does."""
    return only_in_kernels()


def end_of(address: int) -> int:
    """End of the known memory that contains an address; zero if none does."""
    return only_in_kernels()


def look_up(address: int, n: int, itemsize: int) -> int:
    """Return the address if ``n`` elements of ``itemsize`` bytes are known there, else fail."""
    return only_in_kernels()


def count_from(address: int, itemsize: int) -> int:
    """Count the elements of ``itemsize`` bytes from an address on; fails if there are none."""
    return only_in_kernels()


def _end_of_scratch(address):
    end, lowest = 0, _stack()
    if not lowest <= address < lowest + REACH:
        return end
    for start in range(address // HEADER * HEADER, lowest + HEADER, -HEADER):
        header = foreign_int64s(start - MARK_AT, 2)
        if header[0] == start ^ MARK and start + header[1] > address:
            end = max(end, start + header[1])
    return end


def _end_of(address):
    shared = _shared()
    _add_atomically(shared + 8 * READERS, 1)
    table = foreign_int64s(shared, LENGTH)[TABLE]
    n = foreign_int64s(table, 1)[0]
    starts, ends = foreign_int64s(table + 8, n), foreign_int64s(table + 8 * (1 + n), n)
    first, last = (
        0,
        n,
    )  # binary search for the number of arrays that start at the address or before it
    while first < last:
        middle = (first + last) // 2
        if starts[middle] <= address:
            first = middle + 1
        else:
            last = middle
    end = ends[first - 1] if first > 0 else 0
    _add_atomically(shared + 8 * READERS, -1)
    return end if end > address else end_of_scratch(address)


def _look_up(address, n, itemsize):
    if n < 0 or (n > 0 and n > (end_of(address) - address) // itemsize):
        failed = foreign_int64s(_shared(), LENGTH)
        failed[ADDRESS], failed[N_BYTES] = address, n * itemsize
        raise IndexError("This memory is not known")
    return address


def _count_from(address, itemsize):
    return (end_of(look_up(address, 1, itemsize)) - address) // itemsize


def known_table(table, n_columns):
    """Return the address of a table of rows if all of it is known, else fail."""
    n = foreign_int64s(look_up(table, 1, 8), 1)[0]
    return look_up(table, 1 + n * n_columns, 8)


if CHECKED:
    for function, implementation in (
        (end_of_scratch, _end_of_scratch),
        (end_of, _end_of),
        (look_up, _look_up),
        (count_from, _count_from),
    ):
        define(function, boundscheck=False, error_model="numpy")(implementation)


def check(
    context: Target, builder: Builder, address: Value, n: Value | int, itemsize: int
) -> Value:
    """Generate a bounds check of ``n`` elements of ``itemsize`` bytes; returns the address.

    Without bounds checks, no code is generated.
    """
    if not CHECKED:
        return address
    return _call(context, builder, lambda a, n, size: look_up(a, n, size), address, n, itemsize)


def size_from(context: Target, builder: Builder, address: Value, itemsize: int) -> Value:
    """Generate code that counts the elements from an address on; one, without bounds checks."""
    if not CHECKED:
        return ir.IntType(64)(1)
    return _call(context, builder, lambda a, size: count_from(a, size), address, itemsize)


def _call(
    context: Target, builder: Builder, function: Callable[..., int], *arguments: Value | int
) -> Value:
    """Generate a call of a function of integers."""
    integer = ir.IntType(64)
    values = [integer(each) if isinstance(each, int) else each for each in arguments]
    signature = types.int64(*[types.int64] * len(values))
    return context.compile_internal(builder, function, signature, values)
