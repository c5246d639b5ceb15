"""The primitive that lists where numbers are not zero, for Numba."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once_value, for_range_slice

from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.toolchain.llvm.checks import check
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
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import instruction
from nengo_jit.engines.cpu.toolchain.llvm.simd import _broadcast
from nengo_jit.engines.cpu.toolchain.llvm.vector_loops import DOUBLE, INTEGER
from nengo_jit.engines.cpu.toolchain.target import has


@instruction(primitives.list_positions)
def _list_positions(
    typingctx: Typing, numbers: Type, n: Type, first: Type, result: Type
) -> Definition:
    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        numbers, n, first, result = args
        numbers = check(context, builder, numbers, n, 8)
        result = check(context, builder, result, builder.add(n, INTEGER(1)), 8)
        can_compress = has("vectors of 512 bits")
        size = 8 if can_compress else 4  # of a vector
        append = _append_compressed if can_compress else _append_one_by_one
        count = alloca_once_value(builder, INTEGER(0))
        whole = builder.and_(n, INTEGER(-size))
        _scan(builder, numbers, (INTEGER(0), whole), size, first, result, count, append)
        _scan(builder, numbers, (whole, n), 1, first, result, count, _append_one_by_one)
        return builder.load(count)

    return types.int64(*(types.int64,) * 4), codegen


def _scan(
    builder: Builder,
    numbers: Value,
    span: tuple[Value, Value],
    size: int,
    first: Value,
    result: Value,
    count: Value,
    append: Callable[..., Value],
) -> None:
    """Append the positions of the numbers in a span, which are whole vectors, to the result."""
    begin, end = span
    vector = ir.VectorType(DOUBLE, size)
    lanes = ir.Constant(ir.VectorType(INTEGER, size), list(range(size)))
    start = builder.add(lanes, _broadcast(builder, builder.add(first, begin), size))
    positions = alloca_once_value(builder, start)
    with for_range_slice(builder, begin, end, INTEGER(size), INTEGER) as (i, _):
        values = builder.load(_at(builder, numbers, i, vector), align=8)
        found = builder.fcmp_unordered("!=", values, ir.Constant(vector, [0.0] * size))
        here = builder.load(positions)
        builder.store(append(builder, here, found, result, builder.load(count)), count)
        step = ir.Constant(here.type, [size] * size)
        builder.store(builder.add(here, step), positions)


def _at(builder: Builder, start: Value, index: Value, kind: ir.Type) -> Value:
    """A pointer to the element of an array of 8 bytes each."""
    address = builder.add(start, builder.mul(index, INTEGER(8)))
    return builder.inttoptr(address, kind.as_pointer())


def _append_compressed(
    builder: Builder, positions: Value, found: Value, result: Value, count: Value
) -> Value:
    """Append the positions that are found by an instruction for that; returns their number.

    A whole vector is stored; what is behind these positions is replaced later.
    """
    size, vector = positions.type.count, positions.type
    given = [positions, ir.Constant(vector, None), found]
    kind = ir.FunctionType(vector, [each.type for each in given])
    name = f"llvm.x86.avx512.mask.compress.v{size}i64"
    compressed = builder.call(builder.module.declare_intrinsic(name, (), kind), given)
    builder.store(compressed, _at(builder, result, count, vector), align=8)
    bits = builder.bitcast(found, ir.IntType(size))
    return builder.add(count, builder.zext(builder.ctpop(bits), INTEGER))


def _append_one_by_one(
    builder: Builder, positions: Value, found: Value, result: Value, count: Value
) -> Value:
    """Append the positions that are found; the next one replaces one that is not found."""
    for lane in map(ir.IntType(32), range(positions.type.count)):
        position = builder.extract_element(positions, lane)
        builder.store(position, _at(builder, result, count, INTEGER), align=8)
        is_found = builder.zext(builder.extract_element(found, lane), INTEGER)
        count = builder.add(count, is_found)
    return count
