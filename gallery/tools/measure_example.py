"""Run one example in this process, with the simulator that is asked for, and print its times.

    measure_example.py lorenz.py nengo_jit.Simulator --style dark --picture lorenz.dark.png

The example is run as it is: ``nengo_jit.Simulator`` in it is replaced by a simulator that counts
the seconds of building and running, and ``nengo_jit.sweep`` by a loop if it is to be nengo's. The
last line that is printed is a JSON object.
"""

import argparse
import itertools
import json
import runpy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import matplotlib
import matplotlib.pyplot as plt
import nengo
import numpy as np
import xarray

import nengo_jit

HERE = Path(__file__).parent


def loop(
    make_network: Callable[..., nengo.Network],
    parameters: dict[str, list[object]],
    seeds: Sequence[int],
    time: float,
    progress_bar: bool,
) -> xarray.Dataset:
    """Do what ``nengo_jit.sweep`` does, for one probe, by a loop of nengo's simulators."""
    samples = []
    for *values, seed in itertools.product(*parameters.values(), seeds):
        network = make_network(**dict(zip(parameters, values)))
        network.seed = seed
        with nengo.Simulator(network, progress_bar=progress_bar) as sim:
            sim.run(time)
        samples.append(sim.data[network.probes[0]])
    shape = [*(len(values) for values in parameters.values()), len(seeds), *samples[0].shape]
    data = (*parameters, "seed", "time", "element"), np.reshape(samples, shape)
    coordinates = {
        name: [each if isinstance(each, int | float) else str(each) for each in values]
        for name, values in {**parameters, "seed": seeds, "time": sim.trange()}.items()
    }
    return xarray.Dataset({network.probes[0].label: data}, coordinates)


def measure(script: Path, simulator: type) -> dict[str, float]:
    """Run an example, and return the seconds that its simulators took."""
    seconds = {"build": 0.0, "run": 0.0}

    class Timed(simulator):
        def __init__(self, *args: object, **kwargs: object) -> None:
            began = time.perf_counter()
            super().__init__(*args, **kwargs)
            seconds["build"] += time.perf_counter() - began

        def run_steps(self, *args: object, **kwargs: object) -> None:
            began = time.perf_counter()
            super().run_steps(*args, **kwargs)
            seconds["run"] += time.perf_counter() - began

    sweeps: dict[type, Callable[..., xarray.Dataset]] = {
        nengo.Simulator: loop,
        nengo_jit.Simulator: nengo_jit.sweep,
    }

    def timed_sweep(*args: object, **kwargs: object) -> xarray.Dataset:
        began = time.perf_counter()
        results = sweeps[simulator](*args, **kwargs)
        seconds["run"] += time.perf_counter() - began
        return results

    nengo.rc["decoder_cache"]["enabled"] = "False"  # otherwise a later build is flattered
    with patch.multiple(nengo_jit, Simulator=Timed, sweep=timed_sweep), patch.object(plt, "show"):
        runpy.run_path(str(script), run_name="__main__")
    return seconds


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("script", type=Path)
    parser.add_argument("simulator", choices=["nengo_jit.Simulator", "nengo.Simulator"])
    parser.add_argument("--style", choices=["light", "dark"], default="light")
    parser.add_argument("--picture", type=Path, help="file to write")
    options = parser.parse_args()
    matplotlib.use("agg")
    plt.style.use([HERE / "gallery.mplstyle", HERE / f"{options.style}.mplstyle"])
    ours = options.simulator == "nengo_jit.Simulator"
    seconds = measure(options.script, nengo_jit.Simulator if ours else nengo.Simulator)
    if options.picture is not None:
        plt.gcf().savefig(options.picture)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
