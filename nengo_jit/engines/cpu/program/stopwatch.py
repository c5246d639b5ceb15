"""Timed programs: between any two kernels of a step, the time is read.

A timed program is the program for one thread, with a row of `stamp` after each kernel and each
callback. It is only made while steps are timed, so other programs are not slower for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import NamedTuple

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Kernel, kernel, start
from nengo_jit.engines.cpu.language.primitives import Address, Memory, int64s, nanoseconds
from nengo_jit.engines.cpu.program.arena import Arena
from nengo_jit.engines.cpu.program.components import Code, Task
from nengo_jit.engines.cpu.program.fusion import Fusion
from nengo_jit.engines.timing import BLOCK, IN_PYTHON, Part, Timing, n_interruptions, shared_out
from nengo_jit.ir.base import Operator

LATEST, BETWEEN, EMPTY, FIRST = range(4)  # places in the list of times
COST = 0.3  # estimated nanoseconds for an element of a fused operator
ENGINE = "between steps"


@kernel()
def stamp(memory: Memory, times: Address, place: int) -> None:
    """Add the time since the latest stamp (nanoseconds) to the number at a place of a list.

    The first stamp of a block, before which there is none, adds nothing.
    """
    now = nanoseconds()
    latest = int64s(times, 1)
    if latest[0] != 0:
        total = int64s(times + 8 * place, 1)
        total[0] += now - latest[0]
    latest[0] = now


class Block(NamedTuple):
    """Consecutive steps that were measured together.

    Attributes
    ----------
    n_steps : int
        Their number.
    seconds : float
        Their duration, from outside.
    times : list of numpy.ndarray
        The list of times of each program (nanoseconds).
    was_interrupted : bool
        Whether another program took the processor.
    """

    n_steps: int
    seconds: float
    times: list[np.ndarray]
    was_interrupted: bool


class Stopwatch:
    """Makes programs timed, and keeps what they measure.

    Programs that replace each other during a run may use it one after the other.
    """

    def __init__(self) -> None:
        self._sheets: list[tuple[np.ndarray, list[Part]]] = []

    def timed(
        self, levels: Sequence[Sequence[Task]], fusion: Fusion, arena: Arena
    ) -> list[list[Task]]:
        """Insert stamps into a step.

        Parameters
        ----------
        levels : sequence of sequence of Task
            Tasks by level.
        fusion : Fusion
            Which operators are carried out by others.
        arena : Arena
            Keeps the memory of the times for as long as the program.

        Returns
        -------
        list of list of Task
            Tasks by level: each kernel and each callback is a level, with a stamp after it. Those
            of deferred operators have none, since they are no part of a step.
        """
        batches = [batch for level in levels for batch in _by_code(level)]
        fused = _fused(fusion)
        parts: list[Part] = []
        times = arena.buffer(FIRST + len(batches))

        def stamps(place: int, when: str = "always") -> list[Task]:
            return [Task(None, stamp.variant(when=when).row(times=start(times), place=place))]

        found = [stamps(BETWEEN), stamps(EMPTY)]
        for batch in batches:
            found.append(batch)
            when = batch[0].code.when
            if when != "after":
                found.append(stamps(FIRST + len(parts), when))
                parts.append(_part(batch, fused))
        self._sheets.append((times[: FIRST + len(parts)], parts))
        return found

    def measure(self, run: Callable[[int], int], n_steps: int) -> Timing:
        """Run steps and return what they took.

        They are run in blocks. What it takes to start a block does not count. Nor do blocks in
        which another program took the processor, if there are others.

        Parameters
        ----------
        run : callable
            Runs a number of steps on timed programs; returns how many.
        n_steps : int
            Number of steps, at least 2. The first does not count: it may compute more than others.
        """
        left = n_steps - run(1)
        blocks: list[Block] = []
        size = most = max(1, left // 10)
        while left > 0:
            block = self._run_block(run, min(size, left))
            left -= block.n_steps
            blocks.append(block)
            size = max(1, min(most, round(BLOCK * block.n_steps / block.seconds)))
        counted = [block for block in blocks if not block.was_interrupted] or blocks
        parts: list[Part] = []
        whole = 0.0
        for number, (_, kinds) in enumerate(self._sheets):
            found = [
                (block.times[number], block.n_steps)
                for block in counted
                if number < len(block.times) and block.times[number][EMPTY]
            ]
            if not found:  # these programs were replaced before any block
                continue
            times = np.sum([each for each, _ in found], axis=0)[BETWEEN:]
            cost = sum(n for _, n in found) * min(each[EMPTY] / n for each, n in found)
            whole += 1e-9 * (times.sum() - cost * np.count_nonzero(times))
            between, _, *spent = (1e-9 * np.maximum(times - cost, 0.0)).tolist()
            parts += [replace(part, seconds=each) for part, each in zip(kinds, spent)]
            parts.append(Part(ENGINE, between, {None: 1.0}))
        return Timing(sum(block.n_steps for block in counted), whole, parts)

    def _run_block(self, run: Callable[[int], int], n_steps: int) -> Block:
        for times, _ in self._sheets:
            times[:] = 0
        n_before = n_interruptions()
        begin = perf_counter()
        n_done = run(n_steps)
        seconds = perf_counter() - begin
        was_interrupted = n_interruptions() > n_before
        return Block(n_done, seconds, [times.copy() for times, _ in self._sheets], was_interrupted)


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
