"""Trace a Python function: write what it computes on a tape, without calling it.

The function's bytecode is executed (`bytecode`) on values of which some are known only when the
function runs (`values`). Where a branch depends on such a value, the function is traced once for
each path. A path on which the function does what only Python can do ends with a call of the
function in Python; a tape has not stored anything by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.objects import ARRAY, KINDS
from nengo_jit.engines.cpu.python.tape_vm import LARGEST, LARGEST_INTEGER, MANY
from nengo_jit.engines.cpu.python.tracing.guards import Guards
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    LOADS,
    STORES,
    Instruction,
    LoopCall,
    Memory,
    Operand,
    Positions,
    Registers,
    Sources,
    scalar,
)
from nengo_jit.engines.cpu.python.tracing.strides import (
    affine,
    laid_out_as,
    laid_out_as_of,
    share_memory,
    span_of,
)
from nengo_jit.engines.cpu.python.tracing.tape import Writer
from nengo_jit.engines.cpu.python.tracing.values import (
    MOST_ELEMENTS,
    Array,
    LiveArray,
    Number,
    Row,
    Unsupported,
    Value,
    check_count,
    described,
    reason_of,
)
from nengo_jit.ir.memory import hold

MOST_PATHS = 64
MOST_BRANCHES = 64  # along one path
MOST_INSTRUCTIONS = 20000
MOST_BYTES = 1 << 20  # of an array that the tape only reads, but that is compared with Python


class Tracer:
    """Traces one function along all of its paths.

    Parameters
    ----------
    run : callable
        ``run(tracer)`` executes the function along the path that `decide` chooses.
    own : sequence of numpy.ndarray
        Arrays that cannot move, and need no check in the tape.

    Attributes
    ----------
    writer : Writer
        Writes the tape.
    watched : Guards
        What the function reads that may be rebound.
    rows : list of Row
        Rows, which are views in NumPy and copies on the tape.
    indices : dict of (tuple, int)
        Registers with indices of rows, see `row_index`.
    positions : dict of (tuple, Positions)
        Where conditions hold, see `positions_of`.
    n_steps : int
        Instructions of bytecode that have been executed, along all paths.
    """

    def __init__(self, run: Callable[[Tracer], None], own: Sequence[np.ndarray] = ()):
        self._run = run
        self._own = {id(array): array for array in own}
        self.writer = Writer()
        self.watched = Guards()
        self._decisions: list[tuple[bool, int]] = []  # with the index of the `BRANCH`
        self.n_steps = 0
        self._n_taken = 0  # decisions, along this path
        self._index = 0  # of the next instruction, before the last decision
        self._start = 0  # index of the first instruction after the last decision
        self._live: dict[int, LiveArray] = {}
        self.rows: list[Row] = []
        self.indices: dict[tuple[int, int], int] = {}
        self._compared_registers: dict[tuple[object, ...], np.ndarray] = {}  # results
        self.positions: dict[tuple[object, ...], Positions] = {}  # by the condition's registers
        self._within: Positions | None = None

    def trace(self) -> list[str]:
        """Trace the function along all paths; returns why some of them end in Python.

        Raises
        ------
        Unsupported
            If all of them end in Python.
        """
        reasons: list[str] = []
        n_paths = n_returned = 0
        while True:
            n_paths += 1
            try:
                self._trace_path(n_paths)
                n_returned += 1
            except Exception as problem:  # of any kind: Python makes the call instead
                self.writer.remove(self._start)
                self.writer.write(Instruction(Opcode.REDO))
                reasons.append(reason_of(problem))
            while self._decisions and not self._decisions[-1][0]:
                self._decisions.pop()
            if not self._decisions:
                break
            _, branch = self._decisions[-1]
            self._decisions[-1] = (False, branch)
            self.writer.set_target(branch)
        if not n_returned:
            raise Unsupported(reasons[0])
        return list(dict.fromkeys(reasons))

    def _trace_path(self, n_paths: int) -> None:
        self._start = len(self.writer)
        self._n_taken = self._index = 0
        if n_paths > MOST_PATHS:
            raise Unsupported("has too many branches")
        self._live = {}
        self.rows, self.indices = [], {}
        self._compared_registers = {}
        self.positions, self._within = {}, None
        self.writer.n_registers = 0
        self._run(self)
        self._commit()
        self._write(Instruction(Opcode.RETURN))

    def _write(self, instruction: Instruction) -> None:
        if self._n_taken < len(self._decisions):  # the path up to the last decision is on the tape
            self._expect(instruction)
            self._index += 1
        elif len(self.writer) > MOST_INSTRUCTIONS:
            raise Unsupported("computes too much")
        else:
            self.writer.write(instruction)

    def _expect(self, instruction: Instruction) -> None:
        """Check that the function does what it did along the same path before."""
        if not self.writer.is_written(self._index, instruction):
            raise Unsupported("changed while it was compiled")

    def decide(self, register: int) -> bool:
        """Branch on a register; returns whether this path goes on as if it were not zero."""
        if self._n_taken == len(self._decisions):
            if self._n_taken >= MOST_BRANCHES:
                raise Unsupported("has too many branches")
            self._index = len(self.writer)
            self._decisions.append((True, self._index))
            self.writer.write(Instruction(Opcode.BRANCH, operands=(scalar(register), 0)))
            self._start = len(self.writer)
        is_true, branch = self._decisions[self._n_taken]
        target = self.writer.target(branch)
        self._expect(Instruction(Opcode.BRANCH, operands=(scalar(register), target)))
        self._index = branch + 1 if is_true else target
        self._n_taken += 1
        return is_true

    def compute(self, opcode: Opcode, *operands: Operand, n: int = 1) -> int:
        """Write an instruction; returns the first register of the result."""
        result = self.writer.allocate(n)
        self._write(Instruction(opcode, n, result, operands, self._within))
        return result

    @property
    def is_counting(self) -> bool:
        """bool: whether instructions compute only some elements, see `at`."""
        return self._within is not None

    @contextmanager
    def at(self, positions: Positions | None) -> Iterator[None]:
        """Context in which instructions compute only as many elements as there are positions.

        With None, they compute all. They must be instructions on numbers, and on results of `take`
        at these positions.
        """
        outer, self._within = self._within, positions
        try:
            yield
        finally:
            self._within = outer

    def accumulate(self, opcode: Opcode, result: int, call: LoopCall) -> None:
        """Let a ufunc's inner loop write to a register that it also reads."""
        self._write(Instruction(opcode, 1, result, (call,), self._within))

    def elementwise(self, opcode: Opcode, *arrays: np.ndarray) -> np.ndarray:
        """Write an elementwise instruction, with broadcasting; returns the results' registers.

        The same condition of the same registers has the same results.
        """
        is_comparison = Opcode.LESS <= opcode <= Opcode.NOT and self._within is None
        parts = [(each.shape, each.strides, each.tobytes()) for each in arrays if is_comparison]
        key = (opcode, *parts)
        if is_comparison and key in self._compared_registers:
            return self._compared_registers[key].copy(order="K")
        check_count(math.prod(np.broadcast_shapes(*(array.shape for array in arrays))))
        results = laid_out_as_of(*arrays)
        arrays, n = tuple(np.broadcast_arrays(*arrays)), results.size
        first = self.compute(opcode, *map(self.arranged, arrays), n=n)
        results[...] = np.arange(first, first + n).reshape(results.shape)
        if is_comparison:
            self._compared_registers[key] = results.copy(order="K")
        return results

    def strided(self, registers: np.ndarray) -> Registers:
        """Registers with a stride that hold the same values; gathers them if necessary."""
        flat = registers.ravel()
        if flat.size == 0:
            return Registers(0, 0)
        if flat.size == 1:
            return Registers(int(flat[0]), 1)
        steps, are_constants = np.diff(flat), flat >= CONSTANTS
        if (steps == steps[0]).all() and (are_constants == are_constants[0]).all():
            return Registers(int(flat[0]), int(steps[0]))
        if are_constants.all():
            values = [self.writer.constant(each) for each in flat]
            return Registers(self.writer.constants(values), 1)
        sources = Sources(tuple(flat.tolist()))
        return Registers(self.compute(Opcode.GATHER, sources, n=flat.size), 1)

    def contiguous(self, registers: np.ndarray) -> Registers:
        """Contiguous registers that hold the same values; copies them if necessary."""
        first, stride = self.arranged(registers)
        if stride == 1 or registers.size <= 1:
            return Registers(first, 1)
        if stride == 0 and first >= CONSTANTS:
            values = np.full(registers.size, self.writer.constant(first))
            return Registers(self.writer.constants(values), 1)
        if registers.size > MANY:
            n = registers.size
            return Registers(self.compute(Opcode.SPREAD, Registers(first, 0), 0, n, n=n), 1)
        moved = self.compute(Opcode.MOVE, Registers(first, stride), n=registers.size)
        return Registers(moved, 1)

    def arranged(self, registers: np.ndarray) -> Registers:
        """Registers that hold the same values, for an elementwise instruction.

        If there are many, the stride is zero or one. Rows, columns and numbers that are repeated,
        and matrices with other strides, are left to the group that the instruction joins.
        """
        if registers.size <= MANY:
            return self.strided(registers)
        first, dimensions = affine(registers)
        if len(dimensions) == 1 and dimensions[0][1] in (0, 1):
            return Registers(first, dimensions[0][1])
        if not 1 <= len(dimensions) <= 2:
            return self.strided(registers)  # gathered
        (_, step_of_rows), (columns, step) = ((1, 0), *dimensions)[-2:]
        source = Registers(first, step)
        spread = self.compute(Opcode.SPREAD, source, step_of_rows, columns, n=registers.size)
        return Registers(spread, 1)

    def constant(self, value: Value) -> int:
        """The register of a number that is known.

        Raises
        ------
        Unsupported
            If the number is infinite or too large, or the value is no number.
        """
        number = value.item() if isinstance(value, np.generic) else value
        if not isinstance(number, (float, int)):
            raise Unsupported(f"calculates with {described(value)}")
        largest = LARGEST if isinstance(number, float) else LARGEST_INTEGER
        if not abs(number) <= largest:
            raise Unsupported("calculates with an infinite number, or a large integer")
        return self.writer.constants(float(number))

    def is_known(self, registers: np.ndarray) -> bool:
        """Whether all registers hold constants."""
        return not registers.size or bool(registers.min() >= CONSTANTS)

    def known(self, registers: np.ndarray) -> np.ndarray:
        """The values of registers that hold constants."""
        values = [self.writer.constant(each) for each in registers.ravel().tolist()]
        return np.reshape(np.array(values, np.float64), registers.shape)

    def register(self, value: Value) -> int:
        """The register of a number."""
        return value.register if isinstance(value, Number) else self.constant(value)

    def number(self, register: int, kind: type) -> Value:
        """The number in a register: a Python object if it is known."""
        if register >= CONSTANTS:
            return kind(self.writer.constant(register))
        return Number(register, kind)

    def array(self, values: np.ndarray) -> Array:
        """An array of numbers that are known."""
        dtype = values.dtype
        if dtype.name not in LOADS or not np.isfinite(values).all():
            raise Unsupported(f"has an array of {dtype}, or of numbers that are not finite")
        if dtype == np.int64 and not (np.abs(values) <= LARGEST_INTEGER).all():
            raise Unsupported("has an array of large integers")
        first = self.writer.constants(values)
        registers = np.empty_like(values, np.int64)
        registers[...] = np.arange(first, first + values.size).reshape(values.shape)
        return Array(registers, dtype)

    def live(self, array: np.ndarray, name: str) -> LiveArray:
        """An array that exists outside of the function.

        Raises
        ------
        Unsupported
            If tapes cannot read it, or it overlaps with another array.
        """
        if id(array) in self._live:
            return self._live[id(array)]
        if type(array) is not np.ndarray or array.dtype.name not in LOADS:
            raise Unsupported(f"reads {name}, an array of {array.dtype}")
        if not (array.flags.aligned and array.dtype.isnative):
            raise Unsupported(f"reads {name}, an array that is not aligned")
        for other in self._live.values():
            if share_memory(other.memory, array):
                raise Unsupported(f"reads {name}, which overlaps with another array")
        if id(array) not in self._own:
            held = [] if array.flags.owndata else hold(array)
            if held is None or not KINDS[ARRAY]:
                raise Unsupported(f"reads {name}, an array whose memory might be moved")
            self.writer.rely_on(array, held)

        def load() -> np.ndarray:
            span, offset = span_of(array)
            self.writer.keep(span)
            if span.size > MOST_ELEMENTS:
                raise Unsupported(f"reads {name}, an array of {array.size} numbers")
            first = self.compute(LOADS[array.dtype.name], Memory.of(span), n=span.size)
            return laid_out_as(array, np.arange(first, first + span.size)[offset:])

        self._live[id(array)] = LiveArray(array, load)
        return self._live[id(array)]

    def _commit(self) -> None:
        """Write the path's end: `COMMIT`, then the stores to all arrays that have changed."""
        changed = [live for live in self._live.values() if live.has_changed]
        stores: list[tuple[np.ndarray, int, tuple[Registers, ...]]] = []
        for live in changed:
            array = live.memory
            if live.is_loaded:
                source = self.arranged(in_memory_order(live.registers))
                stores.append((array, array.size, (source,)))
            else:
                for index, row in live.rows:
                    stores.append((array, row.size, (self.arranged(row), scalar(index))))
        compared = tuple(map(Memory.of, self._compared()))
        self._write(Instruction(Opcode.COMMIT, operands=compared))
        for array, n, operands in stores:
            opcode = STORES[array.dtype.name]
            self._write(Instruction(opcode, n, Memory.of(array), operands))

    def _compared(self) -> list[np.ndarray]:
        """The arrays to compare with Python: those that the function might write to."""
        all_live = self._live.values()
        compared = [live.memory for live in all_live if live.is_loaded or live.has_changed]
        others = [live.memory for live in all_live if not live.is_loaded]
        for array in (*others, *self._own.values()):
            if not isinstance(array, np.ndarray) or not array.flags.forc:
                continue
            if array.nbytes <= MOST_BYTES and not any(
                np.may_share_memory(array, each) for each in compared
            ):
                compared.append(array)
        return [each for each in compared if each.flags.writeable and each.flags.forc and each.size]


def in_memory_order(registers: np.ndarray) -> np.ndarray:
    """An array with its axes in the order of memory."""
    steps = [-abs(each) for each in registers.strides]
    return registers.transpose(np.argsort(steps, kind="stable"))
