"""Results that are stored only when somebody looks, since in a step nothing reads them.

In large models, a step takes as long as memory takes to deliver what the step touches. The kernel
of LIF neurons computes currents in the cache, and lists who spikes. So neither their currents nor
their outputs have to be in memory, unless something else reads them. They are computed again, from
what is in memory after the latest step, before signals are read.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.products import Strategy
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import DotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan

MANY = 16384  # neurons from which on their memory does not fit in the second level of caches


class Unstored:
    """Finds the neurons whose currents or outputs need not be stored.

    Python may look within a step, or raise, and then everything must be as after the step before.
    So all that the results are computed from is written after the last call of Python.

    Parameters
    ----------
    neurons : sequence of SimNeurons
        LIF neurons.
    level : mapping of (Operator, int)
        On which level each operator is.
    plan : Plan
        The plan that is lowered.
    facts : Facts
        Facts about the operands.
    """

    def __init__(
        self,
        neurons: Sequence[SimNeurons],
        level: Mapping[Operator, int],
        plan: Plan,
        facts: Facts,
    ):
        self._uses, self._level = facts.uses, level
        self._last = max((level[each] for each in plan.callers), default=-1)
        are_many = sum(each.J.size for each in neurons) >= MANY
        self._neurons = [each for each in neurons if are_many and level[each] > self._last]

    def currents(self, products: Mapping[Operator, DotInc]) -> Iterator[SimNeurons]:
        """Yield the neurons whose currents are the same if they are computed after the step.

        Parameters
        ----------
        products : mapping of (Operator, DotInc)
            For neurons, the product that is fused into them with a bias, if there are no terms.
            What it reads is not updated.
        """
        for each in self._neurons:
            if each in products:
                writers = self._uses.writers_of(products[each].X)
                if all(self._level[writer] > self._last for writer in writers):
                    yield each

    def outputs(
        self, listed: Container[Signal], strategies: Mapping[DotInc, Strategy]
    ) -> Iterator[SimNeurons]:
        """Yield the neurons of whose output only the lists of spikes are read, by products.

        Parameters
        ----------
        listed : container of Signal
            Outputs whose spikes are listed.
        strategies : mapping of (DotInc, Strategy)
            How products are computed.
        """
        for each in self._neurons:
            output = each.output
            if output in listed and all(
                type(reader) is DotInc
                and reader.X is output
                and strategies.get(reader) is Strategy.EVENTS
                for reader in self._uses.readers_of(output)
            ):
                yield each
