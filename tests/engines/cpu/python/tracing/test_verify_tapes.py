"""Tapes that are not well formed are refused."""

from dataclasses import replace

import numpy as np
import pytest

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    Instruction,
    LoopCall,
    Memory,
    Registers,
    Sources,
    Span,
    scalar,
)
from nengo_jit.engines.cpu.python.tracing.verify import READS, Malformed, verify


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
    many = make(Opcode.LOAD, 20, 0, Memory(64, 20))
    verify(
        [
            many,
            make(Opcode.LESS, 20, 20, Registers(0, 1), Registers(0, 1)),
            COMMIT,
            STORE,
            RETURN,
        ],
        40,
        0,
    )


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


def test_the_verifier_knows_every_opcode():
    assert set(READS) == set(Opcode)


def test_operands_of_large_comparisons_must_be_side_by_side():
    load = make(Opcode.LOAD, 40, 0, Memory(64, 40))
    less = make(Opcode.LESS, 20, 40, Registers(0, 2), Registers(0, 1))
    with pytest.raises(Malformed, match="do not fit"):
        verify([load, less, RETURN], 60, 0)


def test_what_would_be_malformed_stays_in_python(run_function, monkeypatch):
    def write(self, instruction):
        self._instructions.append(replace(instruction, n=instruction.n + 1))

    monkeypatch.setattr("nengo_jit.engines.cpu.python.tracing.tape.Writer.write", write)
    assert "malformed" in run_function(lambda t, x: x, np.ones((3, 2)), 2)
