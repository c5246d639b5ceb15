"""What it costs to let probe data stream to disk: steps of 10,000 recorded values.

    python benchmarks/streaming.py [--steps 5000] [--folder .]

Runs alternate between data in memory and on disk. A line for each kind of data has the time of a
step and the ratio, each the best of all rounds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import nengo

import nengo_jit

ROUNDS = 4


def model(kind: str) -> nengo.Network:
    """Make a network of 10,000 neurons with noise, whose voltages or spikes are recorded."""
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(10_000, 1, noise=nengo.processes.WhiteNoise())
        ensemble.eval_points = nengo.dists.Uniform(-1, 1)
        nengo.Probe(ensemble.neurons, kind)
    return net


def seconds_of_a_step(sim: nengo_jit.Simulator, n_steps: int) -> float:
    """Run a number of steps; returns the time that each takes."""
    start = perf_counter()
    sim.run_steps(n_steps)
    return (perf_counter() - start) / n_steps


def main() -> None:
    """Measure both kinds of data, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    print("recorded    in memory    on disk    ratio")
    for kind in ("voltage", "output"):
        folder = Path(tempfile.mkdtemp(dir=arguments.folder))
        try:
            net = model(kind)
            times: dict[str, list[float]] = {"memory": [], "disk": []}
            options = {"memory": {}, "disk": {"record": folder / "run.zarr", "overwrite": True}}
            for _ in range(ROUNDS):
                for name, option in options.items():
                    with nengo_jit.Simulator(net, progress_bar=False, **option) as sim:
                        sim.run_steps(100)
                        times[name].append(seconds_of_a_step(sim, arguments.steps))
            memory, disk = min(times["memory"]), min(times["disk"])
            micro = f"{1e6 * memory:8.1f} us {1e6 * disk:7.1f} us"
            print(f"{kind:9} {micro} {disk / memory:8.2f}", flush=True)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
