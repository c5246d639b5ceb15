"""Memory stays flat: in a long run whose probe data stream to disk, and over many simulators.

python tests/soak/lasting.py [--steps 100000000] [--simulators 2000]
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import nengo

import nengo_jit

MOST_GROWTH = 40.0  # MiB, from the first tenth to the end


def memory() -> float:
    """Resident memory of this process (MiB)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def network() -> nengo.Network:
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(nengo.processes.WhiteNoise(), size_out=1)
        ensemble = nengo.Ensemble(10, 1)
        nengo.Connection(stimulus, ensemble)
        nengo.Probe(ensemble, synapse=0.01)
        nengo.Probe(ensemble.neurons, sample_every=0.01)
    return net


def long_run(folder: Path, n_steps: int) -> list[float]:
    """Memory after each tenth of a long run with checkpoints."""
    found = []
    with nengo_jit.Simulator(network(), progress_bar=False, record=folder / "run.zarr") as sim:
        start = perf_counter()
        for tenth in range(10):
            sim.run_steps(n_steps // 10, checkpoint=folder / "run.ckpt", every="30 s")
            found.append(memory())
            seconds = perf_counter() - start
            print(f"{sim.n_steps} steps, {seconds:.0f} s: {found[-1]:.0f} MiB", flush=True)
        assert len(sim.data[sim.model.probes[0]]) == sim.n_steps
    return found


def many_simulators(folder: Path, n: int) -> list[float]:
    """Memory after each tenth of many simulators, each of which is made, run, saved and closed."""
    found = []
    for tenth in range(10):
        for _ in range(n // 10):
            path = folder / "many.zarr"
            with nengo_jit.Simulator(
                network(), progress_bar=False, record=path, overwrite=True
            ) as sim:
                sim.run_steps(50)
                sim.save(folder / "many.ckpt")
        found.append(memory())
        print(f"{(tenth + 1) * (n // 10)} simulators: {found[-1]:.0f} MiB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10**8)
    parser.add_argument("--simulators", type=int, default=2000)
    arguments = parser.parse_args()
    nengo.rc.set("decoder_cache", "enabled", "False")
    folder = Path(tempfile.mkdtemp())
    try:
        for found in (
            many_simulators(folder, arguments.simulators),
            long_run(folder, arguments.steps),
        ):
            growth = found[-1] - found[0]
            assert growth < MOST_GROWTH, f"memory has grown by {growth:.0f} MiB"
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
