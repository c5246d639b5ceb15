"""``nengo-jit resume``: continue a run from its newest checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nengo_jit.cli.errors import BadInputError
from nengo_jit.cli.keeping import Every, Keeping, Out, Plot, check_every, simulate
from nengo_jit.cli.options import (
    EngineName,
    ModelFile,
    Threads,
    check_duration,
    check_options,
    where_we_began,
)

Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="RUN.CKPT", callback=where_we_began, help="As given to run --checkpoint."
    ),
]
Until = Annotated[
    float, typer.Option("--time", "-t", help="Seconds to simulate in all, from the first step on.")
]
ABOUT_CHECKPOINTS = ("path", "record", "state")  # errors about other attributes are the model's


def resume(
    model: ModelFile,
    checkpoint: Checkpoint,
    time: Until = 1.0,
    engine: EngineName = None,
    threads: Threads = None,
    out: Out = None,
    plot: Plot = None,
    every: Every = None,
) -> None:
    """Continue a run from its newest checkpoint, as if it had never stopped.

    Data that went to a store go on to go there.
    """
    check_duration("--time", time)
    keeping = Keeping(out, plot, checkpoint)
    check_options(engine, threads)
    period = check_every(every, dt=0.001)

    from nengo.exceptions import ValidationError

    from nengo_jit import Simulator
    from nengo_jit.cli.errors import running_model
    from nengo_jit.cli.model_file import load
    from nengo_jit.cli.progress import Bar
    from nengo_jit.persistence.checkpoint import is_checkpoint
    from nengo_jit.persistence.periodic import previous_of

    is_swapped = checkpoint.suffix == ".py" and not is_checkpoint(checkpoint)
    if is_swapped or is_checkpoint(model):
        raise BadInputError("Give the model first, then the checkpoint: resume MODEL.PY RUN.CKPT")
    if not (checkpoint.exists() or previous_of(checkpoint).exists()):
        raise BadInputError(f"{checkpoint} does not exist: begin by nengo-jit run --checkpoint")
    network = load(model)
    with running_model():
        try:
            sim = Simulator.resume(
                checkpoint, network, progress_bar=Bar(), engine=engine, threads=threads
            )
        except ValidationError as error:
            if error.attr not in ABOUT_CHECKPOINTS:
                raise
            raise BadInputError(" ".join(str(error.args[0]).split())) from None
        except OSError as error:
            raise BadInputError(f"{error.filename} cannot be read: {error.strerror}") from None
    with sim:
        n_steps = round(time / sim.dt) - sim.n_steps
        if n_steps < 0:
            raise BadInputError(
                f"The checkpoint is at {sim.time:g} s already: --time is the end, not {time:g} s"
            )
        typer.echo(f"{model}: continued at {sim.time:g} s on the engine '{sim.engine}'")
        simulate(model, sim, n_steps, keeping, period)
