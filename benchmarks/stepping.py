#!/usr/bin/env python3
"""Time simulators that are stepped one step at a time, as robots and user interfaces do.

    stepping.py                                      # all models
    stepping.py --models lorenz pes --repeats 3
    stepping.py --file my_models.py --models mine    # a file with MODELS = {name: function}

For each model: microseconds for a step of `run_steps` and for a call of `step`, on one simulator
in turn, medians over the repeats. A call of `step` should take at most 1.5 times a step of
`run_steps` and 3 microseconds; `over` is by what factor it takes longer than that.
"""

import argparse
import pathlib
import statistics
import time
import warnings

import compare
import nengo
from busy import steps_in, time_of

import nengo_jit

SECONDS = 0.2
WARM_UP = 2500  # steps after which functions are trusted, see docs/architecture.md


def time_of_calls(sim, n_steps):
    """Seconds that a number of calls of ``step`` take."""
    step = sim.step
    start = time.perf_counter()
    for _ in range(n_steps):
        step()
    took = time.perf_counter() - start
    sim.clear_probes()
    return took


def measure(name, make, repeats):
    """Print a line for a model."""
    with nengo_jit.Simulator(make(), progress_bar=False) as sim:
        sim.run_steps(WARM_UP)
        n_steps = steps_in(sim, SECONDS)
        times = [
            [1e6 * measured(sim, n_steps) / n_steps for measured in (time_of, time_of_calls)]
            for _ in range(repeats)
        ]
    run, step = (statistics.median(column) for column in zip(*times))
    print(f"{name:22}{run:12.1f}{step:12.1f}{step / (1.5 * run + 3):8.2f}", flush=True)


def main():
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--file", type=pathlib.Path, default=compare.HERE / "models.py")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    nengo.rc["decoder_cache"]["enabled"] = "False"
    models = compare.load_models(args.file)
    print(f"{'model':22}{'run_steps':>12}{'step':>12}{'over':>8}")
    for name in args.models or models:
        measure(name, models[name], args.repeats)


if __name__ == "__main__":
    main()
