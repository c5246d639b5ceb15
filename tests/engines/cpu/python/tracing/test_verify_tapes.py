"""Tapes that are not well formed are refused."""

from dataclasses import replace

import pytest

from nengo_jit.engines.cpu.python.instructions import Mode, Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    Group,
    GroupPart,
    Instruction,
    LoopCall,
    Memory,
    Place,
    Positions,
    Registers,
    Slot,
    Sources,
    Span,
    scalar,
)
from nengo_jit.engines.cpu.python.tracing.reads import READS, Malformed
from nengo_jit.engines.cpu.python.tracing.verify import verify


def make(opcode, n=0, result=0, *operands):
    return Instruction(opcode, n, result, operands)


def loop(result, n, stride=8):
    """A loop over registers 0 and 1; the verifier does not look at the addresses."""
    call = LoopCall(1, 2, (2,), (stride, 8), (Span(0, 1, 2),))
    return make(Opcode.LOOP, n, result, call)


PLACE = Memory(64, 2)
LOAD = make(Opcode.LOAD, 2, 0, PLACE)
COMMIT = make(Opcode.COMMIT, 0, 0, PLACE)
STORE = make(Opcode.STORE, 2, PLACE, Registers(0, 1))
RETURN = make(Opcode.RETURN, 0, 0)
POSITIONS = make(Opcode.POSITIONS, 3, 2, Registers(0, 1))
STORE_AT_POSITIONS = replace(STORE, positions=Positions(2, 2))
REDO = make(Opcode.REDO, 0, 0)


def branch(target, register=0):
    return make(Opcode.BRANCH, 0, 0, scalar(register), target)


def test_tapes_that_are_well_formed():
    verify([LOAD, COMMIT, RETURN], 2, 0)
    verify([LOAD, COMMIT, STORE, RETURN], 2, 0)
    verify([LOAD, branch(3), REDO, COMMIT, STORE, RETURN], 2, 0)
    verify([LOAD, branch(4), COMMIT, RETURN, COMMIT, STORE, RETURN], 2, 0)
    verify(
        [
            LOAD,
            make(Opcode.ADD, 2, 2, Registers(0, 1), Registers(CONSTANTS + 1, -1)),
            COMMIT,
            STORE,
            RETURN,
        ],
        4,
        2,
    )
    verify([LOAD, loop(2, 2), COMMIT, STORE, RETURN], 4, 0)
    verify(
        [LOAD, make(Opcode.GATHER, 3, 2, Sources((0, CONSTANTS, 1))), COMMIT, STORE, RETURN],
        5,
        1,
    )
    verify([LOAD, make(Opcode.LOOKUP, 1, 2, PLACE, scalar(0), 2), COMMIT, STORE, RETURN], 3, 0)
    verify([LOAD, POSITIONS, COMMIT, STORE_AT_POSITIONS, RETURN], 5, 0)
    verify([MANY, group(part()), COMMIT, STORE, RETURN], 40, 0)
    stored = part(result=Place(LARGE, Mode.ELEMENTS))
    verify([MANY, make(Opcode.COMMIT, 0, 0, LARGE), group(stored), RETURN], 40, 0)


LARGE = Memory(64, 20)
MANY = make(Opcode.LOAD, 20, 0, LARGE)
IN_REGISTERS, NEW = Place(0, Mode.ELEMENTS), Place(20, Mode.ELEMENTS)


def part(opcode=Opcode.ABSOLUTE, is_checked=False, result=NEW, *operands, steps=(0, 0, 0)):
    return GroupPart(opcode, is_checked, result, operands or (IN_REGISTERS,), steps)


def group(*parts, first=(), shape=(1, 20), at_once=(1, 20), n=20):
    return make(Opcode.GROUP, n, 0, Group(shape, at_once, first, parts, 1))


SLOT = Place(Slot(0), Mode.FIXED)
NO_SUCH_SLOT = Place(Slot(1), Mode.FIXED)


