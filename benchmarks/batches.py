"""Compare a batch with a loop of single simulations: time a step and member, and memory.

    .venv/bin/python benchmarks/batches.py [--models integrator pes] [--members 1 8 64 512]
        [--threads 2] [--engines cpu jax] [--bits 64]

The loop is one simulator with ``threads=1`` on the engine `cpu`, whatever the engine of the batch,
and its time a step stands for that of each member.
The two run by turns, and the best of several runs of each counts. "CPU" is the ratio of processor
times, which other programs on the machine hardly disturb: with t threads, the ratio of times is up
to t times as large on idle cores.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import nengo
from models import MODELS

import nengo_jit

CHOSEN = ["integrator", "basal_ganglia", "pes", "unsupervised", "noisy_mix"]
BUDGET = 0.5  # seconds of processor time for a run of all members
REPEATS = 5


def measured(run: Callable[[int], None], n_steps: int) -> tuple[float, float]:
    """Return the time and the processor time of a step (seconds)."""
    begin, used = perf_counter(), process_time()
    run(n_steps)
    return (perf_counter() - begin) / n_steps, (process_time() - used) / n_steps


def steps_in_budget(sim: nengo_jit.Simulator, n_runs: int = 1) -> int:
    """Warm up; return the number of steps that one of several runs in a budget has."""
    sim.run_steps(300)
    return max(50, int(BUDGET / n_runs / measured(sim.run_steps, 100)[1]))


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
        n_single = steps_in_budget(single, n_members)
        before = resident()
        with nengo_jit.Simulator(
            MODELS[name](), engine=engine, batch=n_members, threads=threads, progress_bar=False
        ) as batch:
            n_steps = steps_in_budget(batch)
            memory = resident() - before
            pairs = [
                (measured(single.run_steps, n_single), measured(batch.run_steps, n_steps))
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
    parser.add_argument("--engines", nargs="+", default=["cpu"], choices=("cpu", "jax"))
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
