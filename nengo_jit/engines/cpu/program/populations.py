"""Spikes as events: where kernels flag and list those neurons that spiked in a step."""

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

BLOCK = 64  # flags that make one integer, and bytes after the last one, which kernels may read
POPULATION = 2048  # neurons of one signal whose spikes are listed together

Population = tuple[int, int, Address]
"""The first neuron, the number of neurons, and the address of their list: a count and indices."""


class Populations:
    """Memory for the spikes of all neurons.

    Parameters
    ----------
    plan : Plan
        What is lowered.
    facts : Facts
        Where outputs lie: flags are in the same order, so that neighbours stay neighbours.
    arena : Arena
        What gives the memory.

    Attributes
    ----------
    flags : dict of (Signal, Address)
        For each output of neurons, where there is a byte for each of them.
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
        """Where spikes of neurons with some output are listed, population by population."""
        if output not in self._lists:
            self._lists[output] = self.lists_for(output.size)
        return self._lists[output]

    def lists_for(self, n: int) -> Sequence[Population]:
        """Memory for more lists of the spikes of ``n`` neurons.

        Each list is for so many neurons at a time that caches hold their columns of weights.
        """
        sizes = ((first, min(POPULATION, n - first)) for first in range(0, n, POPULATION))
        return [(first, size, start(self._arena.buffer(1 + size + BLOCK))) for first, size in sizes]

    def finish(self) -> None:
        """Forget what only lowering needs."""
        self._lists.clear()
        self.flags.clear()
