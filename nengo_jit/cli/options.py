"""Arguments and options that several commands have, and checks of what they name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from nengo_jit.cli.errors import BadInputError

if TYPE_CHECKING:
    from nengo_jit.options import Options

ModelFile = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL.PY",
        help="Python file that makes a network: the variable 'model', or the only one.",
        show_default=False,
    ),
]
Seconds = Annotated[float, typer.Option("--time", "-t", help="Seconds to simulate.")]
Dt = Annotated[float, typer.Option("--dt", help="Length of a step in seconds.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of the random numbers of the run."),
]
EngineName = Annotated[
    str | None, typer.Option("--engine", help="Engine to run on; nengo-jit info lists them.")
]
Threads = Annotated[int | None, typer.Option("--threads", help="Threads to use at most.")]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context that writes a file, and says so."""
    try:
        yield
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error.strerror}") from None
    typer.echo(f"wrote {path}")


def where_we_began(path: Path | None) -> Path | None:
    """The absolute path of a file to write: the model may change the current folder."""
    return None if path is None else path.absolute()


def check_duration(name: str, seconds: float) -> None:
    """Refuse a duration that is not a finite number of seconds above zero."""
    if not 0 < seconds < float("inf"):
        raise BadInputError(f"{name} must be a number of seconds above zero, not {seconds:g}")


def check_time(seconds: float, dt: float) -> None:
    """Refuse lengths of a run, and of a step, of which the run would have no step."""
    check_duration("--dt", dt)
    check_duration("--time", seconds)
    if round(seconds / dt) < 1:
        raise BadInputError(f"--time {seconds:g} is less than a step of {dt:g} seconds")


def check_options(engine: str | None, threads: int | None) -> Options:
    """The options of a simulator; refuses unknown engines and impossible numbers of threads."""
    from nengo.exceptions import ValidationError

    from nengo_jit.engines import backend_for
    from nengo_jit.options import Options

    try:
        options = Options.chosen(engine=engine, threads=threads)
        backend_for(options)
    except ValidationError as error:
        option = f"--{error.attr}: " if error.attr else ""
        raise BadInputError(option + " ".join(str(error.args[0]).split())) from None
    return options


def check_can_write(
    path: Path, suffixes: tuple[str, ...] = (), packages: tuple[str, ...] = ()
) -> None:
    """Refuse a path that cannot be written, before time is spent on what goes there.

    Parameters
    ----------
    path : Path
        A file or, with the suffix ``.zarr``, a folder that need not exist.
    suffixes : tuple of str
        Suffixes that are known; any if there are none.
    packages : tuple of str
        Packages that are needed to write it, which have extras of their names.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        known = " or ".join(suffixes)
        raise BadInputError(f"{path} cannot be written: its name must end with {known}")
    for package in packages:
        if find_spec(package) is None:
            raise BadInputError(f"{path} needs {package}: pip install 'nengo-jit[{package}]'")
    if path.suffix.lower() != ".zarr" and path.is_dir():
        raise BadInputError(f"{path} cannot be written: it is a folder")
    try:
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error.strerror}") from None
