"""Operators, under the name that nengo has for them; see `nengo_jit.ir.operator`."""

from nengo_jit.ir.operator import (
    Copy,
    DotInc,
    ElementwiseInc,
    Operator,
    Reset,
    SimPyFunc,
    SparseDotInc,
    Step,
    TimeUpdate,
    as_selection,
    broadcasts,
    has_repeats,
    has_valid_indices,
    needs_reshape,
    operand,
    store,
)

__all__ = [
    "Copy",
    "DotInc",
    "ElementwiseInc",
    "Operator",
    "Reset",
    "SimPyFunc",
    "SparseDotInc",
    "Step",
    "TimeUpdate",
    "as_selection",
    "broadcasts",
    "has_repeats",
    "has_valid_indices",
    "needs_reshape",
    "operand",
    "store",
]
