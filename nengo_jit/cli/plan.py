"""``nengo-jit plan``: print how a model runs."""

from __future__ import annotations

import typer

from nengo_jit.cli.options import Dt, EngineName, ModelFile, Threads, check_duration, check_options


def plan(
    model: ModelFile, dt: Dt = 0.001, engine: EngineName = None, threads: Threads = None
) -> None:
    """Print how a model runs: groups of operators, kernels, threads, and Python functions."""
    check_duration("--dt", dt)
    check_options(engine, threads)

    from nengo_jit import Simulator
    from nengo_jit.cli.errors import running_model
    from nengo_jit.cli.model_file import load
    from nengo_jit.cli.progress import Bar

    network = load(model)
    with (
        running_model(),
        Simulator(network, dt, progress_bar=Bar(), engine=engine, threads=threads) as sim,
    ):
        text = str(sim.plan)
    typer.echo(text)