@pytest.mark.parametrize(
    ("words", "tape"),
    [
        ("do not fit", [MANY, make(Opcode.ABSOLUTE, 20, 20, Registers(0, 1))]),
        ("do not fit", [MANY, make(Opcode.SPREAD, 20, 20, Registers(0, 1), 0, 20)]),
        ("do not fit", [MANY, make(Opcode.CHECK, 20, 20)]),
        ("do not fit", [MANY, group(part(), n=19)]),
        ("do not fit", [MANY, group(part(), shape=(2, 10), at_once=(2, 5))]),
        ("do not fit", [MANY, group(part(), at_once=(0, 20))]),
        ("do not fit", [MANY, group(part(Opcode.ABSOLUTE, False, NEW, SLOT))]),
        ("do not fit", [MANY, group(part(result=NO_SUCH_SLOT))]),
        ("do not fit", [MANY, group(part(Opcode.STORE))]),
        ("do not fit", [MANY, group(part(result=SLOT), first=(part(result=SLOT),))]),
        ("do not fit", [MANY, group(part(result=Place(20, Mode.NUMBER)))]),
        ("do not fit", [MANY, group(part(Opcode.LOAD, False, NEW, Place(PLACE, Mode.ELEMENTS)))]),
        ("do not fit", [MANY, group(part(Opcode.SPREAD, steps=(1, 0, 7)))]),
        ("does not exist", [MANY, group(part(result=Place(21, Mode.ELEMENTS)))]),
        ("does not exist", [MANY, group(part(Opcode.SPREAD, steps=(1, 39, 10)))]),
        ("before it is written", [MANY, group(part(Opcode.ABSOLUTE, False, NEW, NEW))]),
        (
            "before it is written",
            [MANY, group(part(Opcode.ABSOLUTE, False, NEW, Place(20, Mode.NUMBER)))],
        ),
        ("before its path", [MANY, group(part(result=Place(LARGE, Mode.ELEMENTS)))]),
        ("not compared", [MANY, COMMIT, group(part(result=Place(LARGE, Mode.ELEMENTS)))]),
        ("do not fit", [MANY, COMMIT, group(part(is_checked=True)), RETURN]),
    ],
)
def test_groups_that_are_refused(words, tape):
    with pytest.raises(Malformed, match=words):
        verify(tape, 40, 0)


def test_ways_that_have_parted_do_not_meet_again():
    """Each path must have a record of its own of how often it has been compared."""
    add = make(Opcode.ADD, 1, 2, scalar(0), scalar(1))
    jump = branch(5, CONSTANTS)
    read = make(Opcode.MOVE, 1, 0, scalar(2))
    with pytest.raises(Malformed, match="in two ways"):
        verify([LOAD, branch(4), add, jump, add, read, COMMIT, STORE, RETURN], 3, 1)
    with pytest.raises(Malformed, match="in two ways"):
        verify([LOAD, branch(3), branch(3), COMMIT, RETURN], 2, 0)


