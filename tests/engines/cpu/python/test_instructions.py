"""The layout of tapes, which the writer and the kernels share."""

import pytest

from nengo_jit.engines.cpu.python.instructions import WIDTH, Field, Head, Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import LOADS, STORES


def between(first, last):
    return {each for each in Opcode if first <= each <= last}


def test_opcodes_that_kernels_handle_together_are_adjacent():
    """Kernels compare opcodes with the first and the last of a range."""
    assert between(Opcode.LOAD, Opcode.LOAD_BOOLEANS) == set(LOADS.values())
    assert between(Opcode.STORE, Opcode.STORE_BOOLEANS) == set(STORES.values())
    control = {Opcode.RETURN, Opcode.REDO, Opcode.BRANCH, Opcode.COMMIT}
    assert between(Opcode.RETURN, Opcode.COMMIT) == control
    assert between(Opcode.GATHER, Opcode.ROLL) == {Opcode.GATHER, Opcode.LOOKUP, Opcode.ROLL}
    assert [*Opcode] == [*range(len(Opcode))]


@pytest.mark.parametrize(
    "fields",
    [
        [Field.A, Field.A_STRIDE, Field.B, Field.B_STRIDE, Field.C, Field.C_STRIDE],
        [Field.A, Field.TARGET],
        [Field.A, Field.FUNCTION],
        [Field.A, Field.B, Field.FUNCTION_OF_TWO],
        [Field.LOOP, Field.ARGUMENTS, Field.SIZES, Field.STEPS, Field.DATA],
        [Field.A, Field.A_STRIDE, Field.SHADOW],
        [Field.A, Field.B, Field.N_ROWS],
    ],
)
def test_fields_of_an_instruction_do_not_overlap(fields):
    every = [Field.OPCODE, Field.N, Field.RESULT, *fields]
    assert len(set(every)) == len(every)
    assert max(every) < WIDTH


def test_fields_of_the_end_of_a_path_do_not_overlap():
    fields = [Field.OPCODE, Field.COUNTDOWN, Field.N_EQUAL, Field.N_SPANS, Field.SPANS]
    assert len(set(fields)) == len(fields)


def test_the_head_fits_in_the_place_of_an_instruction():
    assert [*Head] == [*range(len(Head))]
    assert len(Head) <= WIDTH
