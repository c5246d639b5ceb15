"""Stages of a progress bar: what a large model takes a minute for, one after the other."""

from __future__ import annotations

import time

from nengo.utils.progress import Progress


def begin(progress: Progress | None, name: str, max_steps: int | None = None) -> None:
    """Begin another stage of what a progress bar shows: the time left is estimated anew.

    Parameters
    ----------
    progress : nengo.utils.progress.Progress or None
        Shows the stage; None if nobody looks.
    name : str
        Name of the stage.
    max_steps : int, optional
        Number of steps of the stage, above zero, if it is known.
    """
    if progress is not None:
        progress.n_steps = 0  # first, since another thread draws the bar
        progress.max_steps = max_steps
        progress.name_during = progress.name_after = name
        progress.time_start = time.time()


def advance(progress: Progress | None, n_steps: int = 1) -> None:
    """Advance the current stage by a number of steps."""
    if progress is not None:
        progress.step(n_steps)
