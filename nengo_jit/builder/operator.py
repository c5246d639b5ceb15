"""Operators, by the name that nengo's module has; see `nengo_jit.ir`."""

from nengo_jit.ir.base import Operator, Step, operand
from nengo_jit.ir.operator import (
    Copy,
    DotInc,
    ElementwiseInc,
    Reset,
    SparseDotInc,
    TimeUpdate,
    as_selection,
    broadcasts,
    has_repeats,
    has_valid_indices,
    needs_reshape,
)
from nengo_jit.ir.python import SimPyFunc, store

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
