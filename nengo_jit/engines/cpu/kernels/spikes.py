"""Kernels for spikes as events: which neurons spiked in a step, as flags and as lists.

Readers of the output of spiking neurons can then skip neurons that did not spike. The neurons'
kernel, or `flag_spikes`, sets a flag for each neuron; `list_spikes` turns the flags of a population
into a list.
"""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nengo_jit.engines.cpu.language.columns import BytesOf, Count, Factor, Out, Own
from nengo_jit.engines.cpu.language.kernel import kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    can_compress,
    ctz,
    helper,
    int64s,
    list_bits,
    movemask,
    popcount,
    uint8s,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering
from nengo_jit.engines.cpu.program.populations import BLOCK, Population

AT_ONCE = 8  # flags that are listed between checks for more


@helper(forceinline=True)
def list_flags(flags, n, listed):
    """List the indices of set flags among ``n`` bytes at an address; return their number.

    `BLOCK` bytes after the flags must be readable, and as many numbers after the list writable.
    """
    count = 0
    for block in range(0, n, BLOCK):
        bits = movemask(flags + block)
        if n - block < BLOCK:
            bits &= (1 << (n - block)) - 1
        if can_compress():
            list_bits(bits, block, listed + 8 * count)
        else:
            list_bits_in_turn(bits, block, listed + 8 * count)
        count += popcount(bits)
    return count


@helper(forceinline=True)
def list_bits_in_turn(bits, first, address):
    """Do what `list_bits` does, on processors that cannot compress vectors."""
    listed = int64s(address, BLOCK)
    k = 0
    while bits != 0:
        for i in range(k, k + AT_ONCE):
            listed[np.uint64(i)] = first + ctz(bits)
            bits &= bits - 1
        k += AT_ONCE


@kernel(stage=1)
def flag_spikes(memory: Memory, output: Out, flags: BytesOf, n: Count) -> None:
    """Flag the nonzero elements of an output."""
    use_widest_vectors()
    heights, are_set = vector(memory, output, n), uint8s(flags, n)
    for i in range(n):
        are_set[i] = heights[i] != 0


@kernel(cost=0.2, stage=2)
def list_spikes(memory: Memory, flags: Address, size: Factor, events: Own) -> None:
    """List the neurons whose flags are set: a count, then their indices."""
    int64s(events, 1)[0] = list_flags(flags, size, events + 8)


def listing(flags: Address, lists: Iterable[Population]) -> Lowered:
    """Return the rows that list the spikes of populations, by one flag (a byte) per neuron."""
    return [
        list_spikes.row(flags=offset(flags, first), size=size, events=listed)
        for first, size, listed in lists
    ]


def search(output: np.ndarray, lowering: Lowering) -> tuple[Lowered, Sequence[Population]]:
    """Rows that look for spikes when they are used, and where they list them.

    For an output that somebody may have changed. What reads the lists has a stage of 3.
    """
    flags = start(lowering.arena.buffer(output.size + BLOCK, np.uint8))
    lists = lowering.populations.lists_for(output.size)
    flagging = flag_spikes.row(output=start(output), flags=flags, n=output.size)
    return [flagging, *listing(flags, lists)], lists
