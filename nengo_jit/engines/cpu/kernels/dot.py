"""Lowering of products of matrices and vectors, to the kernels in `dense.py` and `events.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import TypedDict

import numpy as np

from nengo_jit.engines.cpu.kernels.dense import dot_columns, dot_rows, dot_rows_held, dot_strided
from nengo_jit.engines.cpu.kernels.events import dot_events, dot_rows_events
from nengo_jit.engines.cpu.kernels.half import half_dot_columns, half_dot_rows
from nengo_jit.engines.cpu.kernels.held import hold, hold_in_place
from nengo_jit.engines.cpu.kernels.nonzeros import multiply_nonzeros
from nengo_jit.engines.cpu.kernels.operator import copy, multiply, spread
from nengo_jit.engines.cpu.kernels.spikes import search
from nengo_jit.engines.cpu.language.kernel import offset, start
from nengo_jit.engines.cpu.language.primitives import FLOAT16, Address
from nengo_jit.engines.cpu.program.arena import Pool
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.fusion import Part
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.program.populations import Population
from nengo_jit.engines.cpu.program.products import WIDE, Strategy, as_matrix
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import DotInc, Reset
from nengo_jit.ir.signal import Signal

copy_product = copy.variant(stage=1)  # after the kernel that computes the product


OF_EVENTS = Strategy.EVENTS, Strategy.ROWS_OF_EVENTS


class Operands(TypedDict):
    """The operands of ``begin + A.dot(x)``: columns of rows of `dot_columns` and of `lif`."""

    columns: Address
    begin: Address
    x: Address
    m: int
    distance: int


@lowers(DotInc)
def lower_dot_inc(operator: DotInc, lowering: Lowering) -> Lowered:
    """Multiply by columns, by rows or by spikes, whichever is the least work."""
    if operator.X not in lowering.fusion.searched:
        return _lower_product(operator, lowering, lowering.populations.lists_of)
    x = lowering.array(operator.X).reshape(-1)
    if not contiguous(x):
        return _lower_product(operator, lowering, lowering.populations.lists_of)
    # User code may change the output of the neurons, so list spikes just before they are used.
    searched, lists = search(x, lowering)
    rows = _lower_product(operator, lowering, lambda _: lists)
    return [*searched, *(row.for_kernel(row.kernel.variant(stage=3)) for row in rows)]


def _lower_product(
    operator: DotInc,
    lowering: Lowering,
    lists_of: Callable[[Signal], Sequence[Population]],
) -> Lowered:
    """Return the rows for a product; ``lists_of`` returns the lists of a signal's spikes."""
    a, x, y = (lowering.array(signal) for signal in (operator.A, operator.X, operator.Y))
    strategy = lowering.fusion.strategies[operator]
    if strategy is Strategy.NONE:
        lowering.assumptions.assume(operator.A, lambda: bool(np.isfinite(a).all()))
        return []
    if strategy is Strategy.ELEMENTWISE:
        if operator.reshape:  # both have one element
            a, x = a.reshape(()), x.reshape(())
        return multiply(a, x, y)
    x, y = x.reshape(-1), y.reshape(-1)
    a = as_matrix(a, y.size, x.size)
    n, m = a.shape
    other = lowering.fusion.duplicate_of.get(operator)
    if other is not None:
        lowering.columns(operator.A, a)  # equal to the other's for as long as it does not change
        result = start(lowering.array(other.Y))
        return [copy_product.row(src=result, dst=start(y), n=n)]
    if lowering.dtype == FLOAT16:
        listed = lists_of(operator.X) if strategy in OF_EVENTS else []
        return _lower_in_half(operator, a, x, y, listed, lowering)
    if strategy is Strategy.EVENTS:
        operands = operands_of(operator, lowering)
        begins = chain([operands["begin"]], repeat(start(y)))
        size = operands["distance"]  # of a column, in bytes
        neurons = lowering.fusion.without_output.get(operator.X)
        return [
            dot_events.row(
                columns=offset(operands["columns"], first * size),
                begin=begin,
                x=heights(neurons, count, lowering) if neurons else start(x[first:]),
                y=start(y),
                n=n,
                m=count,
                distance=size,
                events=listed,
            )
            for begin, (first, count, listed) in zip(begins, lists_of(operator.X))
        ]
    if strategy is Strategy.ROWS_OF_EVENTS:
        return [
            dot_rows_events.row(
                matrix=start(a[:, first:]),
                x=start(x[first:]),
                y=start(y),
                n=n,
                m=count,
                events=listed,
                distance=a.strides[0],
            )
            for first, count, listed in lists_of(operator.X)
        ]
    if strategy is Strategy.NONZEROS:
        return [multiply_nonzeros(operator.A, a, x, y, lowering)]
    if strategy is Strategy.COLUMNS:
        before, record = hold_in_place(operator, lowering, on_paths=True)
        operands = operands_of(operator, lowering)
        return [*before, dot_columns.row(**operands, record=record, y=start(y), n=n)]
    if strategy is Strategy.ROWS and operator in lowering.fusion.held:
        products = lowering.arena.buffer(n, lowering.dtype)
        held = hold(operator, products, lowering)
        row = dot_rows_held.row(
            matrix=lowering.rows_of(operator.A, a),
            x=start(x),
            products=start(products),
            y=start(y),
            n=n,
            m=m,
            distance=a.strides[0],
            record=held.record,
        )
        return [held.notice, row]
    if strategy is Strategy.ROWS:
        matrix = lowering.rows_of(operator.A, a)
        row = dot_rows.row(matrix=matrix, x=start(x), y=start(y), n=n, m=m, distance=a.strides[0])
        return [row]
    matrix, (down, right) = start(a), a.strides
    if right != a.itemsize and lowering.facts.is_fixed(operator.A):
        matrix, down, right = lowering.copied(operator.A, a), m * a.itemsize, a.itemsize
    row = dot_strided.row(
        matrix=matrix,
        x=start(x),
        y=start(y),
        height=n,
        width=m,
        down=down,
        right=right,
        x_step=x.strides[0],
        y_step=y.strides[0],
        work=start(lowering.arena.buffer(m, lowering.dtype)),
    )
    return [row]


