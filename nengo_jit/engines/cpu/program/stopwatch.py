"""Timed programs: between any two kernels of a step, the time is read.

A timed program is the program for one thread, with a row of `stamp` after each kernel and each
callback. It is only made while steps are timed, so other programs are not slower for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Kernel, kernel, start
from nengo_jit.engines.cpu.language.primitives import Address, Memory, int64s, nanoseconds
from nengo_jit.engines.cpu.program.components import Code, Task
from nengo_jit.engines.cpu.program.fusion import Fusion
from nengo_jit.engines.timing import IN_PYTHON, Part, shared_out
from nengo_jit.ir.base import Operator

LATEST, BETWEEN, EMPTY, FIRST = range(4)  # places in the list of times
COST = 0.3  # estimated nanoseconds for an element of a fused operator
ENGINE = "between steps"


@kernel()
def stamp(memory: Memory, times: Address, place: int) -> None:
    """Add the time since the latest stamp (nanoseconds) to the number at a place of a list."""
    now = nanoseconds()
    latest = int64s(times, 1)
    total = int64s(times + 8 * place, 1)
    total[0] += now - latest[0]
    latest[0] = now


class Stopwatch:
    """Makes programs timed, and keeps what they measure.

    Programs that replace each other during a run may use it one after the other.
    """

    def __init__(self) -> None:
        self._sheets: list[tuple[np.ndarray, list[Part]]] = []

    def timed(self, levels: Sequence[Sequence[Task]], fusion: Fusion) -> list[list[Task]]:
        """Insert stamps into a step.

        Parameters
        ----------
        levels : sequence of sequence of Task
            Tasks by level.
        fusion : Fusion
            Which operators are carried out by others.

        Returns
        -------
        list of list of Task
            Tasks by level: each kernel and each callback is a level, with a stamp after it.
        """
        batches = [batch for level in levels for batch in _by_code(level)]
        times = np.zeros(FIRST + len(batches), np.int64)
        fused = _fused(fusion)
        parts = [_part(batch, fused) for batch in batches]
        self._sheets.append((times, parts))
        self.start()
        row = stamp.row
        address = start(times)
        found = [[Task(None, row(times=address, place=place))] for place in (BETWEEN, EMPTY)]
        for place, batch in enumerate(batches, start=FIRST):
            found.append(batch)
            if batch[0].code.when == "always":
                found.append([Task(None, row(times=address, place=place))])
            else:
                variant = stamp.variant(when=batch[0].code.when)
                found.append([Task(None, variant.row(times=address, place=place))])
        return found

    def start(self) -> None:
        """Begin to measure now, before a run."""
        for times, _ in self._sheets:
            times[LATEST] = monotonic_ns()

    def clear(self) -> None:
        """Forget what has been measured."""
        for times, _ in self._sheets:
            times[BETWEEN:] = 0

    def read(self) -> tuple[list[Part], float]:
        """Return the parts with their times, and what the measuring took (seconds).

        A stamp takes as long as two of them without anything in between. That is subtracted.
        """
        found, measuring = [], 0.0
        for times, parts in self._sheets:
            cost = min(times[EMPTY], times[BETWEEN])
            measuring += 1e-9 * float(cost) * (2 + len(parts))
            for part, time in zip(parts, times[FIRST:].tolist()):
                seconds = 1e-9 * max(0.0, time - float(cost))
                found.append(Part(part.name, seconds, part.shares, part.is_function))
            between = 1e-9 * max(0.0, float(times[BETWEEN] - cost))
            found.append(Part(ENGINE, between, {None: 1.0}))
        return found, measuring


def _by_code(level: Sequence[Task]) -> list[list[Task]]:
    """Group the tasks of a level by kernel, as programs do."""
    found: dict[Code, list[Task]] = {}
    for task in level:
        found.setdefault(task.code, []).append(task)
    return list(found.values())


def _fused(fusion: Fusion) -> dict[Operator, list[Operator]]:
    """The operators that each operator carries out besides itself."""
    found: dict[Operator, list[Operator]] = {}
    for operator, each in fusion.fused_into.items():
        if fusion.is_absorbed(operator):
            found.setdefault(each.into, []).append(operator)
    return found


def _part(batch: Sequence[Task], fused: dict[Operator, list[Operator]]) -> Part:
    code = batch[0].code
    if not isinstance(code, Kernel):
        return Part(IN_PYTHON, 0.0, {code.operator: 1.0}, is_function=True)
    costs: list[tuple[Operator | None, float]] = []
    for task in batch:
        costs.append((task.operator, task.nanoseconds))
        if task.operator in fused:
            _add_fused(task.operator, fused, costs)
    return Part(code.name, 0.0, shared_out(costs))


def _add_fused(
    operator: Operator,
    fused: dict[Operator, list[Operator]],
    costs: list[tuple[Operator | None, float]],
) -> None:
    """Add the estimated costs of what an operator carries out besides itself."""
    for other in fused.get(operator, ()):
        largest = max((signal.size for signal in other.all_signals), default=0)
        costs.append((other, COST * largest))
        _add_fused(other, fused, costs)
