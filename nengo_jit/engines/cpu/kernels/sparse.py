"""Kernels for sparse matrices: products by spikes, by rows, or in any order.

For spikes, the matrix is stored column by column, in as many parts as there are threads, each of
which has some of the rows. So a sum gets its terms from one thread, in the order of the spikes.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import nengo.utils.numpy as npext
import numpy as np

from nengo_jit.engines.cpu.kernels.dense import is_kept
from nengo_jit.engines.cpu.kernels.dot import beginning, lower_dot_inc
from nengo_jit.engines.cpu.kernels.half_sparse import lower_sparse_in_half
from nengo_jit.engines.cpu.kernels.held import hold_in_place
from nengo_jit.engines.cpu.kernels.operator import places
from nengo_jit.engines.cpu.kernels.spikes import search
from nengo_jit.engines.cpu.kernels.stored_rows import by_rows
from nengo_jit.engines.cpu.language.columns import (
    Count,
    Distance,
    Factor,
    In,
    Out,
    RowsOf,
    Whole,
)
from nengo_jit.engines.cpu.language.kernel import kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import (
    FLOAT16,
    Address,
    Memory,
    helper,
    int32s,
    int64s,
    no_vectorize,
    vector,
    vector_from,
)
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.program.products import FORMATS, Strategy, sparse_strategy_of
from nengo_jit.ir.memory import hold
from nengo_jit.ir.operator import SparseDotInc

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix, spmatrix

FEWEST = 32  # elements that a column has in each part, on average
MANY = 2  # neurons for each spike up to which a product by rows is quicker


@helper(forceinline=True)
def add_row(total, first, last, numbers, columns, factors):
    """``total`` plus the products of the elements of a row, added up in any order."""
    for k in range(np.uint64(first), np.uint64(last)):
        total += numbers[k] * factors[np.uint64(columns[k])]
    return total


@kernel(reassociate=True, cost=0.6)
def sparse_dot_rows(
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
    record: Address,
) -> None:
    """``y = begin + A.dot(x)`` for a matrix stored row by row; y may be its beginning.

    The ends of rows lie at a distance, the columns are places in x. There are m data in a row. If y
    is kept, it has a record, see `held.py`.
    """
    if is_kept(record):
        return
    beginnings, sums, stops = vector(memory, begin, n), vector(memory, y, n), int64s(ends, n + 1)
    numbers, sources = vector(memory, data, stops[n]), int32s(columns, stops[n])
    factors = vector_from(memory, x)
    for i in range(n):
        sums[i] = add_row(beginnings[i], stops[i], stops[i + 1], numbers, sources, factors)


@kernel()
def sparse_dot_triplets(
    memory: Memory,
    data: Address,
    targets: Address,
    sources: Address,
    x: Address,
    y: Address,
    size: int,
) -> None:
    """``y += A.dot(x)`` for a matrix stored in any order.

    The targets are the places of the data's rows in y, and the sources those of columns in x.
    """
    numbers, places_in_y = vector(memory, data, size), int64s(targets, size)
    places_in_x = int64s(sources, size)
    factors, sums = vector_from(memory, x), vector_from(memory, y)
    for k in range(size):
        sums[np.uint64(places_in_y[k])] += numbers[k] * factors[np.uint64(places_in_x[k])]


@helper(forceinline=True)
def add_column(sums, targets, numbers, is_uniform, first, last, height):
    """Add the elements of a column, times a height, to their targets."""
    if is_uniform:
        product = numbers[0] * height
        for k in range(np.uint64(first), np.uint64(last)):
            no_vectorize()
            sums[np.uint64(targets[k])] += product
    else:
        for k in range(np.uint64(first), np.uint64(last)):
            no_vectorize()
            sums[np.uint64(targets[k])] += numbers[k] * height


@kernel(reassociate=True, cost=0.03, cost_of_row=25.0)
def sparse_dot_events(
    memory: Memory,
    begin: In,
    x: Address,
    y: Whole,
    n: Count,
    m: Factor,
    lists: Address,
    n_lists: int,
    spans: Address,
    targets: Address,
    data: Address,
    size: int,
    is_uniform: int,
    ends: Address,
    columns: Address,
    numbers: Address,
    factors: Address,
    many: int,
) -> None:
    """``y = begin + A.dot(x)`` for spikes, by the columns of a matrix; y may be its beginning.

    Of the ``size`` elements, the spans tell the first and the last of each neuron's column, and the
    targets the places in y; there is one number in the data if all are equal. The lists are, for
    each population, the first neuron and where its events are: see `dot_events`.

    If more than ``many`` neurons spike, the matrix is read row by row instead: for ends, columns,
    numbers and factors see `sparse_dot_rows`.
    """
    sums, heights = vector(memory, y, n), vector_from(memory, x)
    if begin != y:
        beginnings = vector(memory, begin, n)
        for i in range(n):
            sums[i] = beginnings[i]
    populations = int64s(lists, 2 * n_lists)
    count = 0
    for p in range(n_lists):
        count += int64s(populations[2 * p + 1], 1)[0]
    if count > many:
        stops = int64s(ends, n + 1)
        elements, sources = vector(memory, numbers, stops[n]), int32s(columns, stops[n])
        given = vector_from(memory, factors)
        for i in range(n):
            sums[i] = add_row(sums[i], stops[i], stops[i + 1], elements, sources, given)
    else:
        places_in_y = int32s(targets, size)
        stored = vector(memory, data, 1 if is_uniform != 0 else size)
        for p in range(n_lists):
            first, events = populations[2 * p], populations[2 * p + 1]
            spikes = int64s(events + 8, int64s(events, 1)[0])
            for k in range(spikes.size):
                j = first + spikes[k]
                span, height = int32s(spans + 8 * j, 2), heights[np.uint64(j)]
                add_column(sums, places_in_y, stored, is_uniform != 0, span[0], span[1], height)


def _is_kept(operator: SparseDotInc, facts: Facts) -> bool:
    """Whether a matrix has a format that kernels know, and its data stay where they are.

    SciPy lets anybody replace its arrays, and anybody who has been handed the matrix change its
    indices.
    """
    matrix: spmatrix = facts.array(operator.A)
    if not npext.is_spmatrix(matrix):  # SciPy is not installed
        return True
    if facts.dtype == FLOAT16 and _is_irregular(operator, matrix, facts):
        return False
    is_known = matrix.format in FORMATS and not facts.is_exposed(operator.A)
    return is_known and hold(matrix.data) is not None


def _is_irregular(operator: SparseDotInc, matrix: spmatrix, facts: Facts) -> bool:
    """Whether a matrix cannot be multiplied row by row."""
    x, y = facts.array(operator.X), facts.array(operator.Y)
    is_fixed = facts.is_fixed(operator.A)
    return sparse_strategy_of(matrix, x, y, is_fixed, has_spikes=False) is Strategy.STRIDED


@lowers(SparseDotInc, check=_is_kept)
def lower_sparse_dot_inc(operator: SparseDotInc, lowering: Lowering) -> Lowered | None:
    """Multiply by spikes or by rows; else as the matrix is stored, since it may be changed."""
    matrix: spmatrix = lowering.array(operator.A)
    strategy = lowering.fusion.strategies[operator]
    if not npext.is_spmatrix(matrix):
        return lower_dot_inc(operator, lowering)
    if strategy is Strategy.NONE:
        return []
    names = FORMATS[matrix.format]
    arrays = [getattr(matrix, name) for name in names]

    def are_the_same() -> bool:
        return all(getattr(matrix, name) is array for name, array in zip(names, arrays))

    lowering.arena.keep(*map(hold, arrays))
    lowering.assumptions.fragile.append((operator.A.base, are_the_same))
    if lowering.dtype == FLOAT16:
        return lower_sparse_in_half(operator, matrix, lowering)
    if strategy is Strategy.EVENTS:
        return _by_spikes(operator, matrix, lowering)
    if strategy is Strategy.ROWS:
        return _by_rows(operator, matrix, lowering)
    return _in_any_order(operator, matrix, lowering)


def _by_spikes(operator: SparseDotInc, matrix: spmatrix, lowering: Lowering) -> Lowered:
    """Store the matrix by columns; read the user's, too, if it is stored by rows."""
    x, y = (lowering.array(each).reshape(-1) for each in (operator.X, operator.Y))
    output = lowering.fusion.output_of(operator.X)
    heights = lowering.array(output)
    searched: Lowered = []
    if output in lowering.fusion.searched:
        searched, lists = search(heights, lowering)
    else:
        lists = lowering.populations.lists_of(output)
    listed = [number for first, _, events in lists for number in (first, events)]
    n_parts = lowering.n_threads if matrix.nnz >= FEWEST * lowering.n_threads * x.size else 1
    bounds = [y.size * k // n_parts for k in range(n_parts + 1)]
    is_uniform = bool(matrix.data.min() == matrix.data.max())
    number = matrix.data[0]
    parts = list(_columns(matrix, bounds, is_uniform))
    data = [np.full(1, number) if is_uniform else part.data for part in parts]

    def are_the_same() -> bool:
        if is_uniform and not (matrix.data == number).all():
            return False
        return all(
            np.array_equal(now.indptr, part.indptr)
            and np.array_equal(now.indices, part.indices)
            and np.array_equal(now.data, part.data)
            for now, part in zip(_columns(matrix, bounds, is_uniform), parts)
        )

    lowering.assumptions.assume(operator.A, are_the_same)
    by_row = {"ends": Address(0), "columns": Address(0), "numbers": Address(0)}
    many = heights.size
    is_by_row = matrix.format == "csr" and hold(matrix.indices) is not None
    if is_by_row and matrix.indices.dtype == np.int32 and contiguous(x):
        many //= MANY
        by_row["ends"] = lowering.arena.constant(matrix.indptr, np.int64)
        by_row |= {"columns": start(matrix.indices), "numbers": start(matrix.data)}
    x_start, x_places = places(x)
    neurons = (x_start - start(heights)) // x.itemsize + x_places  # which the columns are for
    begin = beginning(operator, y, lowering)
    rows = []
    for (first, last), part, numbers in zip(pairwise(bounds), parts, data):
        spans: np.ndarray = np.zeros((heights.size, 2), np.int32)
        spans[neurons] = np.stack([part.indptr[:-1], part.indptr[1:]], axis=1)
        lowering.arena.keep(spans, part.indices, numbers)
        rows.append(
            sparse_dot_events.row(
                begin=offset(begin, first * y.itemsize),
                x=start(heights),
                y=start(y[first:]),
                n=last - first,
                m=max(part.nnz // (last - first), 1),
                lists=lowering.arena.constant(listed, np.int64),
                n_lists=len(lists),
                spans=start(spans),
                targets=start(part.indices),
                data=start(numbers),
                size=part.nnz,
                is_uniform=int(is_uniform),
                **by_row | {"ends": offset(by_row["ends"], 8 * first)},
                factors=x_start,
                many=many,
            )
        )
    return [
        *searched,
        *(row.for_kernel(row.kernel.variant(stage=3)) if searched else row for row in rows),
    ]


def _columns(matrix: spmatrix, bounds: list[int], is_uniform: bool) -> Iterator[csc_matrix]:
    """Rows of a matrix, from one bound to the next, as copies that are stored column by column.

    They have no data worth the memory if these are all equal.
    """
    rows = matrix.tocsr()
    for first, last in pairwise(bounds):
        ends = rows.indptr[first : last + 1]
        here = slice(ends[0], ends[-1])
        indices = rows.indices[here]
        data = np.zeros(indices.size, np.int8) if is_uniform else rows.data[here]
        shape = last - first, rows.shape[1]
        yield type(rows)((data, indices, ends - ends[0]), shape=shape).tocsc()


def _by_rows(operator: SparseDotInc, matrix: spmatrix, lowering: Lowering) -> Lowered:
    """Read the data where they are, if they are stored by rows, since they may be changed."""
    operands = by_rows(operator, matrix, lowering)
    before, record = hold_in_place(operator, lowering)
    return [*before, sparse_dot_rows.row(**operands, record=record)]


def _in_any_order(operator: SparseDotInc, matrix: spmatrix, lowering: Lowering) -> Lowered:
    """Read the data where they are."""
    x_start, x_places = places(lowering.array(operator.X).reshape(-1))
    y_start, y_places = places(lowering.array(operator.Y).reshape(-1))

    def order() -> list[np.ndarray]:
        triplets = matrix.tocoo()  # in the same order
        return [y_places[triplets.row], x_places[triplets.col]]

    copies = [lowering.arena.copy(each, np.int64) for each in order()]
    lowering.assumptions.assume(operator.A, lambda: all(map(np.array_equal, order(), copies)))
    row = sparse_dot_triplets.row(
        data=start(matrix.data),
        targets=start(copies[0]),
        sources=start(copies[1]),
        x=x_start,
        y=y_start,
        size=copies[0].size,
    )
    return [row]
