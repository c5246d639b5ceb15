"""Memory in which kernels flag and list the neurons that spiked in a step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from nengo_jit.engines.cpu.language.kernel import offset, start
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.arena import Arena
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan

BLOCK = 64  # flags that are read at once, and so the padding after the last one (bytes)
POPULATION = 2048  # maximum number of neurons in a list

Population = tuple[int, int, Address]
"""First neuron, number of neurons, and address of their list: a count, then indices."""


class Populations:
    """Flags and lists of the spikes of all neurons.

    Parameters
    ----------
    plan : Plan
        The plan that is lowered.
    facts : Facts
        Has the addresses of outputs: flags are in the same order, so that rows can be joined.
    arena : Arena
        Allocates the memory.

    Attributes
    ----------
    flags : dict of (Signal, Address)
        Address of the flags of each output of neurons, one byte for each neuron.
    """

    def __init__(self, plan: Plan, facts: Facts, arena: Arena):
        neurons = [op for op in plan.operators if type(op) is SimNeurons]
        outputs = [op.output for op in neurons if not op.output.sparse]
        outputs.sort(key=facts.address)
        ends = list(accumulate((output.size for output in outputs), initial=BLOCK))
        flags = start(arena.buffer(ends[-1], np.uint8))
        self.flags = {output: offset(flags, end - BLOCK) for output, end in zip(outputs, ends)}
        self._lists: dict[Signal, Sequence[Population]] = {}
        self._arena = arena

    def lists_of(self, output: Signal) -> Sequence[Population]:
        """Lists of the spikes of an output of neurons, population by population."""
        if output not in self._lists:
            self._lists[output] = self.lists_for(output.size)
        return self._lists[output]

    def lists_for(self, n: int) -> Sequence[Population]:
        """Allocate lists of the spikes of ``n`` neurons.

        Populations are small enough for the processor's cache to hold their columns of weights.
        """
        sizes = ((first, min(POPULATION, n - first)) for first in range(0, n, POPULATION))
        return [(first, size, start(self._arena.buffer(1 + size + BLOCK))) for first, size in sizes]

    def finish(self) -> None:
        """Free what only lowering needs."""
        self._lists.clear()
        self.flags.clear()
