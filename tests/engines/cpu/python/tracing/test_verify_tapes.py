"""Tapes that are not well formed are refused."""

import numpy as np
import pytest

from nengo_jit.engines.cpu.python import tape_vm as op
from nengo_jit.engines.cpu.python.tracing.tape import Memory
from nengo_jit.engines.cpu.python.tracing.verify import CONSTANTS, Malformed, verify

PLACE = Memory(64, 2)
LOAD = [op.LOAD, 2, 0, PLACE]
COMMIT = [op.COMMIT, 0, 0, PLACE]
STORE = [op.STORE, 2, PLACE, (0, 1)]
RETURN = [op.RETURN, 0, 0]
REDO = [op.REDO, 0, 0]
LOOP = (1, 2)  # addresses, which nobody looks at here


def branch(target, register=0):
    return [op.BRANCH, target, 0, (register, 0)]


def test_tapes_that_are_well_formed():
    verify([LOAD, COMMIT, RETURN], 2, 0)
    verify([LOAD, COMMIT, STORE, RETURN], 2, 0)
    verify([LOAD, branch(3), REDO, COMMIT, STORE, RETURN], 2, 0)
    verify([LOAD, branch(4), COMMIT, RETURN, COMMIT, STORE, RETURN], 2, 0)
    verify([LOAD, [op.ADD, 2, 2, (0, 1), (CONSTANTS + 1, -1)], COMMIT, STORE, RETURN], 4, 2)
    verify([LOAD, [op.LOOP, 2, 2, LOOP, (2,), (8, 8), (0, 1, 2)], COMMIT, STORE, RETURN], 4, 0)
    verify([LOAD, [op.GATHER, 3, 2, [0, CONSTANTS, 1]], COMMIT, STORE, RETURN], 5, 1)
    verify([LOAD, [op.LOOKUP, 1, 2, PLACE, (0, 0), 2], COMMIT, STORE, RETURN], 3, 0)
    many = [op.LOAD, 20, 0, Memory(64, 20)]
    verify([many, [op.LESS, 20, 20, (0, 1), (0, 1)], COMMIT, STORE, RETURN], 40, 0)


def test_ways_that_have_parted_do_not_meet_again():
    """Each path must have a record of its own of how often it has been compared."""
    add = [op.ADD, 1, 2, (0, 0), (1, 0)]
    jump = branch(5, CONSTANTS)
    read = [op.MOVE, 1, 0, (2, 0)]
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
        ("before it is written", [[op.FUNCTION, 1, 0, (1, 0), 9], RETURN]),
        ("before it is written", [[op.GATHER, 1, 0, [1]], RETURN]),
        ("before it is written", [[op.LOOP, 2, 0, LOOP, (2,), (8, 8), (0, 1, 2)], RETURN]),
        ("does not exist", [LOAD, [op.ADD, 2, 0, (0, 1), (1, 1)], RETURN]),
        ("does not exist", [LOAD, [op.ADD, 2, 0, (0, 1), (0, -1)], RETURN]),
        ("does not exist", [LOAD, [op.MOVE, 1, 0, (CONSTANTS, 0)], RETURN]),
        ("does not exist", [LOAD, [op.MOVE, 2, 1, (0, 1)], RETURN]),
        ("does not exist", [[op.LOAD, 2, CONSTANTS, PLACE], RETURN]),
        ("do not fit", [[op.LOAD, 1, 0, PLACE], RETURN]),
        ("do not fit", [LOAD, COMMIT, [op.STORE, 1, PLACE, (0, 1)], RETURN]),
        ("do not fit", [LOAD, [op.ADD, 2, 0, (0, 1)], RETURN]),
        ("do not fit", [LOAD, [99, 2, 0, (0, 1)], RETURN]),
        ("do not fit", [LOAD, [op.LOOKUP, 1, 0, PLACE, (0, 0), 3], RETURN]),
        ("do not fit", [LOAD, [op.LOOKUP, 1, 0, (0, 0), (0, 0), 2], RETURN]),
        ("do not fit", [LOAD, [op.LOOP, 2, 0, LOOP, (2,), (16, 8), (0, 1, 2)], RETURN]),
        ("do not fit", [LOAD, [op.LOOP, 1, 0, LOOP, (2,), (8, 8), (0, 1, 2)], RETURN]),
        ("after its path is complete", [LOAD, COMMIT, STORE, REDO]),
        ("after its path is complete", [LOAD, COMMIT, STORE, LOAD, RETURN]),
        ("after its path is complete", [LOAD, COMMIT, COMMIT, STORE, RETURN]),
        ("after its path is complete", [LOAD, COMMIT, branch(3), STORE, RETURN]),
        ("before its path is complete", [LOAD, RETURN]),
        ("before its path is complete", [LOAD, STORE, RETURN]),
        ("not compared", [LOAD, COMMIT, [op.STORE, 2, Memory(128, 2), (0, 1)], RETURN]),
    ],
)
def test_tapes_that_are_refused(words, tape):
    with pytest.raises(Malformed, match=words):
        verify(tape, 2, 0)


def test_operands_of_large_comparisons_must_be_side_by_side():
    load = [op.LOAD, 40, 0, Memory(64, 40)]
    less = [op.LESS, 20, 40, (0, 2), (0, 1)]
    with pytest.raises(Malformed, match="do not fit"):
        verify([load, less, RETURN], 60, 0)


def test_what_would_be_malformed_stays_in_python(run_function, monkeypatch):
    def write(self, operation, n, result, *operands):
        self._instructions.append([operation, n + 1, result, *operands])

    monkeypatch.setattr("nengo_jit.engines.cpu.python.tracing.tape.Writer.write", write)
    assert "malformed" in run_function(lambda t, x: x, np.ones((3, 2)), 2)
