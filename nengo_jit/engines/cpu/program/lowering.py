"""Lowering: which kernels carry an operator out, and on which rows.

Each file in ``kernels/`` has the kernels for the operators in the file of the same name in
``ir/``, and beside them the functions that lower those operators. What is lowered depends on the
operator, and on what `fusion.py` says of it, alone: the order does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Address, Row, start
from nengo_jit.engines.cpu.language.mt19937 import Loan, Stream
from nengo_jit.engines.cpu.program.arena import Arena, Pool
from nengo_jit.engines.cpu.program.assumptions import Assumptions
from nengo_jit.engines.cpu.program.contracts import CONTRACTS
from nengo_jit.engines.cpu.program.exposure import Exposure
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.fusion import Part, fuse
from nengo_jit.engines.cpu.program.populations import Populations
from nengo_jit.engines.cpu.program.verify import verify_fusion
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan

Lowered = list[Row]
LoweringFunction = Callable[[Any, "Lowering"], "Lowered | None"]
Check = Callable[[Any, Facts], bool]

LOWERINGS: dict[type, LoweringFunction] = {}
CONDITIONS: dict[type, Callable[[Any], bool]] = {}
CHECKS: dict[type, Check] = {}
WITH_PART: dict[Part, Callable[[Any, Any, Lowering], Lowered]] = {}


def lowers(
    operator_type: type,
    condition: Callable[[Any], bool] | None = None,
    check: Check | None = None,
) -> Callable[[LoweringFunction], LoweringFunction]:
    """Decorator that makes a function the one that lowers operators of exactly one type.

    The function gets the operator and a `Lowering`. It returns rows of kernels, or None for an
    operator that must run in Python. It is only asked if the operator meets the contract of its
    type, see ``contracts/``, and a condition, if there is one: with that, `function_for` tells
    early which operators run code of the user's. Types of which operators are fused have no
    other reasons to return None than a check of the operator and of what is known of its
    operands.
    """
    assert operator_type in CONTRACTS, f"{operator_type} has no contract"

    def register(function: LoweringFunction) -> LoweringFunction:
        LOWERINGS[operator_type] = function
        if condition is not None:
            CONDITIONS[operator_type] = condition
        if check is not None:
            CHECKS[operator_type] = check
        return function

    return register


def lowers_with(part: Part) -> Callable[[Any], Any]:
    """Decorator that makes a function the one that lowers operators with a certain part of them.

    The function gets the operator, the one that is fused into it, and a `Lowering`.
    """

    def register(function: Any) -> Any:
        WITH_PART[part] = function
        return function

    return register


def function_for(operator: Any) -> LoweringFunction | None:
    """The function that may lower an operator; None if it is sure to run in Python."""
    condition = CONDITIONS.get(type(operator))
    if condition is not None and not condition(operator):
        return None
    return LOWERINGS.get(type(operator))


def calls_python(operator: Any) -> bool:
    """Whether it is plain that an operator has no kernel; lowering finds the others."""
    return function_for(operator) is None


class Lowering:
    """What lowering functions work with.

    Parameters
    ----------
    plan : Plan
        What is lowered.
    signals : SignalDict
        The engine's memory.
    exposure : Exposure
        What code of users may look at and change.
    n_threads : int
        How many threads may run the program; results do not depend on it.

    Attributes
    ----------
    n_threads : int
        How many threads may run the program.
    dt : float
        Length of a step (seconds).
    dtype : numpy.dtype
        Type of the numbers.
    facts : Facts
        What is known of operands.
    fusion : Fusion
        Which operators are carried out by kernels of others.
    arena : Arena
        Where constants and buffers come from.
    populations : Populations
        Where spikes are flagged and listed.
    assumptions : Assumptions
        What operators were lowered for.
    rows : dict of (Operator, list or None)
        What has been lowered so far.
    at_reset : dict of (Operator, callable)
        What to do for a lowered operator when the engine is reset, with the generator that
        processes without a seed draw theirs from: ``at_reset[operator](rng)``. Operators are
        taken in nengo's order.
    streams : dict of (Operator, Stream)
        Generators of random numbers that are begun anew at each reset, and go on from there.
    tables : dict of (Operator, numpy.ndarray)
        What kernels are told of tables that are made at each reset, see `Table`.
    delayed : set of Signal
        Bases that are not in each step what they would be in Python.
    loans : list of Loan
        Generators that kernels take over for as long as a run lasts.
    """

    def __init__(self, plan: Plan, signals: SignalDict, exposure: Exposure, n_threads: int = 1):
        self.facts = Facts(plan, signals, exposure)
        self.n_threads = n_threads
        self.dtype, self.dt = self.facts.dtype, plan.dt
        self._groups = plan.groups
        self._native = {op for op in plan.operators if _is_native(op, self.facts)}
        self.fusion = fuse(plan, self.facts, self._native)
        verify_fusion(plan, self.facts, self.fusion)
        self._parts = self.fusion.parts
        self.arena = Arena(self.dtype)
        self.assumptions = Assumptions()
        self.populations = Populations(plan, self.facts, self.arena)
        self.rows: dict[Any, Lowered | None] = {}
        self.at_reset: dict[Any, Callable[[np.random.RandomState], Any]] = {}
        self.streams: dict[Any, Stream] = {}
        self.tables: dict[Any, Any] = {}
        self.delayed: set[Signal] = set()
        self.loans: list[Loan] = []

    def finish(self) -> None:
        """Forget what only lowering needs, since everything has been lowered."""
        self.rows.clear()
        self._native.clear()
        self._parts.clear()
        self.arena.finish()
        self.populations.finish()
        del self.facts

    def lower_all(self) -> None:
        """Lower all operators, group by group, so that what is joined lies side by side."""
        for group in self._groups:
            for operator in group.members:
                self.lower(operator)

    def lower(self, operator: Any) -> Lowered | None:
        """Lower an operator, once: rows of kernels for it; None if it must run in Python."""
        self.assumptions.note(operator)
        rows = self.rows[operator] = self._lower(operator) if operator in self._native else None
        return rows

    def _lower(self, operator: Any) -> Lowered | None:
        if self.fusion.is_absorbed(operator):
            return []
        for part, function in WITH_PART.items():
            other = self.part_of(operator, part)
            if other is not None:
                return function(operator, other, self)
        return LOWERINGS[type(operator)](operator, self)

    def part_of(self, operator: Any, part: Part) -> Any:
        """The operator that is fused into another one as some part of it; None if none is."""
        return self._parts.get((operator, part))

    def continue_from(self, other: Lowering) -> None:
        """Take over what kernels know that stands in no signal."""
        for operator, stream in self.streams.items():
            if operator in other.streams:
                stream.buffer[:] = other.streams[operator].buffer
        for operator, table in self.tables.items():
            if operator in other.tables:
                table.continue_from(other.tables[operator])

    def array(self, signal: Signal) -> np.ndarray:
        """Live array of a signal."""
        return self.facts.array(signal)

    def address(self, signal: Signal) -> Address:
        """Address of a signal's first element."""
        return self.facts.address(signal)

    def copied(self, signal: Signal, values: Any, pool: Pool = Pool.OTHERS) -> Address:
        """Address of a copy of numbers that stand in a constant signal."""
        copy = self.arena.copy(values, pool=pool)
        self.assumptions.assume(signal, partial(np.array_equal, copy, values))
        return start(copy)

    def columns(self, signal: Signal, matrix: np.ndarray) -> Address:
        """Address of a matrix that stands in a constant signal, stored column by column."""
        copy = self.arena.columns(matrix)
        if copy is None:
            return start(matrix)
        self.assumptions.assume(signal, partial(np.array_equal, copy, matrix.T))
        return start(copy)


def _is_native(operator: Any, facts: Facts) -> bool:
    """Whether a lowering function may be asked."""
    if function_for(operator) is None or not facts.contracts.are_met(operator):
        return False
    check = CHECKS.get(type(operator))
    return check is None or check(operator, facts)