def _lower_in_half(
    operator: DotInc,
    a: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    listed: Sequence[Population],
    lowering: Lowering,
) -> Lowered:
    """Multiply in half precision: many rows of a constant side by side, others four at a time."""
    n, m = a.shape
    table = [len(listed), *chain.from_iterable((first, events) for first, _, events in listed)]
    lists = lowering.arena.constant(table, np.int64) if listed else Address(0)
    if lowering.facts.is_fixed(operator.A) and contiguous(x) and contiguous(y):
        operands = operands_of(operator, lowering)
        if n >= WIDE:
            return [half_dot_columns.row(**operands, lists=lists, y=start(y), n=n)]
        row = half_dot_rows.row(
            matrix=operands["columns"],
            begin=operands["begin"],
            x=start(x),
            y=start(y),
            n=n,
            m=m,
            distance=y.itemsize,
            right=operands["distance"],
            x_step=x.itemsize,
            lists=lists,
        )
        return [row]
    parts = [slice(None)] if contiguous(y) else [slice(i, i + 1) for i in range(n)]
    return [
        half_dot_rows.row(
            matrix=start(a[part]),
            begin=start(y[part]),
            x=start(x),
            y=start(y[part]),
            n=y[part].size,
            m=m,
            distance=a.strides[0],
            right=a.strides[1],
            x_step=x.strides[0],
            lists=lists,
        )
        for part in parts
    ]


def heights(neurons: SimNeurons, n: int, lowering: Lowering) -> Address:
    """Return the address of the heights of ``n`` neurons' spikes, whose output is not stored."""
    height = lowering.dtype.type(neurons.neurons.amplitude) / lowering.dtype.type(lowering.dt)
    return lowering.arena.numbers(np.full(n, height))


def operands_of(operator: DotInc, lowering: Lowering) -> Operands:
    """Return the operands of a product with a matrix that is stored column by column."""
    y, x = lowering.array(operator.Y).reshape(-1), lowering.array(operator.X).reshape(-1)
    matrix = as_matrix(lowering.array(operator.A), y.size, x.size)
    return {
        "columns": lowering.columns(operator.A, matrix),
        "begin": beginning(operator, y, lowering),
        "x": start(x),
        "m": x.size,
        "distance": y.nbytes,
    }


def beginning(operator: DotInc, y: np.ndarray, lowering: Lowering) -> Address:
    """Return the address of the initial value of the sum y: a constant, or y itself."""
    setter = lowering.part_of(operator, Part.BIAS)
    if setter is None:
        return start(y)
    if type(setter) is Reset:
        return lowering.arena.numbers(np.full(y.size, setter.value))
    bias = spread(lowering.array(setter.src), lowering.array(setter.dst).shape)
    return lowering.copied(setter.src, bias, Pool.BEGINNINGS)
