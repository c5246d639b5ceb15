"""Who reads and who writes each block of memory."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan


class Uses:
    """For each block of memory the operators that read it and those that write to it.

    Whoever touches a part of a block counts as a user of all of it.

    Parameters
    ----------
    plan : Plan
        Whose operators are looked at. Probes count as readers.
    """

    def __init__(self, plan: Plan):
        self._readers: dict[Signal, list[Any]] = defaultdict(list)
        self._writers: dict[Signal, list[Any]] = defaultdict(list)
        self._updated: set[Signal] = set()
        for operator in plan.operators:
            for signal in operator.reads:
                self._readers[signal.base].append(operator)
            for signal in (*operator.sets, *operator.incs, *operator.updates):
                self._writers[signal.base].append(operator)
            self._updated.update(signal.base for signal in operator.updates)
        for planned in plan.probes:
            self._readers[planned.signal.base].append(planned)

    def only_reader_of(self, signal: Signal) -> Any:
        """The only operator that reads a signal, or a part of it; None if there are others."""
        readers = self._readers[signal.base]
        return readers[0] if len(readers) == 1 and not signal.is_view else None

    def is_only_writer(self, operator: Any, signal: Signal) -> bool:
        """Whether no other operator writes to a signal, or to a part of it."""
        return self._writers[signal.base] == [operator]

    def other_writer(self, operator: Any, signal: Signal) -> Any:
        """The only other operator that writes to a signal, or to a part of it; None if none is."""
        others = [each for each in self._writers[signal.base] if each is not operator]
        return others[0] if len(others) == 1 else None

    def writers_of(self, signal: Signal) -> list[Any]:
        """All operators that write to a signal, or to another part of what it is a part of."""
        return self._writers[signal.base]

    def updaters_of(self, signal: Signal) -> list[Any]:
        """All operators that change a signal, or a part of it, once it has been read."""
        if not self.is_updated(signal):
            return []
        writers = self._writers[signal.base]
        return [op for op in writers if any(each.base is signal.base for each in op.updates)]

    def is_updated(self, signal: Signal) -> bool:
        """Whether an operator changes a signal, or a part of it, once it has been read."""
        return signal.base in self._updated
