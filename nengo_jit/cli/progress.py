"""Progress of builds and runs in a terminal."""

from __future__ import annotations

from datetime import timedelta

from nengo.utils.progress import Progress, ProgressBar
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display


class Bar(ProgressBar):
    """Shows the progress on standard error, if that is a terminal.

    Parameters
    ----------
    dt : float, optional
        Length of a step (seconds), to show how fast simulated time passes.
    shows_rest : bool
        Whether to show how many steps are left, and for how long.

    Attributes
    ----------
    seconds : float
        Duration so far. The bar itself is closed up to a tenth of a second later.
    """

    def __init__(self, dt: float | None = None, shows_rest: bool = False):
        self._dt, self._shows_rest = dt, shows_rest
        self.seconds = 0.0
        console = Console(stderr=True)
        self._display = Display(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[remark]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._display.add_task("", remark="")

    def update(self, progress: Progress) -> None:
        if not self._display.live.is_started:
            self._display.start()
        self.seconds = progress.elapsed_seconds()
        self._display.update(
            self._task,
            description=progress.name_during,
            total=progress.max_steps,
            completed=progress.n_steps,
            remark=self._remark(progress),
        )
        if progress.finished:
            self.close()

    def _remark(self, progress: Progress) -> str:
        if self._shows_rest and progress.n_steps:
            n_left = progress.max_steps - progress.n_steps
            return f"{n_left} left, {timedelta(seconds=round(progress.eta()))}"
        if self._dt is None or not progress.n_steps:
            return ""
        seconds = progress.n_steps * self._dt
        return f"{seconds:.2f} s, {speed(seconds, self.seconds)}"

    def close(self) -> None:
        if self._display.live.is_started:
            self._display.stop()


def speed(simulated: float, seconds: float) -> str:
    """How many times faster than real time a simulation runs."""
    factor = simulated / max(seconds, 1e-9)
    return f"{factor:{',.0f' if factor >= 100 else '.3g'}} times real time"
