"""``nengo-jit bench``: compare a model with nengo's simulator on this machine."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from nengo_jit.cli.options import (
    Dt,
    EngineName,
    ModelFile,
    Seconds,
    Threads,
    check_options,
    check_time,
    where_we_began,
    writing,
)
from nengo_jit.cli.pictures import check_can_draw

if TYPE_CHECKING:
    from collections.abc import Callable

    import nengo

Repeats = Annotated[int, typer.Option("--repeats", min=1, help="Times to build and run each.")]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="FILE.png",
        callback=where_we_began,
        help="Picture of the times (png, svg or pdf).",
    ),
]


class Times(NamedTuple):
    """Seconds to build, and to run."""

    build: float
    run: float


def bench(
    model: ModelFile,
    time: Seconds = 1.0,
    dt: Dt = 0.001,
    engine: EngineName = None,
    threads: Threads = None,
    repeats: Repeats = 3,
    plot: Plot = None,
) -> None:
    """Build and run a model on nengo's simulator and on ours, and compare the times.

    The file is executed anew each time; the shortest times count. nengo's cache of decoders is not
    used.
    """
    check_time(time, dt)
    if plot is not None:
        check_can_draw(plot)
    check_options(engine, threads)

    import nengo
    from rich.console import Console
    from rich.table import Table

    from nengo_jit import Simulator
    from nengo_jit.cli.progress import speed

    def ours(network: nengo.Network) -> Simulator:
        return Simulator(network, dt, progress_bar=False, engine=engine, threads=threads)

    def theirs(network: nengo.Network) -> nengo.Simulator:
        return nengo.Simulator(network, dt, progress_bar=False)

    nengo.rc["decoder_cache"]["enabled"] = "False"
    simulators: dict[str, Callable[[nengo.Network], nengo.Simulator]] = {
        "nengo.Simulator": theirs,
        "nengo_jit.Simulator": ours,
    }
    _measure(model, ours, min(time, 10 * dt))  # compiles kernels, imports packages
    found: dict[str, list[Times]] = {name: [] for name in simulators}
    for _ in range(repeats):
        for name, make in simulators.items():
            found[name].append(_measure(model, make, time))
    best = {
        name: Times(min(t.build for t in times), min(t.run for t in times))
        for name, times in found.items()
    }
    table = Table("simulator", box=None, pad_edge=False)
    for column in ("build s", "run s", "speed"):
        table.add_column(column, justify="right")
    for name, each in best.items():
        table.add_row(name, f"{each.build:.3g}", f"{each.run:.3g}", speed(time, each.run))
    Console(soft_wrap=True).print(table)
    nengo_times, our_times = best.values()
    typer.echo(
        f"nengo_jit builds {nengo_times.build / our_times.build:.3g} times and runs "
        f"{nengo_times.run / our_times.run:.3g} times as fast as nengo"
    )
    if plot is not None:
        with writing(plot):
            _draw(best, f"{model.name}, {time:g} s simulated", plot)


def _measure(
    model: Path, make: Callable[[nengo.Network], nengo.Simulator], seconds: float
) -> Times:
    """Execute a model file, from the current folder; build the model, and run it."""
    from time import perf_counter

    from nengo_jit.cli.errors import running_model
    from nengo_jit.cli.model_file import load

    with chdir("."), running_model():  # the model may change the folder
        network = load(model)  # anew, since Python functions may keep a state
        began = perf_counter()
        with make(network) as sim:
            built = perf_counter()
            sim.run(seconds)
            return Times(built - began, perf_counter() - built)


def _draw(best: dict[str, Times], title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.6), dpi=120, layout="constrained")
    build_axes, run_axes = figure.subplots(1, 2)
    figure.suptitle(title)
    for ax, what in ((build_axes, "build"), (run_axes, "run")):
        seconds = [getattr(times, what) for times in best.values()]
        bars = ax.barh(list(best), seconds, color=["0.6", "tab:blue"])
        ax.bar_label(bars, [f"{each:.3g} s" for each in seconds], padding=3)
        ax.set(xlabel=f"seconds to {what}", xlim=(0, 1.35 * max(seconds)))
        ax.invert_yaxis()
    run_axes.set_yticks([])
    figure.savefig(path)
