"""Store only the elements of an array that a tape replaces: ``weights[changed] = ...``.

The tracer loads an array as a whole and stores it as a whole. If all that happens in between is
that elements at some positions are replaced (`Opcode.PUT`), storing these elements is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.flow import Flow, Reading, target_of
from nengo_jit.engines.cpu.python.tracing.instruction import (
    LOADS,
    STORES,
    Instruction,
    Positions,
    Registers,
)


def scattered(instructions: Sequence[Instruction]) -> Sequence[Instruction]:
    """Replace stores of whole arrays by stores of the elements that have changed.

    Parameters
    ----------
    instructions : sequence of Instruction
        The tape.

    Returns
    -------
    sequence of Instruction
        The same tape, which stores less.

    Raises
    ------
    Malformed
        If it reads a register that does not exist, or before it is written.
    """
    if all(each.opcode != Opcode.PUT for each in instructions):
        return instructions
    flow = Flow(instructions)
    stores: dict[int, list[Instruction]] = {}  # by the store that they replace
    gone: dict[int, int] = {}  # how many readers of an instruction are gone
    for index in reversed(range(len(instructions))):
        instruction = instructions[index]
        if instruction.opcode == Opcode.PUT and gone.get(index) == len(flow.readings[index]):
            stores[index] = []
        elif instruction.opcode in STORES.values() and len(instruction.operands) == 1:
            puts = _puts(index, instructions, flow)
            if not puts:
                continue
            stores[index] = [_store_of(instruction, instructions[each]) for each in reversed(puts)]
        else:
            continue
        source = _whole(index, instructions, flow)
        if source is not None:
            gone[source] = gone.get(source, 0) + 1
    result: list[Instruction] = []
    places: list[int] = []  # new indices
    for index, instruction in enumerate(instructions):
        places.append(len(result))
        result += stores.get(index, [instruction])
    for index, instruction in enumerate(result):
        target = target_of(instruction)
        if target is not None:
            result[index] = replace(instruction, operands=(instruction.operands[0], places[target]))
    return result


def _store_of(store: Instruction, put: Instruction) -> Instruction:
    """What stores the elements that a `PUT` replaces."""
    _, values, positions = put.operands
    assert isinstance(positions, Positions)
    return replace(store, operands=(values,), positions=positions)


def _puts(store: int, instructions: Sequence[Instruction], flow: Flow) -> list[int]:
    """The instructions that replace elements of an array, the last one first.

    Empty if the array is not the one that is stored to, or if it is changed in other ways.
    """
    puts: list[int] = []
    memory = instructions[store].result
    index = _whole(store, instructions, flow)
    while index is not None and instructions[index].opcode == Opcode.PUT:
        puts.append(index)
        index = _whole(index, instructions, flow)
    if index is None or instructions[index].opcode not in LOADS.values():
        return []
    return puts if instructions[index].operands == (memory,) else []


def _whole(index: int, instructions: Sequence[Instruction], flow: Flow) -> int | None:
    """The instruction whose results, all of them in order, are a first operand."""
    first = instructions[index].operands[0]
    assert isinstance(first, Registers)
    source = flow.source(index, first.first)
    if source is None or source in flow.together:
        return None
    return source if flow.readings[source].count(Reading(index, True)) == 1 else None
