"""Sweeps on all cores, against a loop of simulators.

    python benchmarks/sweeps.py [--scale 1.0] [--out FOLDER]

The loop makes and runs a simulator with one thread, and one of BLAS, for some of the seeds, before
and after the sweep of all. A line for each model has the time that a run takes in the loop (the
better half) and in the sweep, how many times as fast the sweep is, and its overhead: the time of a
core that a run takes besides building and running its network. The first sweep of a process takes
some time more, which is printed first: it starts a process that imports what workers need. Without
`--out`, results stay in memory.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import models
import nengo

import nengo_jit
from nengo_jit.parallel import n_cores, one_thread_in_blas

TIME = 1.0  # seconds that are simulated


@dataclass(frozen=True)
class Case:
    """A model, the number of runs in its sweep, and in the loop."""

    make_network: Callable[[], nengo.Network]
    n_runs: int
    n_in_loop: int


CASES = [Case(models.integrator, 1000, 200), Case(models.many_ensembles, 100, 10)]


def loop(make_network: Callable[[], nengo.Network], n_runs: int) -> float:
    """Run simulators, one after the other; returns the time of a run (seconds)."""
    start = perf_counter()
    with one_thread_in_blas():
        for seed in range(n_runs):
            network = make_network()
            network.seed = seed
            with nengo_jit.Simulator(network, threads=1, progress_bar=False) as sim:
                sim.run(TIME)
    return (perf_counter() - start) / n_runs


def timed_sweep(
    make_network: Callable[[], nengo.Network], n_runs: int, out: Path | None
) -> tuple[float, float]:
    """Time a sweep; returns its duration, and the sum of those of its runs (seconds)."""
    start = perf_counter()
    ds = nengo_jit.sweep(make_network, seeds=range(n_runs), time=TIME, out=out, progress_bar=False)
    duration, in_runs = perf_counter() - start, float(ds["seconds"].sum())
    ds.close()
    if out is not None:
        shutil.rmtree(out)
    return duration, in_runs


def main() -> None:
    """Measure all models, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of runs")
    parser.add_argument("--out", type=Path, help="folder for stores")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # that seeds are replaced
    nengo.rc["decoder_cache"]["enabled"] = "False"
    took = [timed_sweep(models.integrator, 2, None)[0] for _ in range(2)]
    print(f"the first sweep starts in {took[0] - took[1]:.2f} s")
    print("model               runs      loop     sweep   times   overhead")
    for case in CASES:
        name = case.make_network.__name__
        n_runs, n_in_loop = (
            max(2, round(arguments.scale * n)) for n in (case.n_runs, case.n_in_loop)
        )
        out = None if arguments.out is None else arguments.out / f"{name}.zarr"
        loop(case.make_network, 2)  # which loads kernels
        before = loop(case.make_network, n_in_loop)
        seconds, in_runs = timed_sweep(case.make_network, n_runs, out)
        swept = seconds / n_runs
        single = min(before, loop(case.make_network, n_in_loop))
        overhead = swept * min(n_cores(), n_runs) - in_runs / n_runs
        print(
            f"{name:16} {n_runs:7} {1e3 * single:6.1f} ms {1e3 * swept:6.1f} ms "
            f"{single / swept:7.2f} {1e3 * overhead:7.2f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
