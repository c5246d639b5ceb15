"""Give the operands of a tape's instructions their addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np

from nengo_jit.engines.cpu.python.instructions import (
    PART_WIDTH,
    WIDTH,
    Field,
    Mode,
    Opcode,
    Part,
)
from nengo_jit.engines.cpu.python.tracing.arena import Arena
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    LOADS,
    Group,
    GroupPart,
    Instruction,
    LoopCall,
    Memory,
    Operand,
    Positions,
    PythonCall,
    Registers,
    Slot,
    Sources,
)
from nengo_jit.engines.cpu.python.tracing.pairs import operation_of
from nengo_jit.ir.memory import address


class Assembler:
    """Gives the operands of instructions their addresses.

    Parameters
    ----------
    instructions : sequence of Instruction
        The tape.
    n_registers : int
        How many registers there are.
    constants : list of float
        Values of the constants.
    countdown : int
        How often each path may be taken before it is compared for the first time.
    arena : Arena
        Provides memory.

    Attributes
    ----------
    kept : list of object
        What the instructions refer to.
    compared, written
        See `Tape`.
    """

    def __init__(
        self,
        instructions: Sequence[Instruction],
        n_registers: int,
        constants: list[float],
        countdown: int,
        arena: Arena,
    ):
        self._countdown, self._arena = countdown, arena
        groups = [each for i in instructions for each in i.operands if isinstance(each, Group)]
        n_in_slots = max((group.n_slots * group.pitch for group in groups), default=0)
        self._files = arena.numbers(n_registers), arena.numbers(len(constants))
        self._files[1][:] = constants
        slots = arena.numbers(n_in_slots)
        self.kept: list[object] = [*self._files]
        self.compared: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.written: list[np.ndarray] = []
        self._registers, self._constants = map(address, self._files)
        self._slots = address(slots)
        self._shadows: dict[int, np.ndarray] = {}  # by the identity of the array

    def encode(self, index: int, instruction: Instruction) -> list[int]:
        """The fields of an instruction, which has an index in the code."""
        line = [0] * WIDTH
        result = instruction.result
        line[Field.OPCODE], line[Field.N] = instruction.opcode, instruction.n
        line[Field.RESULT] = self._address(result)
        ENCODERS.get(instruction.opcode, Assembler._operands)(self, index, instruction, line)
        if instruction.positions is not None:
            line[Field.LIMIT] = self._address(instruction.positions.count)
        if isinstance(result, Memory):
            assert result.array is not None
            self.written.append(result.array)
            line[Field.SHADOW] = address(self._shadow(result.array))
            line[Field.INDEX] = 0
            if instruction.positions is not None:
                line[Field.STORED_AT] = self._address(instruction.positions)
            if len(instruction.operands) > 1:
                line[Field.INDEX] = self._address(instruction.operands[1])
                line[Field.ROW_SIZE] = instruction.n * result.array.itemsize
        return line

    def _address(self, operand: Operand) -> int:
        """Address of a register or of memory; other integers are encoded as they are."""
        if isinstance(operand, Memory):
            return operand.address
        register = operand.first if isinstance(operand, (Registers, Positions)) else operand
        assert isinstance(register, int)
        if register >= CONSTANTS:
            return self._constants + 8 * (register - CONSTANTS)
        return self._registers + 8 * register

    def _shadow(self, array: np.ndarray) -> np.ndarray:
        return self._shadows.setdefault(id(array), np.empty(array.size, array.dtype))

    def _operands(self, index: int, instruction: Instruction, line: list[int]) -> None:
        places = (Field.A, Field.A_STRIDE), (Field.B, Field.B_STRIDE), (Field.C, Field.C_STRIDE)
        for place, _ in places:  # operands that are not used must have an address, too
            line[place] = line[Field.RESULT]
        for (place, stride), operand in zip(places, instruction.operands):
            line[place] = operand if isinstance(operand, int) else self._address(operand)
            if isinstance(operand, (Registers, Memory)):
                line[stride] = operand.stride if isinstance(operand, Registers) else 1

    def _loop(self, index: int, instruction: Instruction, line: list[int]) -> None:
        (call,) = instruction.operands
        assert isinstance(call, LoopCall)
        inputs = [self._address(each.first) for each in call.inputs]
        line[Field.LOOP], line[Field.DATA] = call.function, call.data
        line[Field.ARGUMENTS] = self._arena.words((*inputs, line[Field.RESULT]))
        line[Field.SIZES], line[Field.STEPS] = (
            self._arena.words(call.sizes),
            self._arena.words(call.steps),
        )

    def _call(self, index: int, instruction: Instruction, line: list[int]) -> None:
        (call,) = instruction.operands
        assert isinstance(call, PythonCall) and isinstance(instruction.result, int)
        arguments = [self._registers_at(each.first, each.size) for each in call.inputs]
        result = self._registers_at(instruction.result, instruction.n)
        called = call.bind(arguments, result)
        self.kept.append(called)
        line[Field.OBJECT], line[Field.EXPECTED] = id(called), id(True)

    def _registers_at(self, first: int, n: int) -> np.ndarray:
        """The registers, or constants, from the first one on."""
        if first >= CONSTANTS:
            return self._files[1][first - CONSTANTS :][:n]
        return self._files[0][first : first + n]

    def _put(self, index: int, instruction: Instruction, line: list[int]) -> None:
        self._operands(index, instruction, line)
        positions = instruction.operands[2]
        assert isinstance(positions, Positions)
        line[Field.N_POSITIONS] = self._address(positions.count)

    def _lookup(self, index: int, instruction: Instruction, line: list[int]) -> None:
        self._operands(index, instruction, line)
        table = instruction.operands[0]
        if isinstance(table, Memory):
            assert table.array is not None
            line[Field.TYPE] = LOADS[table.array.dtype.name]
            line[Field.ITEM_SIZE] = table.array.itemsize

    def _group(self, index: int, instruction: Instruction, line: list[int]) -> None:
        (group,) = instruction.operands
        assert isinstance(group, Group)
        table = [0, len(group.first), len(group.parts), *group.shape, *group.at_once]
        for part in (*group.first, *group.parts):
            table += self._part(part, group)
        line[Field.GROUP] = self._arena.words(tuple(table))

    def _part(self, part: GroupPart, group: Group) -> list[int]:
        line = [0] * PART_WIDTH
        line[Part.OPCODE], line[Part.IS_CHECKED] = part.opcode, part.is_checked
        line[Part.OPERATION] = operation_of(part)
        operands = (part.result, *part.operands, *(part.result,) * (3 - len(part.operands)))
        for (place, mode), operand in zip(PLACES, operands):
            start = operand.start
            if isinstance(start, Slot):
                line[place] = self._slots + 8 * start.number * group.pitch
            else:
                line[place] = self._address(start)
            line[mode] = operand.mode
        line[Part.SHADOW] = line[Part.RESULT]
        memory = part.result.start
        if isinstance(memory, Memory) and part.opcode != Opcode.CHECK:
            assert memory.array is not None
            self.written.append(memory.array)
            line[Part.SHADOW] = address(self._shadow(memory.array))
        line[Part.STEP], line[Part.STEP_OF_ROWS], line[Part.COLUMNS] = part.steps
        line[Part.FUNCTION], line[Part.DATA] = part.call
        line[Part.N_INPUTS] = len(part.operands)
        line[Part.IS_BY_ROWS] = any(each.mode == Mode.ROWS for each in part.operands)
        line[Part.STEP_OF_RESULT] = 4 if part.opcode == Opcode.LOOP_SHORT else 8
        return line

    def _gather(self, index: int, instruction: Instruction, line: list[int]) -> None:
        (sources,) = instruction.operands
        assert isinstance(sources, Sources)
        line[Field.SOURCES] = self._arena.words(tuple(map(self._address, sources.registers)))

    def _commit(self, index: int, instruction: Instruction, line: list[int]) -> None:
        pairs = []
        for memory in instruction.operands:
            assert isinstance(memory, Memory) and memory.array is not None
            pairs.append((memory.array, self._shadow(memory.array)))
        self.compared[index] = pairs
        spans = [(address(array), address(shadow), array.nbytes) for array, shadow in pairs]
        line[Field.COUNTDOWN] = self._countdown
        line[Field.N_SPANS], line[Field.SPANS] = len(spans), self._arena.words((*chain(*spans),))


PLACES = (
    (Part.RESULT, Part.RESULT_MODE),
    (Part.A, Part.A_MODE),
    (Part.B, Part.B_MODE),
    (Part.C, Part.C_MODE),
)
# How operands are encoded; `Assembler._operands` does all others.
ENCODERS: dict[Opcode, Callable[[Assembler, int, Instruction, list[int]], None]] = {
    Opcode.LOOP: Assembler._loop,
    Opcode.LOOP_SHORT: Assembler._loop,
    Opcode.CALL: Assembler._call,
    Opcode.PUT: Assembler._put,
    Opcode.LOOKUP: Assembler._lookup,
    Opcode.GATHER: Assembler._gather,
    Opcode.GROUP: Assembler._group,
    Opcode.COMMIT: Assembler._commit,
}
