"""``nengo-jit profile``: where the time of a model goes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from nengo_jit.cli.errors import BadInputError
from nengo_jit.cli.options import (
    Dt,
    EngineName,
    ModelFile,
    Threads,
    check_can_write,
    check_duration,
    check_options,
    where_we_began,
    writing,
)

Steps = Annotated[int, typer.Option("--steps", min=4, help="Steps to run; half of them timed.")]
WarmUp = Annotated[int, typer.Option("--warm-up", min=0, help="Steps to run before.")]
Page = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE.html",
        callback=where_we_began,
        help="Page with interactive pictures.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE.json", callback=where_we_began, help="All figures as JSON."
    ),
]


def profile(
    model: ModelFile,
    steps: Steps = 1000,
    warm_up: WarmUp = 200,
    dt: Dt = 0.001,
    engine: EngineName = None,
    threads: Threads = None,
    html: Page = None,
    json: Data = None,
) -> None:
    """Show where time and memory go: by object, kernel, Python function and stage of the build."""
    check_duration("--dt", dt)
    if html is not None:
        if find_spec("plotly") is None:
            raise BadInputError("The page needs Plotly: pip install 'nengo-jit[plot]'")
        check_can_write(html, (".html", ".htm"))
    if json is not None:
        check_can_write(json, (".json",))
    check_options(engine, threads)

    from rich.console import Console

    from nengo_jit import Simulator
    from nengo_jit.cli.errors import running_model
    from nengo_jit.cli.model_file import load
    from nengo_jit.cli.progress import Bar

    network = load(model)
    if network.label is None:
        network.label = model.name
    with (
        running_model(),
        Simulator(network, dt, progress_bar=Bar(), engine=engine, threads=threads) as sim,
    ):
        sim.run_steps(warm_up)
        found = sim.profile(steps)
    Console(soft_wrap=True).print(found)
    if html is not None:
        with writing(html):
            found.save_html(html)
    if json is not None:
        from json import dumps

        with writing(json):
            json.write_text(dumps(found.to_dict(), indent=1), encoding="utf-8")
