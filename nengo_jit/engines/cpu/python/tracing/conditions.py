"""Conditions on a tape that need not be computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.flow import Flow
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    Instruction,
    Operand,
    Registers,
)

# Which operands are conditions: any number but zero counts as true
CONDITIONS: dict[Opcode, tuple[int, ...]] = {
    Opcode.POSITIONS: (0,),
    Opcode.SELECT: (2,),
    Opcode.NOT: (0,),
}
CONDITIONS |= {Opcode.AND: (0, 1), Opcode.OR: (0, 1)}


def simplified(
    instructions: Sequence[Instruction], constant: Callable[[int], float]
) -> Sequence[Instruction]:
    """Use numbers as conditions where the condition is that they are not zero.

    Parameters
    ----------
    instructions : sequence of Instruction
        The tape.
    constant : callable
        ``constant(register)`` is the number in a register of the constants.

    Returns
    -------
    sequence of Instruction
        The same tape with other operands. What nothing reads any more is still there.

    Raises
    ------
    Malformed
        If it reads a register that does not exist, or before it is written.
    """
    flow = Flow(instructions)
    numbers: dict[int, Registers] = {}  # by the condition that they are not zero
    for index, each in enumerate(instructions):
        if each.opcode == Opcode.NOT_EQUAL and index not in flow.together:
            tested = _tested(each, constant)
            source = None if tested is None else flow.source(index, tested.first)
            if tested is not None and source is not None and source not in flow.together:
                numbers[index] = tested

    def operand_of(index: int, operand: Operand) -> Operand:
        if not isinstance(operand, Registers):
            return operand
        source = flow.source(index, operand.first)
        if source is None or not flow.read[index][source]:
            return operand
        return numbers.get(source, operand)

    result = list(instructions)
    for index, each in enumerate(instructions):
        places = CONDITIONS.get(each.opcode, ())
        operands = [
            operand_of(index, operand) if i in places else operand
            for i, operand in enumerate(each.operands)
        ]
        result[index] = replace(each, operands=tuple(operands))
    return result


def _tested(instruction: Instruction, constant: Callable[[int], float]) -> Registers | None:
    """The numbers that are compared with zero, one after the other in registers, if they are."""
    a, b = instruction.operands
    for tested, other in ((a, b), (b, a)):
        assert isinstance(tested, Registers) and isinstance(other, Registers)
        is_zero = other.stride == 0 and other.first >= CONSTANTS and constant(other.first) == 0
        if is_zero and tested.stride == 1 and tested.first < CONSTANTS:
            return tested
    return None
