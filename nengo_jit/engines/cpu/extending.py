"""What other packages need to write kernels for operators of their own; see docs/learning_rules.md.

Import it from here: where these names are defined may change.
"""

from nengo_jit.engines.cpu.language.columns import (
    Count,
    Distance,
    Factor,
    In,
    InOut,
    Out,
    Own,
    RowsOf,
)
from nengo_jit.engines.cpu.language.kernel import Kernel, Row, kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import Address, Memory, helper, vector
from nengo_jit.engines.cpu.program.contracts.contract import requires
from nengo_jit.engines.cpu.program.lowering import Lowering, lowers

__all__ = [
    "Address",
    "Count",
    "Distance",
    "Factor",
    "In",
    "InOut",
    "Kernel",
    "Lowering",
    "Memory",
    "Out",
    "Own",
    "Row",
    "RowsOf",
    "helper",
    "kernel",
    "lowers",
    "offset",
    "requires",
    "start",
    "vector",
]
