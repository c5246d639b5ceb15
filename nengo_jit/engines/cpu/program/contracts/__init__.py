"""Contracts: what operands must be like for kernels to get their addresses.

Kernels trust what they are told. So an operator is lowered only if its operands have the shapes,
types and places in memory that its kernels are written for. Whatever does not meet the contract of
its type runs its ``make_step`` in Python: NumPy then broadcasts, or raises the error that nengo
would. Each file has the contracts of the operators in the file of the same name in ``builder/``.
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
