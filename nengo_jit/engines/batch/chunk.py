"""A chunk: steps that all members of a batch run before any of them counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nengo import Probe

from nengo_jit.engines.batch.worker import Condition, Worker
from nengo_jit.engines.recorder import Block, Recorder
from nengo_jit.engines.recording import Recording

Failure = tuple[int, int, BaseException]  # number of complete steps, member, error


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
    """

    def __init__(self, n_steps: int, recording: Recording, rows: Sequence[np.ndarray]):
        self.n_steps, self._rows = n_steps, rows
        self._clock = recording.clock
        self._end = recording.clock.ticks + n_steps
        self._targets: dict[Probe, tuple[Block, int]] = {
            probe: recorder.reserve(_most_samples(recorder, n_steps))
            for probe, recorder in recording.recorders.items()
        }
        self._ticks: dict[Probe, np.ndarray] = {}
        self.conditions: dict[int, Condition] = {}
        self.failures: list[Failure] = []
        self.is_stopped = False

    def note(self, member: int, worker: Worker) -> None:
        """Copy the results of a member that has run the steps from its worker."""
        condition = worker.take(member, self._rows)
        for probe, (block, row) in self._targets.items():
            samples, ticks = worker.engine.recording.recorders[probe].recorded()
            block.rows[row : row + len(samples), member] = samples
            if ticks is not None:
                self._ticks[probe] = ticks.copy()
        self.conditions[member] = condition

    def commit(self) -> None:
        """Let the steps and their samples count."""
        for probe, ticks in self._ticks.items():
            block, row = self._targets[probe]
            if block.ticks is not None:
                block.ticks[row : row + len(ticks)] = ticks
        self._clock.advance_to(self._end)


def _most_samples(recorder: Recorder, n_steps: int) -> int:
    return n_steps if recorder.always else int(n_steps / recorder.period) + 3
