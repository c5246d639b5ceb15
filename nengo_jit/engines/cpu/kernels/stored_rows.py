"""Products of sparse matrices that are stored by rows: operands that kernels of all types share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nengo_jit.engines.cpu.kernels.dot import beginning
from nengo_jit.engines.cpu.kernels.operator import places
from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.ir.operator import SparseDotInc

if TYPE_CHECKING:
    from scipy.sparse import spmatrix

DISTANCE = 8  # numbers by which a kernel fetches ahead


def by_rows(operator: SparseDotInc, matrix: spmatrix, lowering: Lowering) -> dict[str, Any]:
    """Return operands that read the data where they are, since they may be changed.

    A matrix that is stored in another format is copied to rows, and the copy is an assumption.
    """
    x_start, x_places = places(lowering.array(operator.X).reshape(-1))
    y, rows = lowering.array(operator.Y).reshape(-1), matrix.tocsr()
    ends, columns = rows.indptr.astype(np.int64), x_places[rows.indices].astype(np.int32)

    def are_the_same() -> bool:
        now = matrix.tocsr()
        return (
            np.array_equal(now.indptr, ends)
            and np.array_equal(x_places[now.indices], columns)
            and (now is matrix or np.array_equal(now.data, rows.data))
        )

    lowering.assumptions.assume(operator.A, are_the_same)
    lowering.arena.keep(rows, ends, columns)
    return {
        "begin": beginning(operator, y, lowering),
        "ends": start(ends),
        "data": start(rows.data),
        "columns": start(columns),
        "x": x_start,
        "y": start(y),
        "n": y.size,
        "m": max(rows.nnz // y.size, 1),
        "distance": DISTANCE,
    }
