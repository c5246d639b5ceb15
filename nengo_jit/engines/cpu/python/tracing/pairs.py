"""Join parts of a group in pairs, so that results between them stay in the processor's registers.

Each part is a pass over the block. If a part's results are read by one other part only, and there
is an `Operation` that does what both do, that other part does it: `rate * (a - b)` is one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nengo_jit.engines.cpu.language.operations import Operation
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import GroupPart, Slot

COMPARISONS = {Opcode.LESS, Opcode.LESS_EQUAL}
FIRST = {*COMPARISONS, Opcode.ADD, Opcode.SUBTRACT, Opcode.MULTIPLY, Opcode.AT_LEAST}
CHANGES = {Opcode.ADD, Opcode.SUBTRACT, Opcode.MULTIPLY}  # if selected
COMMUTATIVE = {Opcode.ADD, Opcode.MULTIPLY}


def joined(parts: Sequence[GroupPart]) -> tuple[GroupPart, ...]:
    """Join parts that are executed for each block, where that is possible."""
    result = list(parts)
    position = 0
    while position < len(result):
        reader = _only_reader(result, position)
        pair = None if reader is None else _pair(result[position], result[reader])
        if reader is None or pair is None:
            position += 1
        else:
            result[reader] = pair
            del result[position]
    return tuple(result)


def _only_reader(parts: Sequence[GroupPart], position: int) -> int | None:
    """The one part that reads a part's results, if what that part reads is unchanged until then."""
    part = parts[position]
    slot, found = part.result, None
    if not isinstance(slot.start, Slot):
        return None
    operands = {each.start for each in part.operands}
    are_unchanged = True
    for index in range(position + 1, len(parts)):
        other = parts[index]
        if slot in other.operands:
            if found is not None or not are_unchanged:
                return None
            found = index
        if other.opcode != Opcode.CHECK and other.result.start in operands:
            are_unchanged = False
        if other.result == slot:
            break
    return found


def _pair(first: GroupPart, then: GroupPart) -> GroupPart | None:
    """A part that does what two do; None if there is no operation for it."""
    if then.opcode == Opcode.SELECT:
        return _selected(first, then)
    others = [each for each in then.operands if each != first.result]
    is_in_order = then.opcode in COMMUTATIVE or then.operands[0] == first.result
    can_join = first.opcode in FIRST and is_in_order and len(others) == 1
    is_rounded_alike = first.opcode in COMPARISONS or first.is_rounded == then.is_rounded
    if first.is_checked or first.then or then.then or not (can_join and is_rounded_alike):
        return None
    if f"{first.opcode.name}_{then.opcode.name}" not in Operation.__members__:
        return None
    operands = *first.operands, *others
    return replace(then, opcode=first.opcode, then=then.opcode, operands=operands)


def _selected(first: GroupPart, then: GroupPart) -> GroupPart | None:
    """A part that changes elements where a condition holds; None if no operation does that."""
    result, rest, condition = then.operands
    is_changed = result == first.result and rest == first.operands[0] and condition != result
    if first.then or then.then or not (is_changed and first.opcode in CHANGES):
        return None
    return replace(
        first, then=then.opcode, result=then.result, operands=(*first.operands, condition)
    )


def operation_of(part: GroupPart) -> int:
    """The `Operation` that carries out a part; negative if there is none."""
    name = part.opcode.name
    if part.then is not None:
        name += f"_{part.then.name}"
    if part.is_rounded:
        name += "_SHORT"
    return OPERATIONS.get(name, -1)


OPERATIONS = {
    **Operation.__members__,
    "LOAD": Operation.MOVE,
    "LOAD_SHORT": Operation.WIDEN,
    "UNPACK": Operation.WIDEN,
    "PACK": Operation.NARROW,
}
