"""Kernels for sparse matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nengo.utils.numpy as npext
import numpy as np

from nengo_jit.engines.cpu.kernels.dot import lower_dot_inc
from nengo_jit.engines.cpu.kernels.operator import places
from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, Out, RowsOf
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    int64s,
    vector,
    vector_from,
)
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.memory import hold
from nengo_jit.ir.operator import SparseDotInc

if TYPE_CHECKING:
    from scipy.sparse import spmatrix

# The arrays of a SciPy matrix, by format
PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
}


@kernel(reassociate=True, cost=0.9)
def sparse_dot_rows(
    memory: Memory,
    ends: RowsOf,
    data: Address,
    columns: Address,
    x: Address,
    y: Out,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``y += A.dot(x)`` for a sparse matrix that is stored row by row (CSR).

    Row i has the data from ``ends[i]`` to ``ends[i + 1]``, m on average. The columns are offsets
    from ``x``, in elements. ``distance`` is the itemsize of ``ends``.
    """
    stops, sums = int64s(ends, n + 1), vector(memory, y, n)
    numbers, sources = vector(memory, data, stops[n]), int64s(columns, stops[n])
    factors = vector_from(memory, x)
    for i in range(n):
        total = sums[i]
        for k in range(np.uint64(stops[i]), np.uint64(stops[i + 1])):
            total += numbers[k] * factors[np.uint64(sources[k])]
        sums[i] = total


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
    """``y += A.dot(x)`` for a sparse matrix of triplets in any order.

    The targets are the offsets of the rows from ``y``, the sources those of the columns from
    ``x``, in elements.
    """
    numbers, places_in_y = vector(memory, data, size), int64s(targets, size)
    places_in_x = int64s(sources, size)
    factors, sums = vector_from(memory, x), vector_from(memory, y)
    for k in range(size):
        sums[np.uint64(places_in_y[k])] += numbers[k] * factors[np.uint64(places_in_x[k])]


@lowers(SparseDotInc)
def lower_sparse_dot_inc(operator: SparseDotInc, lowering: Lowering) -> Lowered | None:
    """Multiply by the matrix's own data, which may be changed; copy its indices."""
    matrix: spmatrix = lowering.array(operator.A)
    x, y = lowering.array(operator.X), lowering.array(operator.Y)
    if not npext.is_spmatrix(matrix):  # SciPy is not installed
        return lower_dot_inc(operator, lowering)
    if matrix.format not in PARTS or lowering.facts.is_exposed(operator.A):
        return None
    if not _keep(matrix, operator, lowering):
        return None
    (x_start, x_places), (y_start, y_places) = places(x.reshape(-1)), places(y.reshape(-1))
    if matrix.format == "csr" and contiguous(y):
        row = sparse_dot_rows.row(
            ends=lowering.arena.constant(matrix.indptr, np.int64),
            data=start(matrix.data),
            columns=lowering.arena.constant(x_places[matrix.indices], np.int64),
            x=x_start,
            y=y_start,
            n=y.size,
            m=max(matrix.nnz // max(y.size, 1), 1),
            distance=8,
        )
        return [row]
    triplets = matrix.tocoo()  # in the order of its data
    row = sparse_dot_triplets.row(
        data=start(matrix.data),
        targets=lowering.arena.constant(y_places[triplets.row], np.int64),
        sources=lowering.arena.constant(x_places[triplets.col], np.int64),
        x=x_start,
        y=y_start,
        size=matrix.data.size,
    )
    return [row]


def _keep(matrix: spmatrix, operator: SparseDotInc, lowering: Lowering) -> bool:
    """Keep the memory of a matrix in place; return False if that is impossible.

    User code that has the matrix may still replace its arrays or change its indices, so it is
    assumed, and checked, that it does not.
    """
    data, *indices = arrays = [getattr(matrix, name) for name in PARTS[matrix.format]]
    held = hold(data)
    if held is None:
        return False
    copies = [index.copy() for index in indices]

    def are_the_same() -> bool:
        now = [getattr(matrix, name) for name in PARTS[matrix.format]]
        return all(each is array for each, array in zip(now, arrays))

    lowering.arena.keep(held)
    lowering.assumptions.assume(operator.A, lambda: all(map(np.array_equal, indices, copies)))
    lowering.assumptions.fragile.append((operator.A.base, are_the_same))
    return True
