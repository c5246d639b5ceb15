"""Verify a tape before it is put into memory.

The kernel that executes tapes trusts them: a wrong jump target, or a register that does not exist,
would make it read unrelated memory. The rules are checked along every path. Tapes only jump
forward, so one pass over the instructions visits all paths. Paths that have parted never join, so
each has a `COMMIT` of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    STORES,
    Group,
    Instruction,
    Memory,
    Operand,
    Positions,
    Span,
)
from nengo_jit.engines.cpu.python.tracing.reads import (
    ELEMENTWISE,
    READS,
    Malformed,
    expect,
    is_only_in_groups,
    reads,
)


def verify(instructions: Sequence[Instruction], n_registers: int, n_constants: int) -> None:
    """Check a tape.

    Parameters
    ----------
    instructions : sequence of Instruction
        The tape.
    n_registers, n_constants : int
        How many registers and constants it has.

    Raises
    ------
    Malformed
        If a branch does not lead forward to an instruction, an instruction cannot be reached or
        can be reached in two ways, a path has no end, a register is read before it is written,
        an operand does not exist, or memory is written that is not compared with Python, or
        before the path is complete.
    """
    verifier = _Verifier(n_registers, n_constants, len(instructions))
    for index, instruction in enumerate(instructions):
        verifier.visit(index, instruction)
    if verifier.written is not None:
        raise Malformed("has no end")


class _Verifier:
    """The state of one pass over a tape."""

    def __init__(self, n_registers: int, n_constants: int, n_instructions: int):
        self.written: np.ndarray | None = np.zeros(n_registers, bool)  # None after a path's end
        self._n_constants = n_constants
        self._n_instructions = n_instructions
        self._positions: set[Positions] = set()  # that registers hold
        # `written` and `_positions`, by the target of a branch
        self._waiting: dict[int, tuple[np.ndarray, set[Positions]]] = {}
        self._compared: tuple[Operand, ...] | None = None  # memory, once the path is complete

    def visit(self, index: int, instruction: Instruction) -> None:
        """Check one instruction; they come in order."""
        arriving = self._waiting.pop(index, None)
        if self.written is not None and arriving is not None:
            raise Malformed("has an instruction that can be reached in two ways")
        if arriving is not None:
            self.written, self._positions = arriving
        written = self.written
        if written is None:
            raise Malformed("has an instruction that cannot be reached")
        opcode = instruction.opcode
        if opcode in AFTER_COMMIT and self._compared is None:
            raise Malformed("writes to memory, or ends, before its path is complete")
        if opcode not in {*AFTER_COMMIT, Opcode.GROUP} and self._compared is not None:
            raise Malformed("goes on after its path is complete")
        expect(opcode in READS and not is_only_in_groups(instruction))
        for span in reads(instruction):
            self._check_read(span, written)
        for each in (*instruction.operands, instruction.positions):
            if isinstance(each, Positions) and each not in self._positions:
                raise Malformed("uses positions that it has not computed")
        if instruction.positions is not None:
            expect(opcode in COUNTED)
        EFFECTS.get(opcode, _Verifier._write)(self, index, instruction, written)

    def _check_read(self, span: Span, written: np.ndarray) -> None:
        first, step, count = span
        if count <= 0:
            return
        low, high = sorted((first, first + step * (count - 1)))
        if low >= CONSTANTS and high < CONSTANTS + self._n_constants:
            return
        if not 0 <= low <= high < len(written):
            raise Malformed("reads a register that does not exist")
        if not written[low : high + 1 : abs(step) or 1].all():
            raise Malformed("reads a register before it is written")

    # The effect of an instruction on the state

    def _group(self, index: int, instruction: Instruction, written: np.ndarray) -> None:
        (group,) = instruction.operands
        assert isinstance(group, Group)
        for part in group.parts:
            result = part.result.start
            if isinstance(result, int):
                is_list = part.opcode == Opcode.POSITIONS
                self._mark(result, instruction.n + is_list, written)
                if is_list:
                    self._positions.add(Positions(result, instruction.n))
            elif isinstance(result, Memory) and part.opcode != Opcode.CHECK:
                if self._compared is None:
                    raise Malformed("writes to memory, or ends, before its path is complete")
                if result not in self._compared:
                    raise Malformed("writes to memory that is not compared with Python")
        expect(self._compared is None or not any(part.is_checked for part in group.parts))

    def _end(self, index: int, instruction: Instruction, written: np.ndarray) -> None:
        self.written = self._compared = None

    def _commit(self, index: int, instruction: Instruction, written: np.ndarray) -> None:
        self._compared = instruction.operands

    def _branch(self, index: int, instruction: Instruction, written: np.ndarray) -> None:
        target = instruction.operands[1]
        if not (isinstance(target, int) and index < target < self._n_instructions):
            raise Malformed("jumps to nowhere")
        if target in self._waiting:
            raise Malformed("has an instruction that can be reached in two ways")
        self._waiting[target] = written.copy(), set(self._positions)

    def _store(self, index: int, instruction: Instruction, written: np.ndarray) -> None:
        assert self._compared is not None
        if instruction.result not in self._compared:
            raise Malformed("writes to memory that is not compared with Python")

    def _write(self, index: int, instruction: Instruction, written: np.ndarray) -> None:
        self._mark(instruction.result, instruction.n, written)

    def _mark(self, result: int | Memory, n: int, written: np.ndarray) -> None:
        if not (isinstance(result, int) and n >= 0 and 0 <= result <= len(written) - n):
            raise Malformed("writes to a register that does not exist")
        written[result : result + n] = True
        self._positions = {
            each for each in self._positions if each.count < result or each.first >= result + n
        }

    def _write_positions(self, index: int, instruction: Instruction, written: np.ndarray) -> None:
        self._write(index, instruction, written)
        assert isinstance(instruction.result, int)
        self._positions.add(Positions(instruction.result, instruction.n - 1))


# Instructions that can stop after as many elements as there are positions
COUNTED = {Opcode.LOOP, Opcode.LOOP_SHORT, Opcode.PACK, Opcode.UNPACK, Opcode.GATHER, Opcode.TAKE}
COUNTED |= {*ELEMENTWISE, *STORES.values()}
AFTER_COMMIT = {Opcode.RETURN, *STORES.values()}
# All other instructions write to registers.
EFFECTS: dict[Opcode, Callable[[_Verifier, int, Instruction, np.ndarray], None]] = {
    Opcode.RETURN: _Verifier._end,
    Opcode.REDO: _Verifier._end,
    Opcode.COMMIT: _Verifier._commit,
    Opcode.BRANCH: _Verifier._branch,
    Opcode.POSITIONS: _Verifier._write_positions,
    Opcode.GROUP: _Verifier._group,
    **dict.fromkeys(STORES.values(), _Verifier._store),
}
