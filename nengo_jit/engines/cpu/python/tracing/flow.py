"""Which instruction of a tape computes what another one reads.

A tape is a tree of paths. Along a path, each instruction writes to registers with higher numbers
than all before it, except loops that accumulate in a register. So what is in the registers is a
stack of *definitions*: instructions with results.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    LINE,
    Instruction,
    LoopCall,
    Operand,
    Positions,
    PythonCall,
    Registers,
    Sources,
    Span,
)
from nengo_jit.engines.cpu.python.tracing.reads import Malformed, reads


class Reading(NamedTuple):
    """That an instruction reads what another one has computed.

    Attributes
    ----------
    reader : int
        Index of the instruction that reads.
    is_whole : bool
        Whether it reads all results in order, one for each of its own elements.
    """

    reader: int
    is_whole: bool


class Flow:
    """The definitions and readings of a tape.

    Parameters
    ----------
    instructions : sequence of Instruction
        The tape.

    Attributes
    ----------
    readings : list of list of Reading
        For each instruction, who reads its results.
    read : list of dict of (int, bool)
        For each instruction, the definitions that it reads, and whether each is read as a whole.
    together : set of int
        Definitions that one operand reads together with others, or that are written to again.
    again : dict of (int, int)
        Instructions that write to registers of an earlier definition, and that definition.
    in_place : dict of (int, int)
        Instructions that can write to registers of an earlier definition, since nothing reads it
        after them, and that definition.

    Raises
    ------
    Malformed
        If a register is read that is not written, or does not exist.
    """

    def __init__(self, instructions: Sequence[Instruction]):
        self._instructions = instructions
        self.readings: list[list[Reading]] = [[] for _ in instructions]
        self.read: list[dict[int, bool]] = [{} for _ in instructions]
        self.together: set[int] = set()
        self.again: dict[int, int] = {}
        self._sources: list[dict[int, int]] = []  # the definition of each operand's first register
        self._gathered: dict[int, np.ndarray] = {}  # definitions of registers, -1 for constants
        self._firsts: list[int] = []  # registers of the definitions on the stack
        self._stack: list[int] = []
        depths: dict[int, int] = {}  # of the stack, at the targets of branches
        for index, instruction in enumerate(instructions):
            if index in depths:
                depth = depths.pop(index)
                del self._stack[depth:], self._firsts[depth:]
            self._sources.append({})
            for span in reads(instruction):
                if span.first < CONSTANTS and span.size > 0:
                    self._read(index, span)
            for operand in instruction.operands:
                if isinstance(operand, Sources):
                    self._gathered[index] = self._definitions(np.array(operand.registers))
            target = target_of(instruction)
            if target is not None:
                depths[target] = len(self._stack)
            elif isinstance(instruction.result, int) and instruction.n:
                self._define(index, instruction.result)
        self.in_place = self._in_place()

    def _in_place(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for index, instruction in enumerate(self._instructions):
            if instruction.opcode != Opcode.PUT:
                continue
            whole, values, _ = instruction.operands
            assert isinstance(whole, Registers) and isinstance(values, Registers)
            before = self.source(index, whole.first)
            if before is None or {before, index} & self.together or whole.stride != 1:
                continue
            is_whole = self._instructions[before].n == instruction.n
            is_last = all(each.reader <= index for each in self.readings[before])
            if is_whole and is_last and self.source(index, values.first) != before:
                found[index] = before
        return found

    def _read(self, index: int, span: Span) -> None:
        ends = span.first, span.first + span.stride * (span.size - 1)
        low, high = (self._position(register) for register in sorted(ends))
        found = self._stack[low : high + 1]
        self._sources[index][span.first] = self._stack[self._position(span.first)]
        if len(found) > 1:
            self.together.update(found)
        instruction = self._instructions[index]
        n = instruction.n - (instruction.opcode == Opcode.POSITIONS)
        for definition in found:
            whole = self._instructions[definition]
            is_whole = (*span, n) == (whole.result, 1, whole.n, whole.n)
            self.readings[definition].append(Reading(index, is_whole))
            read = self.read[index]
            read[definition] = read.get(definition, True) and is_whole

    def _position(self, register: int) -> int:
        """The position on the stack of the definition of a register."""
        position = bisect_right(self._firsts, register) - 1
        if position < 0:
            raise Malformed("reads a register that does not exist")
        definition = self._instructions[self._stack[position]]
        if register >= self._firsts[position] + definition.n:
            raise Malformed("reads a register before it is written")
        return position

    def _definitions(self, registers: np.ndarray) -> np.ndarray:
        positions = np.searchsorted(self._firsts, registers, "right") - 1
        found = np.array(self._stack, np.int64)[positions]
        return np.where(registers < CONSTANTS, found, -1)

    def _define(self, index: int, first: int) -> None:
        if self._stack and first < self._firsts[-1] + self._instructions[self._stack[-1]].n:
            self.again[index] = self._stack[self._position(first)]
            self.together.add(self.again[index])
        else:
            self._stack.append(index)
            self._firsts.append(first)

    def numbered(self, left_out: set[int]) -> dict[int, int]:
        """Number the registers anew.

        Parameters
        ----------
        left_out : set of int
            Definitions that get no registers.

        Returns
        -------
        dict of (int, int)
            The first register of each definition.
        """
        registers: dict[int, int] = {}
        gone = 0  # registers that are left out so far
        waiting: dict[int, int] = {}  # the same, at the targets of branches
        for index, instruction in enumerate(self._instructions):
            gone = waiting.pop(index, gone)
            target = target_of(instruction)
            if target is not None:
                waiting[target] = gone
            elif index in self.again:
                before = self.again[index]
                registers[index] = registers[before] + self._first(index) - self._first(before)
            elif isinstance(instruction.result, int) and instruction.n:
                registers[index] = instruction.result - gone
                if index in self.in_place:
                    registers[index] = registers[self.in_place[index]]
                if index in left_out or index in self.in_place:
                    gone += instruction.n // LINE * LINE  # the others stay aligned
        return registers

    def _first(self, index: int) -> int:
        """The first register of a definition."""
        first = self._instructions[index].result
        assert isinstance(first, int)
        return first

    def source(self, index: int, register: int) -> int | None:
        """The definition of an operand's first register; None for constants."""
        return self._sources[index].get(register)

    def moved(self, index: int, registers: dict[int, int]) -> Instruction:
        """An instruction with its registers numbered anew, see `numbered`."""

        def new(register: int) -> int:
            definition = self._sources[index].get(register)
            if definition is None:
                return register
            return register + registers[definition] - self._first(definition)

        def span_of(span: Span) -> Span:
            return Span(new(span.first), span.stride, span.size)

        def operand_of(operand: Operand) -> Operand:
            if isinstance(operand, Registers):
                return Registers(new(operand.first), operand.stride)
            if isinstance(operand, Sources):
                numbers, found = np.array(operand.registers), self._gathered[index]
                for definition in set(found.tolist()) - {-1}:
                    move = registers[definition] - self._first(definition)
                    numbers[found == definition] += move
                return Sources(tuple(numbers.tolist()))
            if isinstance(operand, LoopCall):
                return replace(operand, inputs=tuple(map(span_of, operand.inputs)))
            if isinstance(operand, PythonCall):
                return replace(operand, inputs=tuple(map(span_of, operand.inputs)))
            if isinstance(operand, Positions):
                return replace(operand, first=new(operand.first))
            return operand

        instruction = self._instructions[index]
        operands, positions = tuple(map(operand_of, instruction.operands)), instruction.positions
        if positions is not None:
            positions = replace(positions, first=new(positions.first))
        result = registers.get(index, instruction.result)
        return replace(instruction, result=result, operands=operands, positions=positions)


def target_of(instruction: Instruction) -> int | None:
    """Where a branch leads to; None for other instructions."""
    if instruction.opcode != Opcode.BRANCH:
        return None
    target = instruction.operands[1]
    assert isinstance(target, int)
    return target
