"""Operators, under the name of nengo's module; see `nengo_jit.ir`."""

from nengo_jit.ir.base import Operator, Step, operand
from nengo_jit.ir.operator import (
    Copy,
    DotInc,
    ElementwiseInc,
    Reset,
    SparseDotInc,
    TimeUpdate,
    broadcasts,
    needs_reshape,
)
from nengo_jit.ir.products import has_valid_indices
from nengo_jit.ir.python import SimPyFunc, store
from nengo_jit.ir.selection import as_selection, has_repeats

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
