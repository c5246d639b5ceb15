"""Lowering: which kernels carry an operator out, and on which rows.

Each file in ``kernels/`` has the kernels for the operators in the file of the same name in
``builder/``, and beside them the functions that lower those operators.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.contracts import CONTRACTS, Contracts
from nengo_jit.engines.cpu.exposure import Exposure
from nengo_jit.engines.cpu.kernel import Address, Row, offset, start
from nengo_jit.engines.cpu.random import Loan, Stream
from nengo_jit.ir.memory import ALIGNMENT, SignalDict, align, aligned_block
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import DotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan

Lowered = list[Row]
Population = tuple[int, int, Address]
LoweringFunction = Callable[[Any, "Lowering"], "Lowered | None"]

LOWERINGS: dict[type, LoweringFunction] = {}
CONDITIONS: dict[type, Callable[[Any], bool]] = {}
CHUNK = 1 << 20  # bytes
SLACK = 64  # bytes after the last flag, which kernels may read


def lowers(
    operator_type: type, condition: Callable[[Any], bool] | None = None
) -> Callable[[LoweringFunction], LoweringFunction]:
    """Decorator that makes a function the one that lowers operators of exactly one type.

    The function gets the operator and a `Lowering`. It returns rows of kernels, or
    None for an operator that must run in Python. It is only asked if the operator meets the
    contract of its type, see `nengo_jit.engines.cpu.contracts`, and a condition, if there is one:
    with that, `function_for` tells early which operators run code of the user's.
    """
    assert operator_type in CONTRACTS, f"{operator_type} has no contract"

    def register(function: LoweringFunction) -> LoweringFunction:
        LOWERINGS[operator_type] = function
        if condition is not None:
            CONDITIONS[operator_type] = condition
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

    Attributes
    ----------
    dt : float
        Length of a step (seconds).
    dtype : numpy.dtype
        Type of the numbers.
    contracts : Contracts
        What operators must meet to be lowered.
    events : dict of (Signal, list of tuple of int)
        For each signal of spikes, population by population: the first neuron, the number of
        neurons, and the address of a count and the indices of those that spiked in this step.
    spiking : set of Signal
        Outputs of spiking neurons that are multiplied by matrices, those with events among them.
    flags : dict of (Signal, int)
        For each output of neurons, the address of a byte for each of them.
    weighted : set of Signal
        Signals that are multiplied by matrices, and so are worth finding spikes in.
    lowered : dict of (Operator, list or None)
        What was lowered so far. An operator may be lowered together with another one.
    together : dict of (Operator, Operator)
        From operators that are carried out later than their turn to those with which they are.
    repeated : dict of (Operator, Operator)
        From operators that copy the result of another one to that one.
    at_reset : dict of (Operator, callable)
        What to do for a lowered operator when the engine is reset, with the generator that
        processes without a seed draw theirs from: ``at_reset[operator](rng)``. Operators are
        taken in nengo's order.
    streams : dict of (Operator, Stream)
        Generators of random numbers that are begun anew at each reset, and go on from there.
    tables : dict of (Operator, numpy.ndarray)
        What kernels are told of tables that are made at each reset, see `Table`.
    assumptions : dict of (Signal, list of callable)
        For each base of a constant, what tells whether all is still as it was when lowered.
    fragile : list of tuple of Signal and callable
        Assumptions that anybody can break: whether they hold must be asked before each run.
    delayed : set of Signal
        Bases that are not in each step what they would be in Python.
    loans : list of Loan
        Generators that kernels take over for as long as a run lasts.
    """

    def __init__(self, plan: Plan, signals: SignalDict, exposure: Exposure):
        self.signals = signals
        self._exposure = exposure
        self.dtype = np.dtype(plan.time.dtype)
        self.dt = plan.dt
        self.events: dict[Signal, list[Population]] = {}
        self.spiking: set[Signal] = set()
        self.lowered: dict[Any, Lowered | None] = {}
        self.together: dict[Any, Any] = {}
        self.repeated: dict[Any, Any] = {}
        self.at_reset: dict[Any, Callable[[np.random.RandomState], Any]] = {}
        self.streams: dict[Any, Stream] = {}
        self.tables: dict[Any, Any] = {}
        self.assumptions: dict[Signal, list[Callable[[], bool]]] = defaultdict(list)
        self.fragile: list[tuple[Signal, Callable[[], bool]]] = []
        self.delayed: set[Signal] = set()
        self.loans: list[Loan] = []
        self._groups = plan.groups
        self._steady, self._unread = plan.steady, plan.unread
        self._level = {op: group.level for group in plan.groups for op in group.members}
        self._products: dict[Any, Any] = {}
        self._updated = {signal.base for op in plan.operators for signal in op.updates}
        self._readers, self._writers = _users(plan)
        self.contracts = Contracts(signals, self.dtype)
        self.weighted = {op.X for op in plan.operators if type(op) is DotInc}
        self._chunk = np.empty(0, np.uint8)
        self._used = 0
        self._kept: list[Any] = []
        self._parameters: dict[bytes, Address] = {}
        self._matrices: dict[tuple[Any, bytes], np.ndarray] = {}
        self._origins: dict[Any, tuple[Any, ...]] = {}
        self._contents: dict[Any, list[tuple[Callable[[], Any], Any]]] = {}
        self.flags = self._make_flags(plan)

    def _make_flags(self, plan: Plan) -> dict[Signal, Address]:
        """Flags lie in the order of the outputs, so that neighbours stay neighbours."""
        neurons = [op for op in plan.operators if type(op) is SimNeurons]
        outputs = [op.output for op in neurons if not op.output.sparse]
        outputs.sort(key=self.address)
        ends = list(accumulate((output.size for output in outputs), initial=SLACK))
        flags = start(self.buffer(ends[-1], np.uint8))
        return {output: offset(flags, end - SLACK) for output, end in zip(outputs, ends)}

    def finish(self) -> None:
        """Forget what only lowering needs, since everything has been lowered."""
        self._updated.clear()
        self.weighted.clear()
        for known in (self.lowered, self._readers, self._writers, self._matrices, self._products):
            known.clear()
        self._level.clear()

    def lower_all(self) -> None:
        """Lower all operators, group by group: learning rules with what comes before."""
        for group in self._groups:
            for operator in group.members:
                self.lower(operator)

    def lower(self, operator: Any) -> Lowered | None:
        """Rows of kernels for an operator; None if it must run in Python."""
        if operator not in self.lowered:
            self._origins[operator] = tuple(vars(operator).values())
            self.lowered[operator] = self._lower(operator)
        return self.lowered[operator]

    def _lower(self, operator: Any) -> Lowered | None:
        function = function_for(operator)
        if function is None or not self.contracts.are_met(operator):
            return None
        return function(operator, self)

    def relies_on(self, operator: Any, read: Callable[[], Any]) -> Any:
        """What a function returns, which the operator was lowered for: it may be another later."""
        value = read()
        self._contents.setdefault(operator, []).append((read, value))
        return value

    def has_lowered(self, operator: Any) -> bool:
        """Whether an operator is one of those that were lowered."""
        return operator in self._origins

    def outdated(self) -> set[Any]:
        """Operators that are not any more what they were when they were lowered."""
        changed = {op for op, before in self._origins.items() if _differ(op, before)}
        for operator, facts in self._contents.items():
            if any(read() != value for read, value in facts):
                changed.add(operator)
        return changed

    def continue_from(self, other: Lowering) -> None:
        """Take over what kernels know that stands in no signal."""
        for operator, stream in self.streams.items():
            if operator in other.streams:
                stream.buffer[:] = other.streams[operator].buffer
        for operator, table in self.tables.items():
            if operator in other.tables:
                table.continue_from(other.tables[operator])

    def is_exposed(self, *signals: Signal) -> bool:
        """Whether others than operators that say so may touch some signals."""
        return bool(self._exposure) and any(each.base in self._exposure for each in signals)

    def is_fixed(self, signal: Signal) -> bool:
        """Whether a signal is a constant that nobody can change within a run."""
        return signal.base.readonly and not self.is_exposed(signal)

    def assume(self, signal: Signal, check: Callable[[], bool]) -> None:
        """Note what tells whether a constant is still what something was lowered for."""
        self.assumptions[signal.base].append(check)

    def only_reader_of(self, signal: Signal) -> Any:
        """The only operator that reads a signal, or a part of it; None if there are others."""
        readers = self._readers[signal.base]
        return readers[0] if len(readers) == 1 and not signal.is_view else None

    def is_only_writer(self, operator: Any, signal: Signal) -> bool:
        """Whether no other operator writes to a signal, or to a part of it."""
        return self._writers[signal.base] == [operator]

    def other_writer(self, operator: Any, signal: Signal) -> Any:
        """The only other operator that writes to a signal, or to a part of it; None if none is."""
        others = [each for each in self._writers[signal.base] if each is not operator]
        return others[0] if len(others) == 1 else None

    def writers_of(self, signal: Signal) -> list[Any]:
        """All operators that write to a signal, or to another part of what it is a part of."""
        return self._writers[signal.base]

    def can_wait(self, operator: Any) -> bool:
        """Whether an operator may be carried out later than its turn, for its only reader.

        Nothing that it reads is changed once it has been read. It is not one of those whose
        results do not change from step to step, either.
        """
        return (
            operator not in self._steady
            and not self.is_exposed(*operator.reads, *operator.incs)
            and not any(signal.base in self._updated for signal in operator.reads)
        )

    def do_together(self, operator: Any, reader: Any) -> None:
        """Note that an operator is carried out by kernels of its only reader."""
        self.lowered[operator] = []
        self.together[operator] = reader

    def known_product(self, operator: Any, content: tuple[int, ...]) -> Any:
        """The operator that has made the same product, if its result can be copied; else None.

        The content is what tells products apart: addresses of what is multiplied and added, and
        sizes. Connections from one ensemble that decode the same have the same.
        """
        if operator in self._unread or self.is_exposed(*operator.reads, *operator.incs):
            return None
        other = self._products.setdefault(content, operator)
        if other is operator or self._level[other] > self._level[operator]:
            return None
        self.repeated[operator] = other
        return other

    def array(self, signal: Signal) -> np.ndarray:
        """Live array of a signal."""
        return self.signals[signal]

    def address(self, signal: Signal) -> Address:
        """Address of a signal's first element."""
        return start(self.signals[signal])

    def constant(self, values: Any, dtype: Any = None) -> Address:
        """Address of a copy of an array, next to the constant that was made before it."""
        return start(self._copy(values, dtype))

    def copied(self, signal: Signal, values: Any) -> Address:
        """Address of a copy of numbers that stand in a constant signal."""
        copy = self._copy(values)
        self.assume(signal, partial(np.array_equal, copy, values))
        return start(copy)

    def _copy(self, values: Any, dtype: Any = None) -> np.ndarray:
        array = np.asarray(values)
        dtype = np.dtype(self.dtype if dtype is None else dtype)
        begin = align(self._used, dtype.itemsize)
        n_bytes = array.size * dtype.itemsize
        if begin + n_bytes > self._chunk.size:
            self._chunk = aligned_block(max(CHUNK, n_bytes + ALIGNMENT))
            self._kept.append(self._chunk)
            begin = 0
        self._used = begin + n_bytes
        view: np.ndarray = np.ndarray(array.shape, dtype, self._chunk, begin)
        view[...] = array
        return view

    def columns(self, signal: Signal, matrix: np.ndarray) -> Address:
        """Address of a matrix that stands in a constant signal, stored column by column.

        Small matrices are shared: connections that decode the same have the same one.
        """
        if matrix.nbytes >= CHUNK:
            if not matrix.T.flags.c_contiguous:
                return self.copied(signal, matrix.T)
            self._kept.append(matrix)
            return start(matrix)
        content = matrix.shape, hashlib.blake2b(matrix.tobytes()).digest()
        if content not in self._matrices:
            self._matrices[content] = self._copy(matrix.T)
        copy = self._matrices[content]
        self.assume(signal, partial(np.array_equal, copy, matrix.T))
        return start(copy)

    def parameters(self, values: Iterable[float]) -> Address:
        """Address of a few numbers; the same address for the same numbers."""
        array = np.array(list(values), self.dtype)
        key = array.tobytes()
        if key not in self._parameters:
            self._parameters[key] = self.constant(array)
        return self._parameters[key]

    def keep(self, *objects: Any) -> None:
        """Keep what kernels have the address of, for as long as they may run."""
        self._kept.extend(objects)

    def buffer(self, size: int, dtype: Any = np.int64) -> np.ndarray:
        """Zeros that kernels may write to, at ``start(buffer)``; they stay where they are."""
        array = np.zeros(size, dtype)
        self._kept.append(array)
        return array


def _differ(operator: Any, before: tuple[Any, ...]) -> bool:
    try:
        return tuple(vars(operator).values()) != before
    except ValueError:  # another array
        return True


def _users(plan: Plan) -> tuple[dict[Signal, list[Any]], dict[Signal, list[Any]]]:
    """For each base the operators that read it, probes too, and those that write to it."""
    readers: dict[Signal, list[Any]] = defaultdict(list)
    writers: dict[Signal, list[Any]] = defaultdict(list)
    for operator in plan.operators:
        for signal in operator.reads:
            readers[signal.base].append(operator)
        for signal in (*operator.sets, *operator.incs, *operator.updates):
            writers[signal.base].append(operator)
    for planned in plan.probes:
        readers[planned.signal.base].append(planned)
    return readers, writers
