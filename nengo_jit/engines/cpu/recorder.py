"""Recording by kernels: makes room for samples and tells kernels where to write them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from nengo_jit.engines.cpu.kernels.operator import contiguous, places
from nengo_jit.engines.cpu.kernels.probe import complete_step, record
from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.components import Task
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.engines.cpu.python import call as task
from nengo_jit.engines.cpu.python.callee import fetch_error
from nengo_jit.engines.recorder import TICKS, Recorder
from nengo_jit.engines.recording import Recording


class KernelRecording:
    """Lets kernels record the samples of a recording.

    Nothing has to be done after a run: the clock, which the kernels advance, counts the samples.

    Parameters
    ----------
    recording : Recording
        The recording.
    step : numpy.ndarray
        Live memory of the step counter.
    lowering : Lowering
        Has the arena of the program.
    deliver : callable
        Is called after each step for which the clock says so.

    Attributes
    ----------
    levels : list of list of Task
        Tasks at the end of a step.
    """

    def __init__(
        self,
        recording: Recording,
        step: np.ndarray,
        lowering: Lowering,
        deliver: Callable[[], None],
    ):
        self._recording = recording
        self._clock = recording.clock
        self._room = self._promised = 0
        self._states = [
            (recorder, lowering.arena.buffer(3, np.int64))
            for recorder in recording.recorders.values()
        ]
        self._deliver = deliver
        self._task = lowering.arena.buffer(task.LENGTH, np.int64)
        self._task[task.CALLED] = id(self._deliver)
        clock, counter, size = start(self._clock.words), start(step), step.itemsize
        rows = []
        for recorder, state in self._states:
            state[2] = clock
            source = recorder.source
            lowest, indices = start(source), Address(0)
            if not contiguous(source):
                lowest, offsets = places(source)
                indices = lowering.arena.constant(offsets.ravel(), np.int64)
            row = record.row(
                lowest=lowest,
                n_bytes=source.nbytes,
                period=lowering.arena.constant([recorder.period], np.float64),
                indices=indices,
                state=start(state),
                itemsize=source.itemsize,
                counter=counter,
                counter_size=size,
            )
            rows.append(row)
        last = complete_step.row(
            clock=clock, counter=counter, counter_size=size, task=start(self._task)
        )
        self.levels = [[Task(None, row) for row in rows], [Task(None, last)]]

    def begin(self, n_steps: int, within: bool) -> None:
        """Make sure that there is room for the samples of a run.

        Parameters
        ----------
        n_steps : int
            Number of steps of the run.
        within : bool
            Whether the run is nested in another one, which will still need its own room.
        """
        ticks = self._clock.view[TICKS]
        self._promised = n_steps + (max(ticks, self._promised) if within else ticks)
        if self._promised > self._room:
            self._make_room(self._promised - ticks)

    def forget_room(self) -> None:
        """Look for room again in the next run: recorders begin anew, or the clock was set."""
        self._room = self._promised = 0

    def _make_room(self, n_steps: int) -> None:
        self._room = 0  # until all room has been made
        if self._clock.calls:
            self._recording.deliver()
        room = (sys.maxsize >> 1) - self._clock.ticks
        for recorder, state in self._states:
            block, used = recorder.reserve(recorder.most_in(n_steps))
            n_bytes = block.rows[:1].nbytes
            state[0] = start(block.rows) + used * n_bytes
            state[1] = 0 if block.ticks is None else start(block.ticks) + used * 8
            room = min(room, _fewest_steps(recorder, len(block.rows) - used))
        self._room = self._clock.ticks + room

    def fetch_error(self) -> BaseException | None:
        """Return the exception that was raised after a complete step, if any, and forget it."""
        return fetch_error(self._task)


def _fewest_steps(recorder: Recorder, n_samples: int) -> int:
    """Minimum number of steps with a number of samples."""
    if recorder.always:
        return n_samples
    return int(
        min((n_samples - 2) * recorder.period, sys.maxsize >> 1)
    )  # the period may be infinite
