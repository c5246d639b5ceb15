"""A chunk: steps that all members of a batch run before any of them counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from nengo import Probe

from nengo_jit.engines.batch.worker import Condition, Worker
from nengo_jit.engines.recording import Recording

Failure = tuple[int, int, BaseException]  # number of complete steps, member, error


TILE = 64  # samples of all members that are copied at a time


class Costs(NamedTuple):
    """Processor time of a member (seconds), which other programs do not affect much.

    Attributes
    ----------
    step : float
        Of a step.
    turn : float
        Of copying its memory to an engine and back.
    """

    step: float
    turn: float


class Chunk:
    """Some steps of all members, until they count.

    Parameters
    ----------
    n_steps : int
        Number of steps.
    recording : Recording
        The recording of the batch, whose samples have an axis for the members.
    rows : sequence of (n_members, n_bytes) numpy.ndarray
        Memory for what members have after these steps.

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
    seconds : list of tuple of float
        Processor time of each member: of its steps, and of copying its memory.
    """

    def __init__(self, n_steps: int, recording: Recording, rows: Sequence[np.ndarray]):
        self.n_steps, self._rows = n_steps, rows
        self._clock = recording.clock
        self._end = recording.clock.ticks + n_steps
        self._recorders = recording.recorders
        self._samples: dict[Probe, np.ndarray] = {}
        for probe, recorder in self._recorders.items():
            n_members, *shape = recorder.source.shape
            size = (n_members, recorder.most_in(n_steps), *shape)
            self._samples[probe] = np.empty(size, recorder.source.dtype)
        self._ticks: dict[Probe, np.ndarray] = {}
        self._counts: dict[Probe, int] = {}
        self.conditions: dict[int, Condition] = {}
        self.failures: list[Failure] = []
        self.is_stopped = False
        self.seconds: list[tuple[float, float]] = []

    def note(self, member: int, worker: Worker) -> None:
        """Copy the results of a member that has run the steps from its worker."""
        condition = worker.take(member, self._rows)
        for probe, own in self._samples.items():
            samples, ticks = worker.engine.recording.recorders[probe].recorded()
            own[member, : len(samples)] = samples
            self._counts[probe] = len(samples)
            if ticks is not None:
                self._ticks[probe] = ticks.copy()
        self.conditions[member] = condition

    def costs(self, seconds: float) -> Costs:
        """Return the costs of the chunk, which took so long to commit (seconds)."""
        running, copying = map(sum, zip(*self.seconds))
        n_members = len(self.seconds)
        return Costs(running / n_members / self.n_steps, (copying + seconds) / n_members)

    def commit(self) -> None:
        """Let the steps and their samples count. May be called again if it is interrupted."""
        for probe, samples in self._samples.items():
            n = self._counts[probe]
            block, row = self._recorders[probe].reserve(n)
            for first in range(0, n, TILE):  # each is transposed in the cache
                part = samples[:, first : min(first + TILE, n)]
                block.rows[row + first : row + first + TILE][: part.shape[1]] = part.swapaxes(0, 1)
            if block.ticks is not None:
                block.ticks[row : row + n] = self._ticks[probe]
        self._clock.advance_to(self._end)
