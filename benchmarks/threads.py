#!/usr/bin/env python3
"""Whether threads pay: steps with one thread, with two, and with the default number.

    threads.py                                        # models of much memory or many products
    threads.py dense_recurrent convnet --bits 32
    threads.py --file my_models.py mine               # a file with MODELS = {name: function}

For each model: microseconds for a step with each number of threads, the best of several short runs
on simulators that run in turn, and the time of the default relative to the better of one and two.
It should be 1: threads are used where they pay, and nowhere else. To be run on an idle machine.
"""

import argparse
import pathlib
import warnings

import compare
import nengo
from busy import steps_in, time_of

import nengo_jit

MODELS = ("dense_recurrent", "convnet", "ensemble_array", "unsupervised", "pes", "many_ensembles")
SECONDS = 0.1  # of each run
WARM_UP = 2500  # steps, after which functions are trusted and threads have been measured
NUMBERS = (1, 2, None)


def measure(name, make, repeats):
    """Print a line for a model."""
    sims = [nengo_jit.Simulator(make(), progress_bar=False, threads=n) for n in NUMBERS]
    for sim in sims:
        sim.run_steps(WARM_UP)
        sim.clear_probes()
    n_steps = steps_in(sims[0], SECONDS)
    best = [float("inf")] * len(sims)
    for _ in range(repeats):
        for i, sim in enumerate(sims):
            best[i] = min(best[i], 1e6 * time_of(sim, n_steps) / n_steps)
    for sim in sims:
        sim.close()
    figures = "".join(f"{each:12.1f}" for each in best)
    print(f"{name:22}{figures}{best[-1] / min(best[:-1]):8.2f}", flush=True)


def main():
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*")
    parser.add_argument("--file", type=pathlib.Path, default=compare.HERE / "models.py")
    parser.add_argument("--bits", default="64")
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    nengo.rc["decoder_cache"]["enabled"] = "False"
    nengo.rc["precision"]["bits"] = args.bits
    models = compare.load_models(args.file)
    chosen = args.models or [each for each in MODELS if each in models] or list(models)
    print(f"{'model':22}{'one thread':>12}{'two':>12}{'default':>12}{'default':>8}")
    for name in chosen:
        measure(name, models[name], args.repeats)


if __name__ == "__main__":
    main()
