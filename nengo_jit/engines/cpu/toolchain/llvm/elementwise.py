"""The primitive for elementwise operations on arrays, for Numba.

Each operation has loops over vectors of its own (`vector_loops`), so LLVM has nothing to vectorise.
That compiles ten times as fast as loops in Python, which LLVM has to check for overlapping arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types

from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.language.operations import Operation
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
from nengo_jit.engines.cpu.toolchain.llvm.vector_loops import (
    DOUBLE,
    INTEGER,
    SINGLE,
    Array,
    Formula,
    Loop,
    Operand,
)
from nengo_jit.engines.cpu.toolchain.target import has

LARGEST_INTEGER = 2.0**53  # float64 represents all integers below
Compute = Callable[[Builder, Sequence[Value]], Value]


def _constant(vector: ir.VectorType, number: float) -> Value:
    return ir.Constant(vector, [number] * vector.count)


def _function(name: str) -> Compute:
    """An intrinsic of one vector."""

    def compute(builder: Builder, values: Sequence[Value]) -> Value:
        (x,) = values
        suffix = f"v{x.type.count}f64"
        kind = ir.FunctionType(x.type, [x.type])
        return builder.call(
            builder.module.declare_intrinsic(f"llvm.{name}.{suffix}", (), kind), [x]
        )

    return compute


def _exchanged(symbol: str) -> Compute:
    """The second operand if the first one compares with it, else the first one."""

    def compute(builder: Builder, values: Sequence[Value]) -> Value:
        a, b = values
        return builder.select(builder.fcmp_ordered(symbol, a, b), b, a)

    return compute


def _boolean(builder: Builder, flags: Value) -> Value:
    vector = ir.VectorType(DOUBLE, flags.type.count)
    return builder.select(flags, _constant(vector, 1.0), _constant(vector, 0.0))


def _is_true(builder: Builder, x: Value) -> Value:
    return builder.fcmp_unordered("!=", x, _constant(x.type, 0.0))


def _comparison(symbol: str) -> Compute:
    def compute(builder: Builder, values: Sequence[Value]) -> Value:
        ordered = builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered
        return _boolean(builder, ordered(symbol, *values))

    return compute


def _logic(combine: str) -> Compute:
    def compute(builder: Builder, values: Sequence[Value]) -> Value:
        flags = [_is_true(builder, x) for x in values]
        return _boolean(builder, getattr(builder, combine)(*flags))

    return compute


def _integer(builder: Builder, values: Sequence[Value]) -> Value:
    (x,) = values
    size = _function("fabs")(builder, values)
    is_exact = builder.fcmp_ordered("<", size, _constant(x.type, LARGEST_INTEGER))
    without_sign = builder.fadd(x, _constant(x.type, 0.0))
    return builder.select(is_exact, without_sign, _constant(x.type, float("inf")))


def _single(builder: Builder, x: Value) -> Value:
    return builder.fptrunc(x, ir.VectorType(SINGLE, x.type.count))


def _double(builder: Builder, x: Value) -> Value:
    return builder.fpext(x, ir.VectorType(DOUBLE, x.type.count))


def _rounded(compute: Compute) -> Compute:
    """An operation with results that are rounded to single precision."""

    def rounded(builder: Builder, values: Sequence[Value]) -> Value:
        return _double(builder, _single(builder, compute(builder, values)))

    return rounded


def _first(builder: Builder, values: Sequence[Value]) -> Value:
    return values[0]


def _formula(compute: Compute, is_checked: bool) -> Formula:
    """One operation."""

    def formula(builder: Builder, values: Sequence[Value]) -> tuple[Value, Value | None]:
        result = compute(builder, values)
        return result, result if is_checked else None

    return formula


def _joined(first: Compute, second: Compute) -> Formula:
    """One operation of two operands, and then another one of its result and a third operand."""

    def formula(builder: Builder, values: Sequence[Value]) -> tuple[Value, Value]:
        result = second(builder, [first(builder, values[:2]), values[2]])
        return result, result

    return formula


def _selected(compute: Compute) -> Formula:
    """One operation of two operands where a third one is true, and its first operand elsewhere."""

    def formula(builder: Builder, values: Sequence[Value]) -> tuple[Value, Value]:
        result = compute(builder, values[:2])
        return builder.select(_is_true(builder, values[2]), result, values[0]), result

    return formula


# Pairs of operations that are done at once
PAIRS = (
    ("LESS", "MULTIPLY"),
    ("LESS_EQUAL", "MULTIPLY"),
    ("SUBTRACT", "MULTIPLY"),
    ("MULTIPLY", "MULTIPLY"),
    ("MULTIPLY", "ADD"),
    ("AT_LEAST", "AT_MOST"),
)
SELECTED = "ADD", "SUBTRACT", "MULTIPLY"
# Number of operands, and the code for one vector
SINGLE_OPERATIONS: dict[Operation, tuple[int, Compute]] = {
    Operation.MOVE: (1, _first),
    Operation.ADD: (2, lambda builder, values: builder.fadd(*values)),
    Operation.SUBTRACT: (2, lambda builder, values: builder.fsub(*values)),
    Operation.MULTIPLY: (2, lambda builder, values: builder.fmul(*values)),
    Operation.DIVIDE: (2, lambda builder, values: builder.fdiv(*values)),
    Operation.NEGATIVE: (1, lambda builder, values: builder.fneg(*values)),
    Operation.ABSOLUTE: (1, _function("fabs")),
    Operation.SQRT: (1, _function("sqrt")),
    Operation.FLOOR: (1, _function("floor")),
    Operation.CEIL: (1, _function("ceil")),
    Operation.TRUNC: (1, _function("trunc")),
    Operation.RINT: (1, _function("rint")),
    Operation.INTEGER: (1, _integer),
    Operation.LESS: (2, _comparison("<")),
    Operation.LESS_EQUAL: (2, _comparison("<=")),
    Operation.EQUAL: (2, _comparison("==")),
    Operation.NOT_EQUAL: (2, _comparison("!=")),
    Operation.AND: (2, _logic("and_")),
    Operation.OR: (2, _logic("or_")),
    Operation.NOT: (1, lambda b, values: _boolean(b, b.not_(_is_true(b, values[0])))),
    Operation.SELECT: (3, lambda b, values: b.select(_is_true(b, values[2]), *values[:2])),
    Operation.SHORT: (1, _rounded(_first)),
    Operation.AT_LEAST: (2, _exchanged("<")),
    Operation.AT_MOST: (2, _exchanged(">")),
    Operation.WIDEN: (1, lambda builder, values: _double(builder, *values)),
    Operation.NARROW: (1, lambda builder, values: _single(builder, *values)),
}
for name in ("ADD", "SUBTRACT", "MULTIPLY", "DIVIDE", "SQRT"):
    n_operands, _exact = SINGLE_OPERATIONS[Operation[name]]
    SINGLE_OPERATIONS[Operation[f"{name}_SHORT"]] = n_operands, _rounded(_exact)
UNCHECKED = {Operation.SELECT, Operation.NARROW}
UNCHECKED |= {Operation.LESS, Operation.LESS_EQUAL, Operation.EQUAL, Operation.NOT_EQUAL}
UNCHECKED |= {Operation.AND, Operation.OR, Operation.NOT}
OPERATIONS: dict[Operation, tuple[int, Formula]] = {
    each: (n_operands, _formula(compute, each not in UNCHECKED))
    for each, (n_operands, compute) in SINGLE_OPERATIONS.items()
}
for suffix in ("", "_SHORT"):
    for first, second in PAIRS:
        names = (
            f"{name}{suffix}" if f"{name}{suffix}" in Operation.__members__ else name
            for name in (first, second)
        )
        if f"{first}_{second}{suffix}" in Operation.__members__:
            _one, _two = (SINGLE_OPERATIONS[Operation[name]][1] for name in names)
            OPERATIONS[Operation[f"{first}_{second}{suffix}"]] = 3, _joined(_one, _two)
    for name in SELECTED:
        _, _one = SINGLE_OPERATIONS[Operation[f"{name}{suffix}"]]
        OPERATIONS[Operation[f"{name}_SELECT{suffix}"]] = 3, _selected(_one)


@instruction(primitives.calculate)
def _calculate(
    typingctx: Typing,
    operation: Type,
    n: Type,
    result: Type,
    a: Type,
    b: Type,
    c: Type,
    numbers: Type,
) -> Definition:
    parameters = (types.int64,) * 7

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        operation, n, result, *addresses, numbers = args
        size = 8 if has("vectors of 512 bits") else 4  # of a vector
        operands = [
            Operand(context, builder, address, numbers, i, size)
            for i, address in enumerate(addresses)
        ]
        end = builder.append_basic_block("calculated")
        before, switch = builder.block, builder.switch(operation, end)
        builder.position_at_end(end)
        are_finite = builder.phi(ir.IntType(1))
        are_finite.add_incoming(ir.IntType(1)(1), before)
        for each, (n_operands, formula) in OPERATIONS.items():
            block = builder.append_basic_block(each.name)
            switch.add_case(INTEGER(each), block)
            builder.position_at_end(block)
            item_in = 4 if each == Operation.WIDEN else 8
            item_out = 4 if each == Operation.NARROW else 8
            used = [each.checked(n, item_in) for each in operands[:n_operands]]
            start = check(context, builder, result, n, item_out)
            target = Array(start, INTEGER(item_out), item_out)
            finite = Loop(builder, formula, size, used, target).generate(n)
            are_finite.add_incoming(finite, builder.block)
            builder.branch(end)
        builder.position_at_end(end)
        return are_finite

    return types.boolean(*parameters), codegen
