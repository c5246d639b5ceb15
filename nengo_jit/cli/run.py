"""``nengo-jit run``: simulate a model and keep what its probes recorded."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from nengo_jit.cli.errors import BadInputError
from nengo_jit.cli.keeping import Every, Keeping, Out, Plot, check_every, simulate
from nengo_jit.cli.options import (
    Dt,
    EngineName,
    ModelFile,
    Seconds,
    Seed,
    Threads,
    check_options,
    check_time,
    where_we_began,
)

if TYPE_CHECKING:
    import nengo

Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="RUN.zarr",
        callback=where_we_began,
        help="Store that samples go to meanwhile.",
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="RUN.ckpt",
        callback=where_we_began,
        help="File for checkpoints, to resume from.",
    ),
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
    record: Record = None,
    checkpoint: Checkpoint = None,
    every: Every = None,
) -> None:
    """Run a model. Ctrl-C ends the run, and keeps the data so far."""
    check_time(time, dt)
    keeping = Keeping(out, plot, checkpoint, record)
    if checkpoint is not None and checkpoint.exists():
        raise BadInputError(
            f"{checkpoint} exists already: go on by nengo-jit resume, or choose another path"
        )
    if every is not None and checkpoint is None:
        raise BadInputError("--every needs --checkpoint")
    check_options(engine, threads)
    period = check_every(every, dt)

    from nengo_jit import Simulator
    from nengo_jit.cli.errors import running_model
    from nengo_jit.cli.model_file import load
    from nengo_jit.cli.progress import Bar

    network = load(model)
    typer.echo(f"{model}: {_contents(network)}")
    began = perf_counter()
    with running_model():
        sim = Simulator(
            network, dt, seed, progress_bar=Bar(), engine=engine, threads=threads, record=record
        )
    with sim:
        typer.echo(f"built in {perf_counter() - began:.2f} s for the engine '{sim.engine}'")
        simulate(model, sim, round(time / dt), keeping, period)


def _contents(network: nengo.Network) -> str:
    """What a network consists of, in a line."""
    from nengo_jit.planner.printing import counted

    counts = {
        "neuron": network.n_neurons,
        "ensemble": len(network.all_ensembles),
        "node": len(network.all_nodes),
        "connection": len(network.all_connections),
        "probe": len(network.all_probes),
    }
    return ", ".join(counted(n, kind) for kind, n in counts.items() if n) or "nothing"
