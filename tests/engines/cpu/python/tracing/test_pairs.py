"""Two parts of a group become one only if that changes no result."""

import pytest

from nengo_jit.engines.cpu.language.operations import Operation
from nengo_jit.engines.cpu.python.instructions import Mode, Opcode
from nengo_jit.engines.cpu.python.tracing.instruction import GroupPart, Place, Slot
from nengo_jit.engines.cpu.python.tracing.pairs import joined, operation_of

A, B, C, D, OUT = (Place(100 * i, Mode.ELEMENTS) for i in range(5))
X, Y = (Place(Slot(i), Mode.FIXED) for i in range(2))


def part(opcode, result, *operands, is_checked=False, is_rounded=False):
    return GroupPart(opcode, is_checked, result, operands, is_rounded=is_rounded)


def test_a_difference_and_a_product_are_one_pass():
    first = part(Opcode.SUBTRACT, X, A, B)
    for operands in ((X, C), (C, X)):
        (pair,) = joined([first, part(Opcode.MULTIPLY, OUT, *operands, is_checked=True)])
        assert operation_of(pair) == Operation.SUBTRACT_MULTIPLY
        assert (pair.operands, pair.result, pair.is_checked) == ((A, B, C), OUT, True)


def test_a_mask_of_rounded_numbers():
    then = part(Opcode.MULTIPLY, OUT, C, X, is_rounded=True)
    (pair,) = joined([part(Opcode.LESS, X, A, B), then])
    assert operation_of(pair) == Operation.LESS_MULTIPLY_SHORT


@pytest.mark.parametrize("opcode", [Opcode.ADD, Opcode.SUBTRACT, Opcode.MULTIPLY])
@pytest.mark.parametrize("suffix", ["", "_SHORT"])
def test_a_change_of_selected_elements_is_one_pass(opcode, suffix):
    changed = part(opcode, X, A, B, is_checked=True, is_rounded=bool(suffix))
    (pair,) = joined([changed, part(Opcode.SELECT, OUT, X, A, C)])
    assert operation_of(pair) == Operation[f"{opcode.name}_SELECT{suffix}"]
    assert (pair.operands, pair.result, pair.is_checked) == ((A, B, C), OUT, True)
    for operands in ((X, D, C), (A, X, C), (X, A, X)):
        parts = changed, part(Opcode.SELECT, OUT, *operands)
        assert joined(parts) == parts


def test_two_limits_are_one_pass():
    first, then = part(Opcode.AT_LEAST, X, A, B), part(Opcode.AT_MOST, OUT, X, C)
    (pair,) = joined([first, then])
    assert operation_of(pair) == Operation.AT_LEAST_AT_MOST
    assert (pair.operands, pair.result) == ((A, B, C), OUT)
    swapped = first, part(Opcode.AT_MOST, OUT, C, X)
    assert joined(swapped) == swapped  # zeros of which sign there are depends on the order


def test_parts_that_stay_apart():
    less, product = part(Opcode.LESS, X, A, B), part(Opcode.MULTIPLY, OUT, C, X)
    sum_of_two = part(Opcode.ADD, X, A, B)
    for parts in (
        [less, product, part(Opcode.NOT, D, X)],  # something else reads the first results
        [part(Opcode.LESS, D, A, B), part(Opcode.MULTIPLY, OUT, C, D)],  # they are kept
        [part(Opcode.SUBTRACT, X, A, B, is_checked=True), product],  # they are checked
        [part(Opcode.SUBTRACT, X, A, B, is_rounded=True), product],  # one is rounded
        [part(Opcode.LESS, X, Y, B), part(Opcode.MOVE, Y, C), product],  # operands are gone
        [part(Opcode.MULTIPLY, X, A, B), part(Opcode.MULTIPLY, OUT, X, X)],  # read twice
        [sum_of_two, product],  # no operation does both
    ):
        assert joined(parts) == tuple(parts)


def test_the_next_results_in_the_same_slot():
    parts = [
        part(Opcode.LESS, X, A, B),
        part(Opcode.MULTIPLY, X, C, X),
        part(Opcode.NOT, OUT, X),
    ]
    pair, last = joined(parts)
    assert operation_of(pair) == Operation.LESS_MULTIPLY and pair.result == X
    assert last == parts[2]
