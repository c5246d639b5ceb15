"""Kernels for spikes as events: which neurons spiked in a step, as flags and as lists.

What reads the output of spiking neurons need not look at those that did not spike. The neurons'
kernel, or `flag_spikes`, sets a flag for each neuron, and `list_spikes` makes lists of them, one
for each population.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nengo_jit.engines.cpu.language.kernel import (
    Address,
    BytesOf,
    Count,
    Factor,
    Out,
    Own,
    kernel,
    offset,
    start,
)
from nengo_jit.engines.cpu.language.primitives import (
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

AT_ONCE = 8  # flags that are listed before looking whether there are as many


@helper(forceinline=True)
def list_flags(flags, n, listed):
    """List which of ``n`` flags, bytes at an address, are set; returns how many.

    The flags must be followed by `BLOCK` bytes that can be read, and the list, at an address, by
    as many numbers that can be overwritten.
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
    """What `list_bits` does, for processors that cannot compress vectors."""
    listed = int64s(address, BLOCK)
    k = 0
    while bits != 0:
        for i in range(k, k + AT_ONCE):
            listed[np.uint64(i)] = first + ctz(bits)
            bits &= bits - 1
        k += AT_ONCE


@kernel(stage=1)
def flag_spikes(memory: Memory, output: Out, flags: BytesOf, n: Count) -> None:
    """Flag the elements of an output that are not zero."""
    use_widest_vectors()
    heights, are_set = vector(memory, output, n), uint8s(flags, n)
    for i in range(n):
        are_set[i] = heights[i] != 0


@kernel(cost=0.2, stage=2)
def list_spikes(memory: Memory, flags: Address, size: Factor, events: Own) -> None:
    """List the neurons that spiked: a count and their numbers, by a flag for each neuron."""
    int64s(events, 1)[0] = list_flags(flags, size, events + 8)


def listing(flags: Address, lists: Iterable[Population]) -> Lowered:
    """Rows that list spikes by their flags, one byte for each neuron."""
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
