"""The C function around kernels: loops over tables, statuses, and how LLVM is to compile it."""

import numpy as np
import pytest

from nengo_jit.engines.cpu.language.columns import Own
from nengo_jit.engines.cpu.language.kernel import kernel, routine, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    FLOAT64,
    PRECISIONS,
    Address,
    Memory,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.toolchain import compiler
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import WIDEST
from nengo_jit.engines.cpu.toolchain.wrapper import ENTRY as NAME


@kernel()
def stopping(memory: Memory, counts: Address, number: int) -> int:
    """Count, and stop the table unless the number is zero."""
    vector(memory, counts, 1)[0] += 1
    return number


@kernel()
def counting(memory: Memory, counts: Own, size: int) -> None:
    """Count, in so many places."""
    use_widest_vectors()
    places = vector(memory, counts, size)
    for i in range(size):
        places[i] += 1


def count_all(memory, rows):
    """As `counting`, by one more for each row."""
    for r in range(rows.size):
        places = vector(memory, rows[r].counts, rows[r].size)
        for i in range(places.size):
            places[i] += 1 + r


@kernel(loop=count_all)
def counting_in_a_loop(memory: Memory, size: int, counts: Own) -> None:
    """Count, in so many places, by one more for each row."""


@routine()
def negating(memory, address):
    """What is given, negated."""
    return -address


def run(code, address, dtype=FLOAT64):
    return ENTRY(address_of(code, dtype))(None, address)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize(
    "used, expected",
    [(counting, [1, 1, 2, 2, 1, 0]), (counting_in_a_loop, [1, 1, 4, 4, 3, 0])],
    ids=["row by row", "all rows"],
)
def test_every_row_is_worked_on(used, expected, dtype):
    counts = np.zeros(6, dtype)
    sizes = (0, 4), (0, 0), (2, 3)
    table = table_of(used.row(counts=start(counts[first:]), size=n) for first, n in sizes)
    assert run(used, start(table), dtype) == 0
    assert counts.tolist() == expected
    assert run(used, start(table_of([])), dtype) == 0
    assert counts.tolist() == expected


@pytest.mark.parametrize(
    "numbers, status, n_done",
    [([], 0, 0), ([0], 0, 1), ([0, 0, 0], 0, 3), ([0, 7, 0], 7, 2), ([-1, 7], -1, 1)],
)
def test_a_status_ends_the_loop(numbers, status, n_done):
    counts = np.zeros(1)
    table = table_of(stopping.row(counts=start(counts), number=number) for number in numbers)
    assert run(stopping, start(table)) == status
    assert counts[0] == n_done


def test_routines_are_given_an_address_as_it_is():
    assert run(negating, 5) == -5


@pytest.mark.parametrize("used, is_wide", [(counting, True), (stopping, False)])
def test_llvm_may_use_vectors_as_wide_as_kernels_ask_for(used, is_wide, monkeypatch):
    """The kernel's function is inlined: what counts is what is known of the one around it."""
    attributes = []

    def look(module):
        attributes.extend(module.get_function(NAME).attributes)
        return b""

    monkeypatch.setattr(compiler, "_optimised", look)
    compiler.compile_kernel(used.code, used.signature, FLOAT64, set())
    assert any(WIDEST in each.decode() for each in attributes) == is_wide
