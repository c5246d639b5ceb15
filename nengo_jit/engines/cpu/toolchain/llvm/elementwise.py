"""The primitive for elementwise operations on arrays, for Numba.

Each operation is a loop over vectors, several at once, and one over masked vectors for those that
are left, so LLVM has nothing to vectorise. That compiles ten times as fast as loops in Python,
which LLVM has to check for overlapping arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core.cgutils import alloca_once

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
from nengo_jit.engines.cpu.toolchain.llvm.simd import _broadcast, _first_lanes
from nengo_jit.engines.cpu.toolchain.target import has

INTEGER, DOUBLE, SINGLE = ir.IntType(64), ir.DoubleType(), ir.FloatType()
UNROLLED = 4  # vectors
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


def _joined(first: Compute, second: Compute) -> Compute:
    """One operation of two operands, and then another one of its result and a third operand."""
    return lambda builder, values: second(builder, [first(builder, values[:2]), values[2]])


# Pairs of operations that are done at once
PAIRS = (
    ("LESS", "MULTIPLY"),
    ("LESS_EQUAL", "MULTIPLY"),
    ("SUBTRACT", "MULTIPLY"),
    ("MULTIPLY", "MULTIPLY"),
    ("MULTIPLY", "ADD"),
)
# Number of operands, and the code for one vector
OPERATIONS: dict[Operation, tuple[int, Compute]] = {
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
    Operation.WIDEN: (1, lambda builder, values: _double(builder, *values)),
    Operation.NARROW: (1, lambda builder, values: _single(builder, *values)),
}
for name in ("ADD", "SUBTRACT", "MULTIPLY", "DIVIDE", "SQRT"):
    n_operands, _exact = OPERATIONS[Operation[name]]
    OPERATIONS[Operation[f"{name}_SHORT"]] = n_operands, _rounded(_exact)
for first, second in PAIRS:
    for suffix in ("", "_SHORT"):
        names = (
            f"{name}{suffix}" if f"{name}{suffix}" in Operation.__members__ else name
            for name in (first, second)
        )
        _one, _two = (OPERATIONS[Operation[name]][1] for name in names)
        OPERATIONS[Operation[f"{first}_{second}{suffix}"]] = 3, _joined(_one, _two)


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
            _Operand(context, builder, address, numbers, i, size)
            for i, address in enumerate(addresses)
        ]
        end = builder.append_basic_block("calculated")
        switch = builder.switch(operation, end)
        for each, (n_operands, compute) in OPERATIONS.items():
            block = builder.append_basic_block(each.name)
            switch.add_case(INTEGER(each), block)
            builder.position_at_end(block)
            item_in = 4 if each == Operation.WIDEN else 8
            item_out = 4 if each == Operation.NARROW else 8
            used = [each.checked(n, item_in) for each in operands[:n_operands]]
            start = check(context, builder, result, n, item_out)
            target = _Array(start, INTEGER(item_out), item_out)
            _Loop(builder, compute, size, used, target).generate(n)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.none(*parameters), codegen


class _Array(NamedTuple):
    """What a loop reads or writes.

    Attributes
    ----------
    start : Value
        The address of the first vector.
    step : Value
        The distance of elements (bytes); zero to read the same vectors again and again.
    item : int
        The size of an element (bytes).
    """

    start: Value
    step: Value
    item: int


class _Operand:
    """An operand: elements at an address, or a single number, of which copies are made.

    Parameters
    ----------
    context, builder
        Of the code that is generated.
    address : Value
        The address.
    numbers : Value
        Has a bit for each operand that is a single number.
    index : int
        Which operand it is.
    size : int
        Elements of a vector.
    """

    def __init__(
        self,
        context: Target,
        builder: Builder,
        address: Value,
        numbers: Value,
        index: int,
        size: int,
    ):
        self._context, self._builder, self._address = context, builder, address
        self._is_number = builder.trunc(builder.lshr(numbers, INTEGER(index)), ir.IntType(1))
        copies = alloca_once(builder, ir.VectorType(DOUBLE, size), UNROLLED)
        self._copies = builder.ptrtoint(copies, INTEGER)
        with builder.if_then(self._is_number):
            pointer = builder.inttoptr(address, DOUBLE.as_pointer())
            vector = _broadcast(builder, builder.load(pointer, align=4), size)
            for i in range(UNROLLED):
                builder.store(vector, builder.gep(copies, [INTEGER(i)]))

    def checked(self, n: Value, item: int) -> _Array:
        """The operand as n elements, or as copies of its number."""
        builder, is_number = self._builder, self._is_number
        count = builder.select(is_number, INTEGER(1), n)
        address = check(self._context, builder, self._address, count, item)
        start = builder.select(is_number, self._copies, address)
        return _Array(start, builder.select(is_number, INTEGER(0), INTEGER(item)), item)


class _Loop:
    """The loops of an operation that are being generated.

    Parameters
    ----------
    builder : Builder
        Of the code that is generated.
    compute : callable
        Generates the code for one vector.
    size : int
        Elements of a vector.
    operands : sequence of _Array
        What the operation reads.
    result : _Array
        Where the results go.
    """

    def __init__(
        self,
        builder: Builder,
        compute: Compute,
        size: int,
        operands: Sequence[_Array],
        result: _Array,
    ):
        self._builder, self._compute, self._size = builder, compute, size
        self._arrays = *operands, result

    def generate(self, n: Value) -> None:
        """Generate a loop over several vectors at once, and one over masked vectors."""
        whole = self._builder.and_(n, INTEGER(-self._size * UNROLLED))
        state = [INTEGER(0), *(each.start for each in self._arrays)]
        state = self._repeat(state, whole, UNROLLED, is_masked=False)
        self._repeat(state, n, 1, is_masked=True)

    def _repeat(
        self, state: list[Value], end: Value, n_vectors: int, is_masked: bool
    ) -> list[Value]:
        """Generate a loop up to an element.

        Its state is the number of elements before it, and the address of each array. Returns the
        state after the loop.
        """
        builder, before = self._builder, self._builder.block
        loop, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", state[0], end), loop, after)
        builder.position_at_end(loop)
        first, *addresses = phis = [builder.phi(INTEGER) for _ in state]
        rest = builder.sub(end, first)
        mask = _first_lanes(builder, rest, self._size) if is_masked else None
        self._compute_vectors(addresses, n_vectors, mask)
        n = INTEGER(n_vectors * self._size)
        moved = (
            builder.add(address, builder.mul(each.step, n))
            for address, each in zip(addresses, self._arrays, strict=True)
        )
        following = [builder.add(first, n), *moved]
        builder.cbranch(builder.icmp_signed("<", following[0], end), loop, after)
        builder.position_at_end(after)
        reached = [builder.phi(INTEGER) for _ in state]
        for phi, last, old, new in zip(phis, reached, state, following, strict=True):
            for each in (phi, last):
                each.add_incoming(old, before)
                each.add_incoming(new, loop)
        return reached

    def _compute_vectors(
        self, addresses: Sequence[Value], n_vectors: int, mask: Value | None
    ) -> None:
        """Load all vectors before any result is stored."""
        *sources, target = zip(addresses, self._arrays, strict=True)
        results = []
        for i in range(n_vectors):
            values = [self._access(*source, i, mask) for source in sources]
            results.append(self._compute(self._builder, values))
        for i, result in enumerate(results):
            self._access(*target, i, mask, result)

    def _access(
        self,
        address: Value,
        array: _Array,
        i: int,
        mask: Value | None,
        value: Value | None = None,
    ) -> Value:
        """Load a vector, or store one; of the elements that the mask selects, if there is one."""
        builder, item = self._builder, array.item
        vector = ir.VectorType(DOUBLE if item == 8 else SINGLE, self._size)
        address = builder.add(address, INTEGER(i * self._size * item))
        pointer = builder.inttoptr(address, vector.as_pointer())
        if mask is None and value is None:
            return builder.load(pointer, align=item)
        if mask is None:
            return builder.store(value, pointer, align=item)
        suffix = f"v{self._size}f{8 * item}.p0"
        given = [pointer, ir.IntType(32)(item), mask]
        given = [*given, ir.Constant(vector, None)] if value is None else [value, *given]
        kind = ir.FunctionType(
            vector if value is None else ir.VoidType(), [each.type for each in given]
        )
        name = f"llvm.masked.{'load' if value is None else 'store'}.{suffix}"
        return builder.call(builder.module.declare_intrinsic(name, (), kind), given)
