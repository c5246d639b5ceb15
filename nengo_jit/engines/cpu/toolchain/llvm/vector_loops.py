"""Loops over vectors that are generated for elementwise operations.

A first loop computes several vectors at once, a second one the masked vectors that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from llvmlite import ir
from numba.core.cgutils import alloca_once

from nengo_jit.engines.cpu.toolchain.llvm.checks import check
from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    Target,
    Value,
)
from nengo_jit.engines.cpu.toolchain.llvm.simd import _broadcast, _first_lanes

INTEGER, DOUBLE, SINGLE = ir.IntType(64), ir.DoubleType(), ir.FloatType()
UNROLLED = 4  # vectors
# Generates the code for one vector; returns results, and the vector that must be finite, if any
Formula = Callable[[Builder, Sequence[Value]], tuple[Value, Value | None]]


class Array(NamedTuple):
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


class Operand:
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

    def checked(self, n: Value, item: int) -> Array:
        """The operand as n elements, or as copies of its number."""
        builder, is_number = self._builder, self._is_number
        count = builder.select(is_number, INTEGER(1), n)
        address = check(self._context, builder, self._address, count, item)
        start = builder.select(is_number, self._copies, address)
        return Array(start, builder.select(is_number, INTEGER(0), INTEGER(item)), item)


class Loop:
    """The loops of an operation that are being generated.

    Parameters
    ----------
    builder : Builder
        Of the code that is generated.
    formula : callable
        Generates the code for one vector.
    size : int
        Elements of a vector.
    operands : sequence of Array
        What the operation reads.
    result : Array
        Where the results go.
    """

    def __init__(
        self,
        builder: Builder,
        formula: Formula,
        size: int,
        operands: Sequence[Array],
        result: Array,
    ):
        self._builder, self._formula, self._size = builder, formula, size
        self._arrays = *operands, result

    def generate(self, n: Value) -> Value:
        """Generate a loop over several vectors at once, and one over masked vectors.

        Returns whether the results are finite.
        """
        builder, size = self._builder, self._size
        whole = builder.and_(n, INTEGER(-size * UNROLLED))
        nothing = ir.Constant(ir.VectorType(INTEGER, size), None)
        state = [INTEGER(0), nothing, *(each.start for each in self._arrays)]
        state = self._repeat(state, whole, UNROLLED, is_masked=False)
        _, bits, *_ = self._repeat(state, n, 1, is_masked=True)
        kind = ir.FunctionType(INTEGER, [bits.type])
        name = f"llvm.vector.reduce.or.v{size}i64"
        found = builder.call(builder.module.declare_intrinsic(name, (), kind), [bits])
        return builder.icmp_signed("==", found, INTEGER(0))

    def _repeat(
        self, state: list[Value], end: Value, n_vectors: int, is_masked: bool
    ) -> list[Value]:
        """Generate a loop up to an element.

        Its state is the number of elements before it, bits that are set where results are not
        finite, and the address of each array. Returns the state after the loop.
        """
        builder, before = self._builder, self._builder.block
        loop, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", state[0], end), loop, after)
        builder.position_at_end(loop)
        first, bits, *addresses = phis = [builder.phi(each.type) for each in state]
        rest = builder.sub(end, first)
        mask = _first_lanes(builder, rest, self._size) if is_masked else None
        bits = self._compute(addresses, bits, n_vectors, mask)
        n = INTEGER(n_vectors * self._size)
        moved = (
            builder.add(address, builder.mul(each.step, n))
            for address, each in zip(addresses, self._arrays, strict=True)
        )
        following = [builder.add(first, n), bits, *moved]
        builder.cbranch(builder.icmp_signed("<", following[0], end), loop, after)
        builder.position_at_end(after)
        reached = [builder.phi(each.type) for each in state]
        for phi, last, old, new in zip(phis, reached, state, following, strict=True):
            for each in (phi, last):
                each.add_incoming(old, before)
                each.add_incoming(new, loop)
        return reached

    def _compute(
        self, addresses: Sequence[Value], bits: Value, n_vectors: int, mask: Value | None
    ) -> Value:
        """Compute some vectors; all are loaded before any result is stored.

        Returns the given bits, with those set that show where results are not finite.
        """
        builder = self._builder
        *sources, target = zip(addresses, self._arrays, strict=True)
        results = []
        for i in range(n_vectors):
            values = [self._access(*source, i, mask) for source in sources]
            result, checked = self._formula(builder, values)
            results.append(result)
            if checked is not None:  # a difference is zero, or not a number
                found = builder.bitcast(builder.fsub(checked, checked), bits.type)
                if mask is not None:
                    found = builder.select(mask, found, ir.Constant(bits.type, None))
                bits = builder.or_(bits, found)
        for i, result in enumerate(results):
            self._access(*target, i, mask, result)
        return bits

    def _access(
        self,
        address: Value,
        array: Array,
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
