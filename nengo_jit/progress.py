"""Stages of a progress bar."""

from __future__ import annotations

from time import time

from nengo.utils.progress import Progress


def begin_stage(progress: Progress | None, name: str, n_steps: int) -> None:
    """Let a progress bar show a new stage, with an estimate of the time left.

    Parameters
    ----------
    progress : nengo.utils.progress.Progress or None
        What the bar shows; None if there is no bar.
    name : str
        What is done.
    n_steps : int
        How often ``progress.step()`` will be called.
    """
    if progress is not None:
        progress.name_during = progress.name_after = name
        progress.n_steps, progress.max_steps = 0, max(n_steps, 1)
        progress.time_start = time()
