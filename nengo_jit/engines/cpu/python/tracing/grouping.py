"""Group elementwise instructions, so that they are executed together (see `blocks`).

Instructions with more than `MANY` elements are grouped if they have the same number of elements and
no instruction between them needs their results. Results that only the group reads get no registers:
they exist for one block at a time.

Instructions only move within a region, that is, between two instructions that branch, complete a
path or end it. All others do nothing but write to registers, and no register is written twice,
except by loops that accumulate, which nothing moves across.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tape_vm import MANY
from nengo_jit.engines.cpu.python.tracing.flow import Flow, target_of
from nengo_jit.engines.cpu.python.tracing.instruction import LOADS, Instruction, LoopCall
from nengo_jit.engines.cpu.python.tracing.parts import COMPARISONS, elements_of, group_of
from nengo_jit.engines.cpu.python.tracing.postponing import Bounds, Unbounded, stores_of
from nengo_jit.engines.cpu.python.tracing.reads import ELEMENTWISE, is_only_in_groups
from nengo_jit.engines.cpu.python.tracing.scattering import scattered

ENDS_REGION = {Opcode.BRANCH, Opcode.COMMIT, Opcode.RETURN, Opcode.REDO}
GROUPABLE = {*ELEMENTWISE, Opcode.SPREAD, *LOADS.values(), Opcode.PACK, Opcode.UNPACK}
GROUPABLE |= {Opcode.POSITIONS}
# If nothing reads the results
WITHOUT_EFFECT = {*LOADS.values(), Opcode.SPREAD, Opcode.GATHER, *COMPARISONS}
MOST_INPUTS = 3  # of a ufunc that is called in a group


def grouped(instructions: Sequence[Instruction], one: int) -> tuple[list[Instruction], int]:
    """Group the elementwise instructions of a tape.

    Parameters
    ----------
    instructions : sequence of Instruction
        The tape.
    one : int
        A register that has the number one.

    Returns
    -------
    list of Instruction
        The same tape with groups, and with its registers numbered anew.
    int
        How many registers it has.

    Raises
    ------
    Malformed
        If it reads a register that does not exist, or before it is written.
    """
    instructions = scattered(instructions)
    flow = Flow(instructions)
    order, starts = _ordered(instructions, flow)
    numbers = {index: i for i, item in enumerate(order) for index in item.indices if item.is_group}
    inner = {
        index
        for index, number in numbers.items()
        if index not in flow.together
        and all(numbers.get(each.reader) == number for each in flow.readings[index])
    }
    late = _postponed(order, instructions, flow, one)
    inner.update(*late.values())
    done = {store for stores in late.values() for store in stores.values()}
    registers = flow.numbered(inner)
    ends = [registers[index] + instructions[index].n for index in registers if index not in inner]
    n_registers = max(ends, default=0)
    result: list[Instruction] = []
    places: list[int] = []  # new indices of the items
    waiting: list[Instruction] = []  # groups until the path is complete
    for position, item in enumerate(order):
        places.append(len(result))
        moved = {index: flow.moved(index, registers) for index in item.indices if index not in done}
        if item.is_group:
            stores = late.get(position, {})
            whole = group_of(moved, instructions, flow, inner, stores)
            group = Instruction(Opcode.GROUP, whole.shape[0] * whole.shape[1], 0, (whole,))
            if stores:
                bounds = Bounds(moved, instructions, flow, n_registers, one)
                n_registers = bounds.n_registers
                result += bounds.code
                waiting.append(group)
            else:
                result.append(group)
            continue
        result += moved.values()
        if instructions[item.indices[0]].opcode == Opcode.COMMIT:
            result += waiting
            waiting.clear()
    for index, instruction in enumerate(result):
        target = target_of(instruction)
        if target is not None:
            operands = instruction.operands[0], places[starts[target]]
            result[index] = replace(instruction, operands=operands)
    return result, n_registers


def _postponed(
    order: Sequence[_Item], instructions: Sequence[Instruction], flow: Flow, one: int
) -> dict[int, dict[int, int]]:
    """The groups that write to memory themselves, by their place in the order, and the stores.

    There is one on a path at most: it would have to run before another one that writes to what it
    reads.
    """
    found: dict[int, dict[int, int]] = {}
    is_complete = False  # whether a path is complete that has no such group yet
    for position in reversed(range(len(order))):
        item = order[position]
        opcode = instructions[item.indices[0]].opcode
        if item.indices[0] in flow.in_place:  # what a group before it reads may be gone later
            is_complete = False
        elif not item.is_group:
            is_complete = opcode == Opcode.COMMIT or (is_complete and opcode not in ENDS_REGION)
        elif is_complete:
            stores = stores_of(item.indices, instructions, flow)
            try:
                members = {index: instructions[index] for index in item.indices}
                if stores:
                    Bounds(members, instructions, flow, 0, one)
                    found[position], is_complete = stores, False
            except Unbounded:
                pass
    return found


class _Item(NamedTuple):
    """A group, or a single instruction."""

    is_group: bool
    indices: list[int]


def _ordered(instructions: Sequence[Instruction], flow: Flow) -> tuple[list[_Item], dict[int, int]]:
    """Find the groups of a tape, and the new order.

    Returns
    -------
    list of _Item
        Groups and single instructions. What nothing reads is left out, if it has no effect.
    dict of (int, int)
        The new index of each target of a branch.
    """
    order: list[_Item] = []
    starts: dict[int, int] = {}
    targets = {target_of(instruction) for instruction in instructions}
    waiting: dict[int, list[int]] = {}  # groups by their number of elements; none reads another
    n_of: dict[int, int] = {}  # the key of the group in which an instruction waits

    def finish(n: int) -> None:
        indices = waiting.pop(n)
        for index in indices:
            del n_of[index]
        is_single = len(indices) == 1 and not is_only_in_groups(instructions[indices[0]])
        order.append(_Item(not is_single, indices))

    for index, instruction in enumerate(instructions):
        if index in targets:
            starts[index] = len(order)
        opcode = instruction.opcode
        if opcode in WITHOUT_EFFECT and not flow.readings[index]:
            continue
        joins, n = _is_groupable(instruction), elements_of(instruction)
        for definition, is_whole in flow.read[index].items():
            if definition in n_of and not (joins and is_whole and n_of[definition] == n):
                finish(n_of[definition])
        if joins:
            waiting.setdefault(n, []).append(index)
            n_of[index] = n
            continue
        if opcode in ENDS_REGION or index in flow.again or index in flow.in_place:
            for key in list(waiting):
                finish(key)
        order.append(_Item(False, [index]))
    return order, starts


def _is_groupable(instruction: Instruction) -> bool:
    if elements_of(instruction) <= MANY or instruction.positions is not None:
        return False
    if instruction.opcode not in (Opcode.LOOP, Opcode.LOOP_SHORT):
        return instruction.opcode in GROUPABLE
    (call,) = instruction.operands
    assert isinstance(call, LoopCall)
    item = 8 if instruction.opcode == Opcode.LOOP else 4  # bytes
    are_elements = call.sizes == (instruction.n,) and call.steps[-1] == item
    are_simple = all(each.stride in (0, 1) for each in call.inputs)
    return are_elements and are_simple and len(call.inputs) <= MOST_INPUTS
