"""Contracts: requirements on the operands that kernels get.

Kernels do not check their operands. So an operator is lowered only if its operands have the shapes,
types and memory layouts that its kernels are written for. An operator that does not meet the
contract of its type runs its ``make_step`` in Python: NumPy then broadcasts, or raises the error
that nengo would. Each file has the contracts of the operators in the file of that name in ``ir/``.
"""

from nengo_jit.engines.cpu.program.contracts import (
    learning_rules,
    neurons,
    operator,
    processes,
    transforms,
)
from nengo_jit.engines.cpu.program.contracts.contract import (
    CONTRACTS,
    Contracts,
    contiguous,
    reaches,
)

__all__ = [
    "CONTRACTS",
    "Contracts",
    "contiguous",
    "learning_rules",
    "neurons",
    "operator",
    "processes",
    "reaches",
    "transforms",
]
