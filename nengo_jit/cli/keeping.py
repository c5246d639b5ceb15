"""Run a simulator and keep its data: what ``run`` and ``resume`` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from nengo_jit.cli.errors import BadInputError, running_model
from nengo_jit.cli.options import check_can_write, where_we_began, writing
from nengo_jit.cli.pictures import check_can_draw

if TYPE_CHECKING:
    from nengo_jit import Simulator

DATA = {".npz": (), ".zarr": ("zarr",)}  # packages that each kind of file needs

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE.npz",
        callback=where_we_began,
        help="File for all data (npz or zarr).",
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE.png",
        callback=where_we_began,
        help="Picture of all probes (png, svg or pdf).",
    ),
]
Every = Annotated[
    str | None,
    typer.Option(
        "--every", metavar="TIME", help="Time between checkpoints: '5 min', '10 s simulated'."
    ),
]


@dataclass(frozen=True)
class Keeping:
    """What is kept of a run. What cannot be written is refused.

    Attributes
    ----------
    out, plot : Path or None
        Files for the data and the picture of all probes.
    checkpoint : Path or None
        File for checkpoints.
    record : Path or None
        Store that samples go to while the model runs.
    """

    out: Path | None
    plot: Path | None
    checkpoint: Path | None
    record: Path | None = None

    def __post_init__(self) -> None:
        if self.out is not None:
            suffix = self.out.suffix.lower()
            check_can_write(self.out, tuple(DATA), DATA.get(suffix, ()))
            if suffix == ".zarr":
                check_is_new(self.out)
        if self.plot is not None:
            check_can_draw(self.plot)
        if self.record is not None:
            check_can_write(self.record, (".zarr",), packages=("zarr",))
            check_is_new(self.record)
        if self.checkpoint is not None:
            check_can_write(self.checkpoint)
        check_differ(self.out, self.plot, self.checkpoint, self.record)


def check_is_new(path: Path) -> None:
    """Refuse a path where there is something already."""
    if path.exists():
        raise BadInputError(f"{path} exists already: choose another path, or delete it")


def check_differ(*paths: Path | None) -> None:
    """Refuse paths of which two are the same."""
    known: set[Path] = set()
    for path in paths:
        if path in known:
            raise BadInputError(f"{path} cannot be two files: choose another path for one of them")
        if path is not None:
            known.add(path)


def check_every(text: str | None, dt: float) -> int | str | None:
    """The time between checkpoints, as `Simulator.run` takes it; refuses other texts."""
    from nengo.exceptions import ValidationError

    from nengo_jit.persistence.periodic import Schedule

    every = int(text) if text is not None and text.strip().isdigit() else text
    try:
        Schedule(every, dt)
    except ValidationError as error:
        raise BadInputError(f"--every: {error.args[0]}") from None
    return every


def simulate(
    model: Path, sim: Simulator, n_steps: int, keeping: Keeping, every: int | str | None
) -> None:
    """Run steps, say how fast, and write what is kept, also after an error or Ctrl-C.

    Parameters
    ----------
    model : Path
        File of the model.
    sim : Simulator
        The simulator.
    n_steps : int
        Number of steps.
    keeping : Keeping
        What is kept.
    every : int, str or None
        Time between checkpoints, from `check_every`.
    """
    from nengo_jit.cli.progress import Bar

    if n_steps == 0:
        typer.echo("nothing to simulate: this is the end of the run")
        _write(sim, keeping)
        return
    bar, first = Bar(sim.dt), sim.n_steps
    if keeping.checkpoint is None:
        every = None
    try:
        with running_model():
            sim.run_steps(n_steps, bar, checkpoint=keeping.checkpoint, every=every)
    except BaseException:
        simulated = (sim.n_steps - first) * sim.dt
        typer.echo(f"{_speed(simulated, bar.seconds)}, not to the end")
        try:
            _write(sim, keeping)
        except BadInputError as error:  # the one in hand matters more
            typer.echo(f"nengo-jit: {error}", err=True)
        if keeping.checkpoint is not None and keeping.checkpoint.exists():
            files = f"{quote(str(model))} {quote(str(keeping.checkpoint))}"
            end = (first + n_steps) * sim.dt
            typer.echo(f"to continue: nengo-jit resume {files} --time {end:.12g}")
        raise
    typer.echo(_speed(n_steps * sim.dt, bar.seconds))
    _write(sim, keeping)


def _speed(simulated: float, seconds: float) -> str:
    from nengo_jit.cli.progress import speed

    return f"simulated {simulated:g} s in {seconds:.3g} s: {speed(simulated, seconds)}"


def _write(sim: Simulator, keeping: Keeping) -> None:
    try:
        if keeping.out is not None:
            with writing(keeping.out):
                sim.data.save(keeping.out)
    finally:
        if keeping.plot is not None:
            from nengo_jit.plot import probes

            with writing(keeping.plot):
                probes(sim).savefig(keeping.plot)
