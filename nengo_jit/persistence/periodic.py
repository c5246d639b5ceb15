"""Checkpoints that a run writes from time to time, of which the last two are kept."""

from __future__ import annotations

import errno
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.persistence.checkpoint import Checkpoint
from nengo_jit.persistence.files import remove_partial
from nengo_jit.persistence.interrupts import HeldInterrupts
from nengo_jit.persistence.lock import PathLock

DEFAULT = "5 min"
SHARE = 100  # by default, a run takes at least this many times as long as its checkpoints
UNITS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
EXAMPLES = "such as '5 min', '30 s', '10 s simulated' or a number of steps"


class Schedule:
    """When checkpoints are due.

    Parameters
    ----------
    every : int or str, optional
        A number of steps; or a number and a unit of real time (see `UNITS`), or of simulated time
        if the word ``simulated`` follows. The default is five minutes, or longer if a checkpoint
        takes longer than a hundredth of that.
    dt : float
        Length of a step (seconds).

    Attributes
    ----------
    steps : int or None
        Number of steps between checkpoints, which are due after multiples of it.
    seconds : float
        Real time between checkpoints, if ``steps`` is None.

    Raises
    ------
    ValidationError
        If ``every`` is none of these, or not above zero.
    """

    def __init__(self, every: int | str | None, dt: float):
        self._is_default = every is None
        self.steps: int | None = None
        self.seconds = 0.0
        every = DEFAULT if every is None else every
        if isinstance(every, int | np.integer) and not isinstance(every, bool):
            self.steps = int(every)
        else:
            text = re.fullmatch(
                r"\s*(\d+\.?\d*|\.\d+)\s*(\w+?)(\s+simulated)?\s*",
                every if isinstance(every, str) else "",
            )
            if text is None or text[2] not in UNITS:
                raise ValidationError(f"Must be a time {EXAMPLES} (got {every!r})", attr="every")
            self.seconds = float(text[1]) * UNITS[text[2]]
            if text[3]:
                self.steps = round(min(self.seconds / dt, sys.maxsize))
        if self.steps == 0 or (self.steps or self.seconds) <= 0:
            raise ValidationError(
                f"Must be at least a step and above zero, {EXAMPLES} (got {every!r})", attr="every"
            )
        self._due = monotonic() + self.seconds

    def steps_left(self, n_steps: int) -> int:
        """Maximum number of steps until a checkpoint may be due."""
        return sys.maxsize if self.steps is None else self.steps - n_steps % self.steps

    def is_due(self, n_steps: int) -> bool:
        """Whether a checkpoint is due after ``n_steps`` steps."""
        return monotonic() >= self._due if self.steps is None else n_steps % self.steps == 0

    def done(self, seconds: float) -> None:
        """Take note of a checkpoint, and of the time that it has taken."""
        wait = max(self.seconds, SHARE * seconds) if self._is_default else self.seconds
        self._due = monotonic() + wait


class Checkpoints:
    """The newest checkpoint of a run, and the one before, and the right to write them.

    Parameters
    ----------
    path : Path
        File of the newest one. The one before is in a file beside it, see `previous_of`.

    Attributes
    ----------
    path : Path
        As given.

    Raises
    ------
    ValidationError
        If another simulator writes to the path.
    OSError
        If the folder cannot be written to.
    """

    def __init__(self, path: Path):
        self.path = path
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        self._lock = PathLock(path)
        remove_partial(path)

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, and delete the last but one; see `replace_file` for the errors."""
        self._lock.check()
        checkpoint.write(self.path, keep=previous_of(self.path))

    def newest(self) -> Checkpoint | None:
        """Read the newest whole checkpoint; None if none was ever written.

        If the newest one is damaged, a warning says so, and that file is renamed.

        Raises
        ------
        ValidationError
            If there are files, but no whole checkpoint.
        """
        previous = previous_of(self.path)
        if not self.path.exists():  # perhaps since the process was killed between two renamings
            return Checkpoint.read(previous) if previous.exists() else None
        try:
            return Checkpoint.read(self.path)
        except ValidationError as error:
            if not previous.exists():
                raise
            found = Checkpoint.read(previous)
            aside = self.path.with_name(f"{self.path.name}.damaged")
            self.path.replace(aside)
            warnings.warn(
                f"{error.args[0]}. It is now '{aside}'. The simulation continues from the "
                "checkpoint before.",
                stacklevel=4,
            )
            return found

    def release(self) -> None:
        """Let another simulator write to the path."""
        self._lock.release()


class Writer:
    """Context of a run, which writes checkpoints when they are due, or after Ctrl-C.

    Parameters
    ----------
    checkpoints : Checkpoints
        Where to.
    schedule : Schedule
        When.
    take : callable
        Returns the checkpoint to write.
    written : callable
        Is called after a checkpoint has been written.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        schedule: Schedule,
        take: Callable[[], Checkpoint],
        written: Callable[[], None],
    ):
        self._checkpoints, self._schedule = checkpoints, schedule
        self._take, self._note = take, written
        self.steps_left, self._is_due = schedule.steps_left, schedule.is_due
        self._written = -1
        self._interrupts = HeldInterrupts()

    def __enter__(self) -> Writer:
        self._interrupts.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._interrupts.__exit__(*exception)

    def after(self, n_steps: int) -> None:
        """Write a checkpoint after ``n_steps`` steps, if one is due.

        Raises
        ------
        KeyboardInterrupt
            If there has been a Ctrl-C, after a checkpoint has been written.
        """
        if self._interrupts.is_pending or self._is_due(n_steps):
            self.write(n_steps)
        self._interrupts.check()

    def write(self, n_steps: int) -> None:
        """Write a checkpoint after ``n_steps`` steps, unless it has been written."""
        if n_steps != self._written:
            start = monotonic()
            self._checkpoints.write(self._take())
            self._note()
            self._schedule.done(monotonic() - start)
            self._written = n_steps


def previous_of(path: Path) -> Path:
    """Return the path of the checkpoint before the newest one."""
    return path.with_name(f"{path.name}.previous")
