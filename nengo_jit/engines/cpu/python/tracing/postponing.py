"""Let a large group write to memory itself, rather than to registers that are then stored.

A group runs before its path's `COMMIT`, since its results must be finite, and stores come after it.
So large results would be written, read and written once more, most of the time to memory outside of
the caches. If bounds of all results can be computed from the largest operands, and are finite, the
group cannot fail. Then the bounds are computed in its place, and the group runs after the `COMMIT`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.flow import Flow
from nengo_jit.engines.cpu.python.tracing.instruction import (
    LOADS,
    Instruction,
    Memory,
    Operand,
    Registers,
    scalar,
)
from nengo_jit.engines.cpu.python.tracing.parts import BOOLEAN, COMPARISONS

LEAST = 10_000  # elements; fewer stay in the second cache
STORES = {Opcode.STORE, Opcode.STORE_SHORT}
SUMS = {Opcode.ADD, Opcode.SUBTRACT, Opcode.SELECT, Opcode.AT_LEAST, Opcode.AT_MOST}
SAME = {Opcode.NEGATIVE, Opcode.ABSOLUTE, Opcode.MOVE}
BOUNDED = SUMS | SAME | {Opcode.MULTIPLY, Opcode.DIVIDE, Opcode.SHORT}


def stores_of(
    indices: Sequence[int], instructions: Sequence[Instruction], flow: Flow
) -> dict[int, int]:
    """The stores that a group can do itself.

    Parameters
    ----------
    indices : sequence of int
        The members of the group.
    instructions : sequence of Instruction
        The tape.
    flow : Flow
        Its definitions and readings.

    Returns
    -------
    dict of (int, int)
        For each member with results that are stored, the store. Empty if the group is small, or has
        results that something else reads, too.
    """
    stores: dict[int, int] = {}
    if instructions[indices[0]].n < LEAST:
        return {}
    for index in indices:
        outside = [each for each in flow.readings[index] if each.reader not in indices]
        if not outside:
            continue
        (first, *others) = outside
        reader = instructions[first.reader]
        is_store = reader.opcode in STORES and first.is_whole and len(reader.operands) == 1
        is_whole = is_store and reader.positions is None
        if others or not is_whole or index in flow.together:
            return {}
        stores[index] = first.reader
    return stores


class Unbounded(Exception):  # noqa: N818  it is no error
    """There is no bound that is known before the group runs."""


class Bounds:
    """Instructions that compute a bound of each result of a group.

    A bound is the largest size that the results of an instruction can have. Rounding does not
    change order, so rounded bounds are bounds of rounded results. A bound that is not finite ends
    the tape as any result does.

    Parameters
    ----------
    members : mapping of (int, Instruction)
        The group's instructions by their index on the tape, with registers that are numbered anew.
    instructions : sequence of Instruction
        The tape.
    flow : Flow
        Its definitions and readings.
    n_registers : int
        The first register that is free.
    one : int
        A register that has the number one.

    Attributes
    ----------
    code : list of Instruction
        The instructions.
    n_registers : int
        The first register that is free after them.

    Raises
    ------
    Unbounded
        If there is no bound.
    """

    def __init__(
        self,
        members: Mapping[int, Instruction],
        instructions: Sequence[Instruction],
        flow: Flow,
        n_registers: int,
        one: int,
    ):
        self._members, self._instructions, self._flow = members, instructions, flow
        self._one = one
        self.n_registers = n_registers
        self.code: list[Instruction] = []
        self._found: dict[object, int] = {}  # registers of bounds
        for index in members:
            self._add(index)

    def _compute(self, opcode: Opcode, *operands: Operand) -> int:
        key = opcode, operands
        if key not in self._found:
            self._found[key] = self.n_registers
            self.code.append(Instruction(opcode, 1, self.n_registers, operands))
            self.n_registers += 1
        return self._found[key]

    def _add(self, index: int) -> None:
        instruction = self._members[index]
        opcode = instruction.opcode
        if opcode in LOADS.values():
            readers = [each.reader for each in self._flow.readings[index]]
            if all(self._instructions[each].opcode in COMPARISONS for each in readers):
                return
            self._found[index] = self._largest_loaded(instruction)
        elif opcode == Opcode.SPREAD:
            self._found[index] = self._largest_spread(instruction)
        elif opcode in BOOLEAN:
            self._found[index] = self._one
        elif opcode not in BOUNDED:
            raise Unbounded
        else:
            bounds = [
                self._of(index, *each)
                for each in zip(self._instructions[index].operands, instruction.operands)
            ]
            self._found[index] = self._combined(index, opcode, bounds)

    def _combined(self, index: int, opcode: Opcode, bounds: list[int]) -> int:
        """The bound of an instruction's results, from those of its operands."""
        if opcode in SAME:
            return bounds[0]
        first, *rest = map(scalar, bounds)
        if opcode in SUMS:
            return self._compute(Opcode.ADD, first, rest[0])
        if opcode == Opcode.MULTIPLY:
            return self._compute(Opcode.MULTIPLY, first, rest[0])
        if opcode == Opcode.SHORT:
            return self._compute(Opcode.SHORT, first)
        divisor = self._members[index].operands[-1]
        if isinstance(divisor, Registers) and divisor.stride == 0:
            return self._compute(Opcode.DIVIDE, first, rest[0])
        raise Unbounded

    def _of(self, index: int, before: Operand, moved: Operand) -> int:
        """The bound of an operand."""
        if not (isinstance(before, Registers) and isinstance(moved, Registers)):
            raise Unbounded  # the function of a ufunc's loop
        if moved.stride == 0:
            return self._compute(Opcode.ABSOLUTE, moved)
        source = self._flow.source(index, before.first)
        if source in self._members:
            return self._found[source]
        return self._compute(Opcode.LARGEST, moved, self._members[index].n)

    def _largest_loaded(self, instruction: Instruction) -> int:
        (memory,) = instruction.operands
        assert isinstance(memory, Memory)
        if instruction.opcode == Opcode.LOAD_BOOLEANS:
            return self._one
        if instruction.opcode != Opcode.LOAD:
            raise Unbounded
        return self._compute(Opcode.LARGEST, memory, memory.size)

    def _largest_spread(self, instruction: Instruction) -> int:
        source, step_of_rows, columns = instruction.operands
        assert isinstance(source, Registers) and isinstance(columns, int)
        assert isinstance(step_of_rows, int)
        if step_of_rows == 0:
            return self._compute(Opcode.LARGEST, source, columns)
        if source.stride == 0:
            rows = Registers(source.first, step_of_rows)
            return self._compute(Opcode.LARGEST, rows, instruction.n // columns)
        raise Unbounded
