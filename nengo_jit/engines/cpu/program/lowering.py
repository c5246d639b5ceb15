"""Lowering: from an operator to the rows of kernels that carry it out.

The files in ``kernels/`` have the kernels, and the functions that lower operators to them. Lowering
depends on the operator and on the result of `fusion.py` alone, not on the order of operators.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from nengo.utils.progress import Progress

from nengo_jit.engines.cpu.language.kernel import Row, start
from nengo_jit.engines.cpu.language.mt19937 import BorrowedGenerator, Stream
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.arena import Arena, Pool
from nengo_jit.engines.cpu.program.assumptions import Assumptions, IsCopy
from nengo_jit.engines.cpu.program.contracts import CONTRACTS, Contracts, contiguous
from nengo_jit.engines.cpu.program.exposure import Exposure
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.fusion import Part, fuse
from nengo_jit.engines.cpu.program.populations import Populations
from nengo_jit.engines.cpu.program.verify import verify_fusion
from nengo_jit.ir.base import Operator
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan
from nengo_jit.stages import advance


class Resumable(Protocol):
    """State of kernels that is not in signals."""

    def continue_from(self, other: Any) -> None:
        """Take over the state of another object of the same type."""


SHARED = 1 << 16  # bytes of equal constant matrices that products share
Lowered = list[Row]
LoweringFunction = Callable[[Any, "Lowering"], "Lowered | None"]
FusedLoweringFunction = Callable[[Any, Any, "Lowering"], Lowered]
Check = Callable[[Any, Facts], bool]

LOWERINGS: dict[type, LoweringFunction] = {}
CONDITIONS: dict[type, Callable[[Any], bool]] = {}
CALLERS: dict[type, Callable[[Any], bool]] = {}
CHECKS: dict[type, Check] = {}
WITH_PART: dict[Part, FusedLoweringFunction] = {}
NOTHING: dict[Part, Operator] = {}


def lowers(
    operator_type: type,
    condition: Callable[[Any], bool] | None = None,
    check: Check | None = None,
    calls: Callable[[Any], bool] | None = None,
) -> Callable[[LoweringFunction], LoweringFunction]:
    """Decorator that registers a function to lower operators of exactly one type.

    The function takes the operator and a `Lowering`. It returns rows of kernels, or None for an
    operator that must run in Python. It is called only if the operator meets its contract, see
    ``contracts/``, and the condition, if there is one: by the condition `function_for` tells
    which operators run user code before memory is allocated. Functions for types that can be
    fused must not return None: they are called only if ``check(operator, facts)`` is true.
    Operators for which ``calls`` is true call Python in each step, too: the function adds a `Draw`
    for them to `Lowering.draws`.
    """
    if operator_type not in CONTRACTS:
        raise TypeError(f"{operator_type.__name__} has no contract: use `requires` before `lowers`")

    def register(function: LoweringFunction) -> LoweringFunction:
        LOWERINGS[operator_type] = function
        if condition is not None:
            CONDITIONS[operator_type] = condition
        if check is not None:
            CHECKS[operator_type] = check
        if calls is not None:
            CALLERS[operator_type] = calls
        return function

    return register


def lowers_with(part: Part) -> Callable[[FusedLoweringFunction], FusedLoweringFunction]:
    """Decorator that registers a function to lower operators that have a fused part.

    The function takes the operator, the one that is fused into it, and a `Lowering`.
    """

    def register(function: FusedLoweringFunction) -> FusedLoweringFunction:
        WITH_PART[part] = function
        return function

    return register


def function_for(operator: Operator) -> LoweringFunction | None:
    """The function that may lower an operator; None if it certainly runs in Python."""
    condition = CONDITIONS.get(type(operator))
    if condition is not None and not condition(operator):
        return None
    return LOWERINGS.get(type(operator))


def calls_python(operator: Operator) -> bool:
    """Whether an operator certainly calls Python; lowering finds the others that do."""
    calls = CALLERS.get(type(operator))
    return function_for(operator) is None or (calls is not None and calls(operator))


@dataclass(frozen=True)
class Draw:
    """A function of the user's that draws random numbers for an operator's kernels.

    Attributes
    ----------
    step : callable
        Calls the function and stores the numbers. It is called in each step, before the kernels.
    name : str
        Name of the function.
    """

    step: Callable[[], None]
    name: str


@dataclass(frozen=True)
class Kept:
    """What a kernel keeps from step to step.

    Attributes
    ----------
    record : numpy.ndarray
        Where the kernel notes what it knows. It begins anew if the first two numbers are zero.
    arrays : list of numpy.ndarray
        All that it keeps, if what it would compute anew had other rounding errors.
    is_valid : callable, optional
        Tells whether the constants that it depends on are the same as at first, by a sample.
    """

    record: np.ndarray
    arrays: list[np.ndarray] = field(default_factory=list)
    is_valid: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Private:
    """A copy of the state of kernels that is not in signals.

    Attributes
    ----------
    lowering : Lowering
        What it is a copy of.
    buffers : list of numpy.ndarray
        Contents of the arena.
    tables : dict of (Operator, Table)
        The tables, which keep the memory of their rows.
    """

    lowering: Lowering
    buffers: list[np.ndarray]
    tables: dict[Operator, Resumable]


class Lowering:
    """Context of lowering functions.

    Parameters
    ----------
    plan : Plan
        The plan that is lowered.
    signals : SignalDict
        The engine's memory.
    exposure : Exposure
        Memory that user code may read and change.
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
        Facts about operands.
    fusion : Fusion
        Which operators are carried out by the kernels of others.
    arena : Arena
        Memory for constants and buffers.
    populations : Populations
        Flags and lists of spikes.
    assumptions : Assumptions
        Values that operators are lowered under.
    rows : dict of (Operator, list or None)
        Rows of the operators that have been lowered; None for those that run in Python.
    at_reset : dict of (Operator, callable)
        Functions to call for lowered operators when the engine is reset, in nengo's order:
        ``at_reset[operator](rng)``, with the generator that processes without a seed draw from.
    streams : dict of (Operator, Stream)
        Generators of random numbers, which are set at each reset.
    tables : dict of (Operator, Table)
        Tables that are filled at each reset.
    delayed : set of Signal
        Bases that do not have, in each step, the values that they would have in Python.
    kept : dict of (Operator, Kept)
        What kernels keep from step to step.
    borrowed : list of BorrowedGenerator
        Generators that kernels draw from during a run.
    draws : dict of (Operator, Draw)
        Functions of users that draw random numbers for kernels of lowered operators.
    """

    def __init__(self, plan: Plan, signals: SignalDict, exposure: Exposure, n_threads: int = 1):
        self.facts = Facts(plan, signals, exposure)
        self.n_threads = n_threads
        self.dtype, self.dt = self.facts.dtype, plan.dt
        self._groups = plan.groups
        self._native = _native(plan, self.facts)
        self.fusion = fuse(plan, self.facts, self._native)
        verify_fusion(plan, self.facts, self.fusion)
        self._parts = self.fusion.parts
        self.arena = Arena(self.dtype)
        self.assumptions = Assumptions()
        self.populations = Populations(plan, self.facts, self.arena)
        self.rows: dict[Operator, Lowered | None] = {}
        self.at_reset: dict[Operator, Callable[[np.random.RandomState], object]] = {}
        self.streams: dict[Operator, Stream] = {}
        self.tables: dict[Operator, Resumable] = {}
        self.delayed: set[Signal] = set()
        self.kept: dict[Operator, Kept] = {}
        self.borrowed: list[BorrowedGenerator] = []
        self.draws: dict[Operator, Draw] = {}
        self._matrices: dict[Hashable, tuple[Signal, np.ndarray]] = {}

    def calls_python(self, operator: Operator) -> bool:
        """Whether a lowered operator calls Python in a step."""
        return self.rows[operator] is None or operator in self.draws

    def finish(self) -> None:
        """Free what only lowering needs."""
        self.rows.clear()
        self._native.clear()
        self._parts.clear()
        self._matrices.clear()
        self.arena.finish()
        self.populations.finish()
        del self.facts

    def lower_all(self, progress: Progress | None = None) -> None:
        """Lower all operators, group by group, so that rows that can be joined are adjacent."""
        for group in self._groups:
            for operator in group.members:
                self.lower(operator)
            advance(progress, len(group.members))

    def lower(self, operator: Operator) -> Lowered | None:
        """Lower an operator, once; returns its rows, or None if it must run in Python."""
        self.assumptions.note(operator)
        rows = self.rows[operator] = self._lower(operator) if operator in self._native else None
        return rows

    def _lower(self, operator: Operator) -> Lowered | None:
        if self.fusion.is_absorbed(operator):
            return []
        for part, other in self._parts.get(operator, NOTHING).items():
            if part in WITH_PART:
                return WITH_PART[part](operator, other, self)
        return LOWERINGS[type(operator)](operator, self)

    def part_of(self, operator: Operator, part: Part) -> Any:
        """The operator that is fused into another one as a certain part; None if none is."""
        return self._parts.get(operator, NOTHING).get(part)

    def continue_from(self, other: Lowering) -> None:
        """Take over the state of kernels that is not in signals."""
        for operator, stream in self.streams.items():
            if operator in other.streams:
                stream.buffer[:] = other.streams[operator].buffer
        for operator, table in self.tables.items():
            if operator in other.tables:
                table.continue_from(other.tables[operator])

    def private(self) -> Private:
        """Copy the state of kernels that is not in signals."""
        return Private(
            self, self.arena.contents, {op: copy(each) for op, each in self.tables.items()}
        )

    def load(self, private: Private) -> None:
        """Take over a copied state, also one of before operators were lowered anew."""
        source = private.lowering
        source.arena.contents = private.buffers
        for operator, table in source.tables.items():
            table.continue_from(private.tables[operator])
        if source is not self:
            self.continue_from(source)
            self.forget()

    def hold(self, operator: Operator, kept: Kept) -> None:
        """Note that a kernel keeps the result of a product with a constant from step to step."""
        self.kept[operator] = kept
        self.delayed.add(operator.reads[0].base)

    @property
    def kept_arrays(self) -> dict[Operator, list[np.ndarray]]:
        """Dict of (Operator, list of numpy.ndarray): memory that belongs to a state."""
        return {operator: each.arrays for operator, each in self.kept.items() if each.arrays}

    def forget(self, only_changed: bool = False) -> None:
        """Make kernels compute again what they keep.

        Parameters
        ----------
        only_changed : bool
            Whether to spare what depends on constants that are known to be the same.
        """
        for kept in self.kept.values():
            if not (only_changed and kept.is_valid is not None and kept.is_valid()):
                kept.record[:2] = 0

    def array(self, signal: Signal) -> np.ndarray:
        """Live array of a signal."""
        return self.facts.array(signal)

    def address(self, signal: Signal) -> Address:
        """Address of a signal's first element."""
        return self.facts.address(signal)

    def copied(self, signal: Signal, values: np.ndarray, pool: Pool = Pool.OTHERS) -> Address:
        """Copy numbers of a constant signal; returns the address of the copy."""
        copy = self.arena.copy(values, pool=pool)
        self.assumptions.assume(signal, IsCopy(copy, values))
        return start(copy)

    def rows_of(self, signal: Signal, matrix: np.ndarray) -> Address:
        """Address of a matrix that is read row by row; equal large constants share one."""
        if matrix.nbytes < SHARED or not contiguous(matrix) or not self.facts.is_fixed(signal):
            return start(matrix)
        content = matrix.shape, hashlib.blake2b(matrix.data.cast("B")).digest()
        first, other = self._matrices.setdefault(content, (signal, matrix))
        if other is not matrix:
            is_same = IsCopy(other, matrix)
            self.assumptions.assume(signal, is_same)
            self.assumptions.assume(first, is_same)
        return start(other)

    def columns(self, signal: Signal, matrix: np.ndarray) -> Address:
        """Address of a matrix that is stored column by column, or of such a copy of a constant."""
        copy = self.arena.columns(matrix) if self.facts.is_fixed(signal) else None
        if copy is None:
            return start(matrix)
        self.assumptions.assume(signal, IsCopy(copy, matrix.T))
        return start(copy)


def _native(plan: Plan, facts: Facts) -> set[Operator]:
    """Operators that meet all requirements for lowering."""
    contracts = Contracts(facts.signals, facts.dtype, plan.dt)  # large, and not needed later

    def is_native(operator: Operator) -> bool:
        if function_for(operator) is None or not contracts.are_met(operator):
            return False
        check = CHECKS.get(type(operator))
        return check is None or check(operator, facts)

    return set(filter(is_native, plan.operators))
