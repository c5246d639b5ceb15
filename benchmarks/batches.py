"""Compare a batch with a loop of single simulations: time a step and member, and memory.

    .venv/bin/python benchmarks/batches.py [--models integrator pes] [--members 1 8 64 512]
        [--threads 2] [--engines cpu jax] [--bits 64]

The loop is one simulator with ``threads=1`` on the engine `cpu`, whatever the engine of the batch.
It runs as many steps at a time as each member, and its time a step stands for that of each member.
The two run by turns, and the best of several runs of each counts. "CPU" is the ratio of processor
times, which other programs on the machine hardly disturb: with t threads, the ratio of times is up
to t times as large on idle cores. A batch that does not fit in memory has a line that says so.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import nengo
from models import MODELS
from nengo.exceptions import ValidationError

import nengo_jit

CHOSEN = ["integrator", "basal_ganglia", "pes", "unsupervised", "noisy_mix"]
BUDGET = 0.5  # seconds of processor time for a run of all members
LEAST = 500  # steps of a run
REPEATS = 5
WARM_UP = (100, 300, 100)  # steps
LOOPS = 16  # runs of the loop that are timed, at most


def measured(run: Callable[[int], None], n_steps: int, n_runs: int = 1) -> tuple[float, float]:
    """Return the time and the processor time of a step (seconds)."""
    begin, used = perf_counter(), process_time()
    for _ in range(n_runs):
        run(n_steps)
    n_steps *= n_runs
    return (perf_counter() - begin) / n_steps, (process_time() - used) / n_steps


def steps_in_budget(sim: nengo_jit.Simulator) -> int:
    """Warm up; return the number of steps that a run in a budget has."""
    for n_steps in WARM_UP:
        seconds = measured(sim.run_steps, n_steps)[1]
        if seconds * n_steps > BUDGET:
            break
    return max(LEAST, int(BUDGET / seconds))


def best(results: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the best time and the best processor time."""
    times, processor_times = zip(*results)
    return min(times), min(processor_times)


def resident() -> float:
    """Return the memory of the process (MiB)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def compare(name: str, n_members: int, engine: str, threads: int | None) -> None:
    """Print a line of the table."""
    with nengo_jit.Simulator(MODELS[name](), engine="cpu", threads=1, progress_bar=False) as single:
        single.run_steps(sum(WARM_UP))
        before = resident()
        try:
            batch = nengo_jit.Simulator(
                MODELS[name](), engine=engine, batch=n_members, threads=threads, progress_bar=False
            )
        except ValidationError as error:
            print(f"{name:15} {engine:9} {n_members:5} {error}", flush=True)
            return
        with batch:
            n_steps, n_loops = steps_in_budget(batch), min(n_members, LOOPS)
            memory = resident() - before
            pairs = [
                (
                    measured(single.run_steps, n_steps, n_loops),
                    measured(batch.run_steps, n_steps),
                )
                for _ in range(REPEATS)
            ]
    loop, loop_used = best([pair[0] for pair in pairs])
    each, each_used = (value / n_members for value in best([pair[1] for pair in pairs]))
    print(
        f"{name:15} {engine:9} {n_members:5} {1e6 * loop:9.2f} {1e6 * each:9.2f} "
        f"{loop / each:6.2f} {loop_used / each_used:6.2f} {memory:8.1f}",
        flush=True,
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=CHOSEN)
    parser.add_argument("--members", nargs="+", type=int, default=[1, 8, 64, 512])
    parser.add_argument("--engines", nargs="+", default=["cpu", "jax"], choices=("cpu", "jax"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--bits", type=int, choices=(32, 64), default=64)
    arguments = parser.parse_args()
    nengo.rc.set("precision", "bits", str(arguments.bits))
    print("model           engine  members loop (us) batch (us)  ratio    CPU      MiB")
    for name in arguments.models:
        for engine in arguments.engines:
            for n_members in arguments.members:
                compare(name, n_members, engine, arguments.threads)


if __name__ == "__main__":
    main()
