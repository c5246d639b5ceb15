"""Products of sparse matrices with vectors of half precision.

SciPy has no matrices of half precision: they have double precision, in which sums are added up. So
zeros can be left out, and spikes can be handled as events.
"""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nengo_jit.engines.cpu.kernels.dot import beginning
from nengo_jit.engines.cpu.kernels.half import list_at, n_lists_of
from nengo_jit.engines.cpu.kernels.operator import places
from nengo_jit.engines.cpu.kernels.spikes import search
from nengo_jit.engines.cpu.kernels.stored_rows import by_rows
from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, In, Out, Own, RowsOf
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    float64s,
    int32s,
    int64s,
    no_vectorize,
    vector,
    vector_from,
)
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering
from nengo_jit.engines.cpu.program.products import Strategy
from nengo_jit.ir.operator import SparseDotInc

if TYPE_CHECKING:
    from scipy.sparse import spmatrix


@kernel(exact=True, cost=1.0)
def half_sparse_rows(
    memory: Memory,
    begin: In,
    ends: RowsOf,
    data: Address,
    columns: Address,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``y = begin + A.dot(x)``, see `sparse_dot_rows`; the data have double precision."""
    beginnings, sums, stops = vector(memory, begin, n), vector(memory, y, n), int64s(ends, n + 1)
    numbers, sources = float64s(data, stops[n]), int32s(columns, stops[n])
    factors = vector_from(memory, x)
    for i in range(n):
        total = 0.0
        for k in range(stops[i], stops[i + 1]):
            total += numbers[k] * np.float64(factors[np.uint64(sources[k])])
        sums[i] = np.float64(beginnings[i]) + total


@kernel(exact=True, cost=0.3, cost_of_row=50.0)
def half_sparse_events(
    memory: Memory,
    begin: Address,
    x: Address,
    y: Own,
    size: Factor,
    m: int,
    lists: Address,
    spans: Address,
    targets: Address,
    data: Address,
    n_data: int,
    totals: Address,
) -> None:
    """``y = begin + A.dot(x)`` for m neurons' spikes x, listed as for `half_dot_columns`.

    The matrix is stored column by column. The spans are the begin and the end of each neuron's
    column, the targets the rows of the data, the totals scratch memory of double precision.
    """
    heights, sums = vector(memory, x, m), float64s(totals, size)
    bounds, rows, numbers = int32s(spans, 2 * m), int32s(targets, n_data), float64s(data, n_data)
    for i in range(size):
        sums[i] = 0.0
    for number in range(n_lists_of(lists)):
        first, count, listed = list_at(lists, number, m)
        spikes = int64s(listed, count)
        for k in range(count):
            j = first + spikes[k]
            height = np.float64(heights[j])
            for place in range(bounds[2 * j], bounds[2 * j + 1]):
                no_vectorize()
                sums[np.uint64(rows[place])] += numbers[place] * height
    beginnings, result = vector(memory, begin, size), vector(memory, y, size)
    for i in range(size):
        result[i] = np.float64(beginnings[i]) + sums[i]


def lower_sparse_in_half(operator: SparseDotInc, matrix: spmatrix, lowering: Lowering) -> Lowered:
    """Multiply by spikes, or by rows: the data are read in place if they are stored so."""
    if lowering.fusion.strategies[operator] is Strategy.EVENTS:
        return _by_spikes(operator, matrix, lowering)
    return [half_sparse_rows.row(**by_rows(operator, matrix, lowering))]


def _by_spikes(operator: SparseDotInc, matrix: spmatrix, lowering: Lowering) -> Lowered:
    """Store the matrix by columns."""
    x, y = (lowering.array(each).reshape(-1) for each in (operator.X, operator.Y))
    output = lowering.fusion.output_of(operator.X)
    heights = lowering.array(output)
    searched: Lowered = []
    if output in lowering.fusion.searched:
        searched, lists = search(heights, lowering)
    else:
        lists = lowering.populations.lists_of(output)
    columns = matrix.tocsr().tocsc()

    def are_the_same() -> bool:
        now = matrix.tocsr().tocsc()
        return all(
            np.array_equal(getattr(now, name), getattr(columns, name))
            for name in ("indptr", "indices", "data")
        )

    lowering.assumptions.assume(operator.A, are_the_same)
    x_start, x_places = places(x)
    neurons = (x_start - start(heights)) // x.itemsize + x_places  # which the columns are for
    spans: np.ndarray = np.zeros((heights.size, 2), np.int32)
    spans[neurons] = np.stack([columns.indptr[:-1], columns.indptr[1:]], axis=1)
    targets = columns.indices.astype(np.int32)
    lowering.arena.keep(spans, targets, columns)
    table = [len(lists), *(n for first, _, events in lists for n in (first, events))]
    row = half_sparse_events.row(
        begin=beginning(operator, y, lowering),
        x=start(heights),
        y=start(y),
        size=y.size,
        m=heights.size,
        lists=lowering.arena.constant(table, np.int64),
        spans=start(spans),
        targets=start(targets),
        data=start(columns.data),
        n_data=columns.nnz,
        totals=start(lowering.arena.buffer(y.size, np.float64)),
    )
    return [*searched, row.for_kernel(row.kernel.variant(stage=3)) if searched else row]
