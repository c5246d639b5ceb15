"""Spikes as lists: for outputs of any size, with any number of spikes."""

import numpy as np
import pytest

from nengo_jit.builder.signal import aligned_block
from nengo_jit.engines.cpu.kernels.spikes import BLOCK, flag_spikes, list_bits_in_turn, list_spikes
from nengo_jit.engines.cpu.language.kernel import kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    PRECISIONS,
    Address,
    Memory,
    list_bits,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of

either_precision = pytest.mark.parametrize("dtype", PRECISIONS, ids=str)


def run(row, dtype):
    table = table_of([row])
    assert ENTRY(address_of(row.kernel, dtype))(None, start(table)) == 0


def listed(output):
    """What both kernels together say of an output."""
    n = output.size
    flags = aligned_block(n + BLOCK)
    flags[...] = 1  # those that come after the last must not count
    run(flag_spikes.row(output=start(output), flags=start(flags), n=n), output.dtype)
    events = np.full(1 + n + BLOCK, -1, np.int64)
    run(list_spikes.row(flags=start(flags), size=n, events=start(events)), output.dtype)
    return events[1 : 1 + events[0]]


@either_precision
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 300])
def test_lists_what_is_not_zero(n, share, dtype):
    rng = np.random.RandomState(n)
    output = np.where(rng.uniform(size=n) < share, rng.choice([-1.0, 1000.0], n), 0.0)
    output = output.astype(dtype)
    np.testing.assert_array_equal(listed(output), np.flatnonzero(output))


@either_precision
def test_what_is_not_a_number_counts(dtype):
    output = np.zeros(70, dtype)
    output[[3, 69]] = np.nan, np.inf
    np.testing.assert_array_equal(listed(output), [3, 69])


@kernel()
def list_both_ways(
    memory: Memory, bits: int, first: int, at_once: Address, in_turn: Address
) -> None:
    """List bits in two places, with something added to their numbers."""
    list_bits(bits, first, at_once)
    list_bits_in_turn(bits, first, in_turn)


@pytest.mark.parametrize("n_bits", [0, 1, 8, 9, 16, 17, 40, 63, 64])
def test_bits_are_listed_on_any_processor(n_bits):
    """By compressing vectors and in turn, which are two ways to the same list."""
    rng = np.random.RandomState(n_bits)
    expected = np.sort(rng.permutation(64)[:n_bits]) + 320
    flags = np.zeros(64, np.uint8)
    flags[expected - 320] = 1
    (bits,) = np.packbits(flags, bitorder="little").view(np.int64)
    lists = np.full((2, 64), -1)
    at_once, in_turn = map(start, lists)
    row = list_both_ways.row(bits=int(bits), first=320, at_once=at_once, in_turn=in_turn)
    run(row, np.dtype(np.float64))
    for each in lists:
        np.testing.assert_array_equal(each[:n_bits], expected)
