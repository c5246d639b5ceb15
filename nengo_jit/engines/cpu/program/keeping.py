"""Which products are kept for as long as the vector is the same."""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterator, Mapping

import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT16
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.products import Strategy, is_worth_holding
from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import DotInc, SparseDotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import GeneralConvInc
from nengo_jit.planner.plan import Plan


def held_products(
    plan: Plan,
    strategies: Mapping[DotInc, Strategy],
    with_bias: Collection[Operator],
    spiking: Container[Signal],
    facts: Facts,
) -> Iterator[Operator]:
    """Yield the products that are kept for as long as the vector is the same.

    Only dense products by rows have a buffer. The others are kept in place, so they must be the
    whole sum. None is kept in half precision.
    """
    if facts.dtype == FLOAT16:
        return
    elsewhere = plan.invariant | plan.deferred
    for operator in dict.fromkeys((*strategies, *with_bias)):
        matrix, x = operator.reads
        has_buffer = type(operator) is DotInc and strategies[operator] is Strategy.ROWS
        if (
            is_worth_holding(_work_of(operator, strategies, facts), x.size)
            and facts.is_fixed(matrix)
            and not facts.is_exposed(x, *operator.incs)
            and (has_buffer or operator in with_bias)
            and operator not in elsewhere
            and x.base not in spiking
            and contiguous(facts.array(x).reshape(-1))
        ):
            yield operator


def _work_of(operator: Operator, strategies: Mapping[DotInc, Strategy], facts: Facts) -> int:
    """Return how many multiplications a product makes, or zero if its kernel cannot keep it."""
    if isinstance(operator, GeneralConvInc):
        return operator.Y.size * math.prod(operator.W.shape[:-1])
    if type(operator) is SparseDotInc:
        is_by_row = strategies[operator] is Strategy.ROWS
        is_sparse = not isinstance(facts.array(operator.A), np.ndarray)
        return operator.A.size if is_by_row and is_sparse else 0
    is_dense = strategies[operator] in (Strategy.ROWS, Strategy.COLUMNS)
    return operator.Y.size * operator.X.size if is_dense else 0