@pytest.mark.parametrize(
    ("words", "tape"),
    [
        ("has no end", []),
        ("has no end", [LOAD, COMMIT, STORE]),
        ("jumps to nowhere", [LOAD, branch(4), COMMIT, RETURN]),
        ("jumps to nowhere", [LOAD, branch(1), COMMIT, RETURN]),
        ("jumps to nowhere", [LOAD, branch(0), COMMIT, RETURN]),
        ("cannot be reached", [LOAD, COMMIT, RETURN, REDO]),
        ("cannot be reached", [LOAD, branch(5), REDO, COMMIT, STORE, RETURN]),
        ("before it is written", [COMMIT, STORE, RETURN]),
        ("before it is written", [branch(1), LOAD, COMMIT, RETURN]),
        ("before it is written", [make(Opcode.FUNCTION, 1, 0, scalar(1), 9), RETURN]),
        ("before it is written", [make(Opcode.GATHER, 1, 0, Sources((1,))), RETURN]),
        ("before it is written", [loop(0, 2), RETURN]),
        (
            "does not exist",
            [LOAD, make(Opcode.ADD, 2, 0, Registers(0, 1), Registers(1, 1)), RETURN],
        ),
        (
            "does not exist",
            [LOAD, make(Opcode.ADD, 2, 0, Registers(0, 1), Registers(0, -1)), RETURN],
        ),
        ("does not exist", [LOAD, make(Opcode.MOVE, 1, 0, scalar(CONSTANTS)), RETURN]),
        ("does not exist", [LOAD, make(Opcode.MOVE, 2, 1, Registers(0, 1)), RETURN]),
        ("does not exist", [make(Opcode.LOAD, 2, CONSTANTS, PLACE), RETURN]),
        ("do not fit", [make(Opcode.LOAD, 1, 0, PLACE), RETURN]),
        (
            "do not fit",
            [LOAD, COMMIT, make(Opcode.STORE, 1, PLACE, Registers(0, 1)), RETURN],
        ),
        ("do not fit", [LOAD, make(Opcode.ADD, 2, 0, Registers(0, 1)), RETURN]),
        ("do not fit", [LOAD, make(99, 2, 0, Registers(0, 1)), RETURN]),
        ("do not fit", [LOAD, make(Opcode.LOOKUP, 1, 0, PLACE, scalar(0), 3), RETURN]),
        ("do not fit", [LOAD, make(Opcode.LOOKUP, 1, 0, scalar(0), scalar(0), 2), RETURN]),
        ("do not fit", [LOAD, loop(0, 2, stride=16), RETURN]),
        ("do not fit", [LOAD, loop(0, 1), RETURN]),
        ("do not fit", [LOAD, make(Opcode.GATHER, 2, 0, Registers(0, 1)), RETURN]),
        ("do not fit", [LOAD, make(Opcode.LOAD, 2, 0), RETURN]),
        ("do not fit", [LOAD, make(Opcode.LOAD, 2, 0, Registers(0, 1)), RETURN]),
        ("do not fit", [LOAD, make(Opcode.LOOP, 2, 0, Registers(0, 1)), RETURN]),
        ("do not fit", [LOAD, make(Opcode.ROLL, 2, 0, Registers(0, 1)), RETURN]),
        ("do not fit", [LOAD, make(Opcode.LOOKUP, 1, 0, PLACE, scalar(0), PLACE), RETURN]),
        ("after its path is complete", [LOAD, COMMIT, STORE, REDO]),
        ("after its path is complete", [LOAD, COMMIT, STORE, LOAD, RETURN]),
        ("after its path is complete", [LOAD, COMMIT, COMMIT, STORE, RETURN]),
        ("after its path is complete", [LOAD, COMMIT, branch(3), STORE, RETURN]),
        ("before its path is complete", [LOAD, RETURN]),
        ("before its path is complete", [LOAD, STORE, RETURN]),
        (
            "not compared",
            [LOAD, COMMIT, make(Opcode.STORE, 2, Memory(128, 2), Registers(0, 1)), RETURN],
        ),
    ],
)
def test_tapes_that_are_refused(words, tape):
    with pytest.raises(Malformed, match=words):
        verify(tape, 2, 0)


def test_positions_that_a_group_lists():
    listed = GroupPart(
        Opcode.POSITIONS, False, Place(20, Mode.FIXED), (IN_REGISTERS,), steps=(20, 0, 0)
    )
    taken = Instruction(
        Opcode.TAKE, 20, 41, (Registers(0, 1), Positions(20, 20)), Positions(20, 20)
    )
    verify([MANY, group(listed), taken, COMMIT, RETURN], 61, 0)
    with pytest.raises(Malformed, match="positions that it has not"):
        verify([MANY, group(part()), group(part(result=Place(40, Mode.ELEMENTS))), taken], 61, 0)
    with pytest.raises(Malformed, match="does not exist"):
        verify([MANY, group(listed), COMMIT, RETURN], 40, 0)
    for wrong in (replace(listed, steps=(19, 0, 0)), replace(listed, result=NEW)):
        with pytest.raises(Malformed, match="do not fit"):
            verify([MANY, group(wrong), COMMIT, RETURN], 61, 0)


def test_stores_at_positions_that_are_refused():
    numbers = make(Opcode.LOAD, 3, 2, Memory(128, 3))
    with pytest.raises(Malformed, match="positions that it has not"):
        verify([LOAD, numbers, COMMIT, STORE_AT_POSITIONS, RETURN], 5, 0)
    others = replace(STORE, positions=Positions(2, 1))
    row = replace(STORE_AT_POSITIONS, operands=(Registers(0, 1), scalar(0)))
    for store in (others, row):
        with pytest.raises(Malformed, match="do not fit"):
            verify([LOAD, POSITIONS, COMMIT, store, RETURN], 5, 0)


def test_the_verifier_knows_every_opcode():
    assert set(READS) == set(Opcode)
