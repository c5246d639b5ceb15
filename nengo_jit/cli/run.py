"""``nengo-jit run``: simulate a model and keep what its probes recorded."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from nengo_jit.cli.options import (
    Dt,
    EngineName,
    ModelFile,
    Seconds,
    Seed,
    Threads,
    check_can_write,
    check_options,
    check_time,
)

if TYPE_CHECKING:
    import nengo

    from nengo_jit import Simulator

DATA = (".npz",)

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE.npz", help="File for the data of all probes."),
]
Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE.png", help="Picture of all probes (png, svg or pdf)."),
]


def run(
    model: ModelFile,
    time: Seconds = 1.0,
    dt: Dt = 0.001,
    seed: Seed = None,
    engine: EngineName = None,
    threads: Threads = None,
    out: Out = None,
    plot: Plot = None,
) -> None:
    """Run a model. Ctrl-C ends the run, and keeps the data so far."""
    check_time(time, dt)
    if out is not None:
        check_can_write(out, DATA)
    if plot is not None:
        from nengo_jit.cli.output import PICTURES, check_can_draw

        check_can_draw()
        check_can_write(plot, PICTURES)
    check_options(engine, threads)

    from nengo_jit import Simulator
    from nengo_jit.cli.errors import running_model
    from nengo_jit.cli.model_file import load
    from nengo_jit.cli.progress import Bar, speed

    network = load(model)
    typer.echo(f"{model}: {_contents(network)}")
    began = perf_counter()
    with running_model():
        sim = Simulator(network, dt, seed, progress_bar=Bar(), engine=engine, threads=threads)
    with sim:
        typer.echo(f"built in {perf_counter() - began:.2f} s for the engine '{sim.engine}'")
        bar = Bar(dt)
        try:
            with running_model():
                sim.run(time, progress_bar=bar)
        finally:
            simulated = sim.n_steps * dt
            typer.echo(
                f"simulated {simulated:g} s in {bar.seconds:.3g} s: {speed(simulated, bar.seconds)}"
                + ("" if sim.n_steps >= round(time / dt) else ", not to the end")
            )
            _keep(sim, out, plot)


def _contents(network: nengo.Network) -> str:
    """What a network consists of, in a line."""
    counts = {
        "neurons": network.n_neurons,
        "ensembles": len(network.all_ensembles),
        "nodes": len(network.all_nodes),
        "connections": len(network.all_connections),
        "probes": len(network.all_probes),
    }
    parts = [f"{n} {kind if n != 1 else kind[:-1]}" for kind, n in counts.items() if n]
    return ", ".join(parts) or "nothing"


def _keep(sim: Simulator, out: Path | None, plot: Path | None) -> None:
    """Write the data so far."""
    if out is not None:
        from nengo_jit.cli.output import save_npz

        save_npz(sim, out)
        typer.echo(f"wrote {out}")
    if plot is not None:
        from nengo_jit.plot import probes

        probes(sim).savefig(plot)
        typer.echo(f"wrote {plot}")
