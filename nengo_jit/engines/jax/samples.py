"""Record the samples of many steps, which a compiled call returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.engines.recorder import TICKS, Recorder
from nengo_jit.engines.recording import Recording
from nengo_jit.planner.plan import Plan


def record(
    recording: Recording, plan: Plan, blocks: Blocks, samples: Sequence[np.ndarray], n: int
) -> None:
    """Record some steps, and count them.

    Parameters
    ----------
    recording : Recording
        Gets the samples.
    plan : Plan
        Has the probes.
    blocks : Blocks
        Has the signals that change.
    samples : sequence of (n, *shape) numpy.ndarray
        The samples of each probe of such a signal.
    n : int
        Number of steps.
    """
    clock, changing = recording.clock, iter(samples)
    numbers = np.arange(clock.n_steps + 1, clock.n_steps + n + 1)
    for planned, recorder in zip(plan.probes, recording.recorders.values()):
        constant = np.broadcast_to(recorder.source, (n, *recorder.source.shape))
        rows = next(changing) if planned.signal in blocks else constant
        _write(recorder, rows, numbers, clock.ticks)
    clock.view[TICKS] += n


def _write(recorder: Recorder, rows: np.ndarray, numbers: np.ndarray, ticks: int) -> None:
    """Write the samples that are due."""
    due = numbers % recorder.period < 1
    block, row = recorder.reserve(int(due.sum()))
    end = row + int(due.sum())
    block.rows[row:end] = rows[due]
    if block.ticks is not None:
        block.ticks[row:end] = ticks + 1 + np.flatnonzero(due)
