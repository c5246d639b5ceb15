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
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import nengo
import numpy as np
import xarray

import nengo_jit

HERE = Path(__file__).parent


def timed(simulator: type) -> tuple[type, dict[str, float]]:
    """Return a subclass of a simulator, and the seconds that its instances have taken so far."""
    seconds = {"build": 0.0, "run": 0.0, "simulated": 0.0}

    class Timed(simulator):
        def __init__(self, *args, **kwargs):
            began = time.perf_counter()
            super().__init__(*args, **kwargs)
            seconds["build"] += time.perf_counter() - began

        def run_steps(self, steps, *args, **kwargs):
            began = time.perf_counter()
            super().run_steps(steps, *args, **kwargs)
            seconds["run"] += time.perf_counter() - began
            seconds["simulated"] += steps * self.dt

    return Timed, seconds


def loop(
    make_network: Callable[..., nengo.Network],
    parameters: dict[str, list],
    seeds: range,
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
    label = network.probes[0].label
    coordinates = {**{name: [str(each) for each in parameters[name]] for name in parameters}}
    coordinates.update(seed=list(seeds), time=sim.trange())
    data = (*parameters, "seed", "time", "element"), np.reshape(samples, shape)
    return xarray.Dataset({label: data}, coordinates)


def measure(script: Path, simulator: type) -> dict[str, float]:
    """Run an example, and return the seconds that its simulators took."""
    nengo_jit.Simulator, seconds = timed(simulator)
    sweep = loop if simulator is nengo.Simulator else nengo_jit.sweep

    def timed_sweep(*args, **kwargs):
        began = time.perf_counter()
        result = sweep(*args, **kwargs)
        seconds["run"] += time.perf_counter() - began
        return result

    nengo_jit.sweep = timed_sweep
    nengo.rc["decoder_cache"]["enabled"] = "False"  # otherwise a later build is flattered
    nengo.rc["progress"]["progress_bar"] = "False"
    runpy.run_path(str(script), run_name="__main__")
    return seconds


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", type=Path)
    parser.add_argument("simulator", choices=["nengo_jit.Simulator", "nengo.Simulator"])
    parser.add_argument("--style", choices=["light", "dark"], default="light")
    parser.add_argument("--picture", type=Path, help="file to write")
    options = parser.parse_args()
    matplotlib.use("agg")
    plt.style.use([HERE / "gallery.mplstyle", HERE / f"{options.style}.mplstyle"])
    plt.show = lambda: None
    module = {"nengo_jit.Simulator": nengo_jit, "nengo.Simulator": nengo}[options.simulator]
    seconds = measure(options.script, module.Simulator)
    if options.picture is not None:
        plt.gcf().savefig(options.picture)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
