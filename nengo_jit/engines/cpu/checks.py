"""Bounds checks in compiled kernels, for Numba: see `nengo_jit.regions`.

All that reads or writes memory at an address asks `checked` first. Memory may be that of an array
that `REGIONS` knows, or what a kernel has for itself on the stack (`machine.scratch`). The latter
has a header in front, so that whoever looks for it there finds it.
"""

# Intrinsics take one argument less when they are called than when they are defined.
# mypy: disable-error-code="call-arg, no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nengo_jit.engines.cpu.intrinsics import add_atomically, define
from nengo_jit.engines.cpu.machine import foreign_integers
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


def _end_of_scratch(address):
    end, lowest = 0, _stack()
    if not lowest <= address < lowest + REACH:
        return end
    for start in range(address // HEADER * HEADER, lowest + HEADER, -HEADER):
        header = foreign_integers(start - MARK_AT, 2)
        if header[0] == start ^ MARK and start + header[1] > address:
            end = max(end, start + header[1])
    return end


def _end_of(address):
    shared = _shared()
    add_atomically(shared + 8 * READERS, 1)
    table = foreign_integers(shared, LENGTH)[TABLE]
    n = foreign_integers(table, 1)[0]
    starts, ends = foreign_integers(table + 8, n), foreign_integers(table + 8 * (1 + n), n)
    first, last = 0, n  # how many arrays start at the address or before
    while first < last:
        middle = (first + last) // 2
        if starts[middle] <= address:
            first = middle + 1
        else:
            last = middle
    end = ends[first - 1] if first > 0 else 0
    add_atomically(shared + 8 * READERS, -1)
    return end if end > address else end_of_scratch(address)


def _look_up(address, n, itemsize):
    if n < 0 or (n > 0 and n > (end_of(address) - address) // itemsize):
        failed = foreign_integers(_shared(), LENGTH)
        failed[ADDRESS], failed[N_BYTES] = address, n * itemsize
        raise IndexError("This memory is not known")
    return address


@intrinsic
def _as_it_is(typingctx: Any, address: Any, n: Any, itemsize: Any) -> Any:
    """The address, without a check."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[0]

    return types.int64(types.int64, types.int64, types.int64), codegen


unchecked: dict[str, Any] = {"boundscheck": False, "error_model": "numpy"}
if CHECKED:
    define(end_of_scratch, **unchecked)(_end_of_scratch)
    define(end_of, **unchecked)(_end_of)
    define(look_up, **unchecked)(_look_up)
checked: Any = look_up if CHECKED else _as_it_is
