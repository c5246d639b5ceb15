"""``nengo-jit sweep``: run a model with many parameters and seeds."""

from __future__ import annotations

import ast
import csv
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nengo_jit.cli.errors import BadInputError
from nengo_jit.cli.options import (
    Dt,
    ModelFile,
    Seconds,
    check_can_write,
    check_time,
    where_we_began,
)

if TYPE_CHECKING:
    import xarray

NEEDED = ("zarr", "xarray", "cloudpickle", "distributed")
FAILED = 1  # exit code
MOST_ERRORS = 5  # that are shown

Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        metavar="R.zarr",
        callback=where_we_began,
        help="Store for the results; a sweep that is there goes on.",
    ),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        metavar="NAME=A,B,C",
        help="Values of a parameter of the file's function make_network.",
    ),
]
Seeds = Annotated[
    int,
    typer.Option("--seeds", min=0, help="Number of seeds, from 0 on; without any, the network's."),
]
ProbeNames = Annotated[
    list[str] | None,
    typer.Option("--probe", metavar="NAME", help="Probe to record; all by default."),
]
Vary = Annotated[
    str | None,
    typer.Option("--vary", metavar="noise", help="Seeds are those of the simulator only."),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", metavar="ADDRESS", help="Scheduler of a Dask cluster to run on."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Begin anew.")]


def sweep(
    model: ModelFile,
    out: Out,
    param: Param = None,
    seeds: Seeds = 100,
    time: Seconds = 1.0,
    dt: Dt = 0.001,
    probe: ProbeNames = None,
    vary: Vary = None,
    cluster: Cluster = None,
    overwrite: Overwrite = False,
) -> None:
    """Run a model for all parameters and seeds, on all cores. Ctrl-C keeps what is done."""
    check_time(time, dt)
    check_can_write(out, (".zarr",))
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise BadInputError(f"Sweeps need {missing[0]}: pip install 'nengo-jit[sweep]'")
    parameters = values_of(param or [])

    from contextlib import ExitStack

    from nengo.exceptions import ValidationError

    import nengo_jit
    from nengo_jit.cli.model_file import FUNCTION, load_function
    from nengo_jit.cli.progress import Bar

    make_network, is_own = load_function(model)
    if parameters and not is_own:
        raise BadInputError(f"{model} has no function {FUNCTION}({', '.join(parameters)})")
    with ExitStack() as stack:
        client = None
        if cluster is not None:
            from distributed import Client

            try:
                client = stack.enter_context(Client(cluster))
            except (OSError, ValueError) as error:
                raise BadInputError(f"--cluster {cluster}: {error}") from None
        try:
            ds = nengo_jit.sweep(
                make_network,
                parameters,
                range(seeds) if seeds else None,
                time,
                dt,
                probe or None,
                out,
                client,
                vary=vary,
                overwrite=overwrite,
                progress_bar=Bar(shows_rest=True),
            )
        except ValidationError as error:
            raise BadInputError(str(error.args[0])) from None
    typer.echo(f"wrote {out}")
    _show_errors(ds)


def values_of(options: list[str]) -> dict[str, list[object]]:
    """Values of parameters: Python's literals, or else texts."""
    found: dict[str, list[object]] = {}
    for option in options:
        name, _, values = option.partition("=")
        if not values.strip() or not name.isidentifier():
            raise BadInputError(f"--param {option}: write NAME=A,B,C")
        if name in found:
            raise BadInputError(f"--param {option}: '{name}' has values already")
        try:
            found[name] = [*ast.literal_eval(f"[{values}]")]
        except (ValueError, SyntaxError):
            (parts,) = csv.reader([values], quotechar="'", skipinitialspace=True)
            found[name] = [_literal(each) for each in parts]
    return found


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text.strip()


def _show_errors(ds: xarray.Dataset) -> None:
    """Print the errors of failed runs; exit with a code if there are any."""
    errors = Counter(str(text) for text in ds["error"].values.ravel() if text)
    for text, count in errors.most_common(MOST_ERRORS):
        typer.echo(f"nengo-jit: {count} failed: {text}", err=True)
    if errors:
        raise typer.Exit(FAILED)
