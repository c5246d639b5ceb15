"""Readers and writers of each block of memory."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan, ProbePlan


class Uses:
    """The operators that read each block of memory, and those that write to it.

    An operator that accesses a part of a block counts as a user of all of it.

    Parameters
    ----------
    plan : Plan
        The plan with the operators. Probes count as readers.
    """

    def __init__(self, plan: Plan):
        self._readers: dict[Signal, list[Operator | ProbePlan]] = defaultdict(list)
        self._writers: dict[Signal, list[Operator]] = defaultdict(list)
        self._updated: set[Signal] = set()
        neurons = [op for op in plan.operators if type(op) is SimNeurons]
        self._generators = Counter(id(rng) for op in neurons for rng in op.state_extra.values())
        for operator in plan.operators:
            for signal in operator.reads:
                self._readers[signal.base].append(operator)
            for signal in (*operator.sets, *operator.incs, *operator.updates):
                self._writers[signal.base].append(operator)
            if operator.updates:
                self._updated.update(signal.base for signal in operator.updates)
        for planned in plan.probes:
            self._readers[planned.signal.base].append(planned)

    def only_reader_of(self, signal: Signal) -> Operator | ProbePlan | None:
        """The only reader of a signal, or of a part of it; None if there are others or none."""
        readers = self._readers[signal.base]
        return readers[0] if len(readers) == 1 and not signal.is_view else None

    def readers_of(self, signal: Signal) -> list[Operator | ProbePlan]:
        """All operators and probes that read a signal, or another part of its block."""
        return self._readers[signal.base]

    def is_only_writer(self, operator: Operator, signal: Signal) -> bool:
        """Whether no other operator writes to a signal, or to a part of it."""
        return self._writers[signal.base] == [operator]

    def other_writer(self, operator: Operator, signal: Signal) -> Operator | None:
        """The only other operator that writes to a signal, or to a part of it, if there is one."""
        others = [each for each in self._writers[signal.base] if each is not operator]
        return others[0] if len(others) == 1 else None

    def writers_of(self, signal: Signal) -> list[Operator]:
        """All operators that write to the base of a signal."""
        return self._writers[signal.base]

    def is_shared(self, generator: np.random.RandomState) -> bool:
        """Whether several populations draw from a generator, so that their order matters."""
        return self._generators[id(generator)] > 1

    def updaters_of(self, signal: Signal) -> list[Operator]:
        """All operators that change a signal, or a part of it, once it has been read."""
        if not self.is_updated(signal):
            return []
        writers = self._writers[signal.base]
        return [op for op in writers if any(each.base is signal.base for each in op.updates)]

    def is_updated(self, signal: Signal) -> bool:
        """Whether an operator updates a signal, or a part of it."""
        return signal.base in self._updated
