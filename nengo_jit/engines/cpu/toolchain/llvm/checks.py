"""Bounds checks in compiled kernels, for Numba: see `nengo_jit.regions`.

All that reads or writes memory at an address asks `checked` first. Memory may be that of an array
that `REGIONS` knows, or what a kernel has for itself on the stack (`primitives.scratch`). The
latter has a header in front, so that whoever looks for it there finds it.
"""

# Intrinsics take one argument less when they are called than when they are defined.
# mypy: disable-error-code="call-arg, no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nengo_jit.engines.cpu.language.primitives import foreign_int64s
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import define
from nengo_jit.regions import ADDRESS, CHECKED, LENGTH, N_BYTES, READERS, SYMBOL, TABLE

HEADER = 64  # bytes before scratch memory, which is aligned to as many
MARK = 0x5C2A7C4E5C2A7C4E  # combined with the address by "exclusive or"
MARK_AT, SIZE_AT = 16, 8  # how far in front of the memory these stand (bytes)
REACH = 1 << 16  # bytes of the stack within which scratch memory is looked for


@intrinsic
def _shared(typingctx: Any) -> Any:
    """Address of what kernels and `REGIONS` share."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        integer = ir.IntType(64)
        symbol = builder.module.globals.get(SYMBOL) or ir.GlobalVariable(
            builder.module, integer, SYMBOL
        )
        return builder.ptrtoint(symbol, integer)

    return types.int64(), codegen


@intrinsic
def _stack(typingctx: Any) -> Any:
    """The lowest address of the stack that is in use."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        function = builder.module.declare_intrinsic(
            "llvm.stacksave.p0", (), ir.FunctionType(pointer, [])
        )
        return builder.ptrtoint(builder.call(function, []), ir.IntType(64))

    return types.int64(), codegen


@intrinsic
def _add_atomically(typingctx: Any, address: Any, value: Any) -> Any:
    """Add to the integer at an address, without a check."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


def mark_scratch(builder: Any, base: Any, n_bytes: int) -> Any:
    """Write the header of scratch memory; returns the address of what comes after it."""
    integer = ir.IntType(64)
    address = builder.add(builder.ptrtoint(base, integer), integer(HEADER))
    for value, before in ((builder.xor(address, integer(MARK)), MARK_AT), (n_bytes, SIZE_AT)):
        place = builder.inttoptr(builder.sub(address, integer(before)), integer.as_pointer())
        builder.store(integer(value) if isinstance(value, int) else value, place)
    return address


def end_of_scratch(address: Any) -> Any:
    """Where the scratch memory ends that an address lies in; zero if there is none.

    For use in kernels, as all below.
    """
    raise NotImplementedError


def end_of(address: Any) -> Any:
    """Where the memory ends that an address lies in; zero if it is not known."""
    raise NotImplementedError


def look_up(address: Any, n: Any, itemsize: Any) -> Any:
    """The address, if there are as many elements of a size (bytes); an error if not."""
    raise NotImplementedError


def count_from(address: Any, itemsize: Any) -> Any:
    """How many elements of a size (bytes) there are from an address on; an error if none is."""
    raise NotImplementedError


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
    first, last = 0, n  # how many arrays start at the address or before
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
    """The address of a table of rows, if all of it is known; an error if not."""
    n = foreign_int64s(look_up(table, 1, 8), 1)[0]
    return look_up(table, 1 + n * n_columns, 8)


if CHECKED:
    unchecked: dict[str, Any] = {"boundscheck": False, "error_model": "numpy"}
    define(end_of_scratch, **unchecked)(_end_of_scratch)
    define(end_of, **unchecked)(_end_of)
    define(look_up, **unchecked)(_look_up)
    define(count_from, **unchecked)(_count_from)


def check(context: Any, builder: Any, address: Any, n: Any, itemsize: Any) -> Any:
    """Code that checks that there are as many elements of a size (bytes); gives the address.

    Where bounds are not checked, there is no code.
    """
    if not CHECKED:
        return address
    return _call(context, builder, lambda a, n, size: look_up(a, n, size), address, n, itemsize)


def size_from(context: Any, builder: Any, address: Any, itemsize: Any) -> Any:
    """Code that counts the elements from an address on, where bounds are checked, else one."""
    if not CHECKED:
        return ir.IntType(64)(1)
    return _call(context, builder, lambda a, size: count_from(a, size), address, itemsize)


def _call(context: Any, builder: Any, function: Any, *arguments: Any) -> Any:
    """Code that calls a function of integers that returns one."""
    integer = ir.IntType(64)
    values = [integer(each) if isinstance(each, int) else each for each in arguments]
    signature = types.int64(*[types.int64] * len(values))
    return context.compile_internal(builder, function, signature, values)
