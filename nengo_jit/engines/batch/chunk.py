"""A chunk: steps that all members of a batch run before any of them counts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from nengo import Probe

from nengo_jit.engines.batch.worker import Condition, Worker
from nengo_jit.engines.recorder import Recorder
from nengo_jit.engines.recording import Recording

Failure = tuple[int, int, BaseException]  # number of complete steps, member, error

TILE = 1 << 15  # samples of all members together that are copied at a time


class Costs(NamedTuple):
    """Processor time of a member (seconds), which other programs do not affect much.

    Attributes
    ----------
    steps : float
        Of one step, or of all.
    turn : float
        Of copying its memory to an engine and back.
    """

    steps: float
    turn: float


class Chunk:
    """Some steps of all members, until they count.

    Parameters
    ----------
    n_steps : int
        Number of steps.
    recording : Recording
        The recording of the batch, whose samples have an axis for the members.
    memory : dict of (nengo.Probe, numpy.ndarray)
        Memory for samples, which chunks use one after the other: fresh memory takes time.

    Attributes
    ----------
    n_steps : int
        As given.
    conditions : dict of (int, Condition)
        What each member that has run the steps continues from.
    failures : list of tuple
        Errors.
    is_stopped : bool
        Whether no more members should run.
    costs : list of Costs
        What the members have cost.
    """

    def __init__(self, n_steps: int, recording: Recording, memory: dict[Probe, np.ndarray]):
        self.n_steps = n_steps
        self._clock = recording.clock
        self._end = recording.clock.ticks + n_steps
        self._recorders = recording.recorders
        self._samples = {
            probe: _with_room(memory.get(probe), recorder, n_steps)
            for probe, recorder in self._recorders.items()
        }
        memory.update(self._samples)
        self._ticks: dict[Probe, np.ndarray | None] = {}
        self._counts: dict[Probe, int] = {}
        self.conditions: dict[int, Condition] = {}
        self.failures: list[Failure] = []
        self.is_stopped = False
        self.costs: list[Costs] = []

    def rows_of(self, member: int) -> dict[Probe, np.ndarray]:
        """Return memory for the samples of a member, by probe."""
        return {probe: rows[member] for probe, rows in self._samples.items()}

    def note(self, member: int, condition: Condition, worker: Worker) -> None:
        """Note the condition of a member that has run the steps, and how many samples it has."""
        for probe, recorder in worker.engine.recording.recorders.items():
            self._counts[probe], self._ticks[probe] = recorder.recorded()
        self.conditions[member] = condition

    def mean_costs(self) -> Costs:
        """Return the costs of a step, and of a turn, of a member."""
        running, turns = map(sum, zip(*self.costs))
        return Costs(running / len(self.costs) / self.n_steps, turns / len(self.costs))

    def commit(self) -> None:
        """Let the steps and their samples count. May be called again if it is interrupted."""
        if self._clock.ticks == self._end:
            return
        for probe, samples in self._samples.items():
            n = self._counts[probe]
            block, row = self._recorders[probe].reserve(n)
            size = max(1, TILE // len(samples))
            for first in range(0, n, size):  # each is transposed in the cache
                part = samples[:, first : min(first + size, n)]
                block.rows[row + first : row + first + size][: part.shape[1]] = part.swapaxes(0, 1)
            if block.ticks is not None:
                block.ticks[row : row + n] = self._ticks[probe]
        self._clock.advance_to(self._end)


def _with_room(memory: np.ndarray | None, recorder: Recorder, n_steps: int) -> np.ndarray:
    """Return memory for all samples of some steps, (n_members, n_samples, *shape)."""
    most = recorder.most_in(n_steps)
    if memory is not None and memory.shape[1] >= most:
        return memory
    n_members, *shape = recorder.source.shape
    return np.empty((n_members, most, *shape), recorder.source.dtype)
