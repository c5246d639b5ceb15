#!/usr/bin/env python3
"""Time steps on a machine that is busy with other processes: one thread, the default, and nengo.

    busy.py                                        # five models, 0 to 10 processes beside them
    busy.py --models lorenz pes --busy 5 --repeats 3
    busy.py --others                               # all other models, five processes beside them
    busy.py --file my_models.py --models mine      # a file with MODELS = {name: function}

For each model, three simulators are built on an idle machine. Then processes are started that do
nothing but compute, and the simulators run in turn, as many steps as take one thread a third of a
second when nothing else runs. Figures are medians over the repeats, in microseconds a step; the
ratio is the median of the ratios of the default to one thread, pair by pair: above 1 threads cost.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import time
import warnings

import compare
import nengo

import nengo_jit

MAIN = ("integrator", "unsupervised", "many_ensembles", "noisy_mix", "dense_recurrent")
SECONDS = 0.33


def steps_in(sim, seconds):
    """How many steps a simulator does in a time."""
    sim.run_steps(50)
    n_steps = 50
    while True:
        took = time_of(sim, n_steps)
        if took > 0.3 * seconds:
            return max(1, round(n_steps * seconds / took))
        n_steps *= 3


def time_of(sim, n_steps):
    """Seconds that a simulator takes for a number of steps."""
    start = time.perf_counter()
    sim.run_steps(n_steps)
    took = time.perf_counter() - start
    sim.clear_probes()
    return took


class BusyProcesses:
    """Context in which a number of other processes compute."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        loop = [sys.executable, "-c", "while True: pass"]
        self.processes = [subprocess.Popen(loop) for _ in range(self.number)]
        time.sleep(0.2 if self.processes else 0.0)

    def __exit__(self, *exception):
        for process in self.processes:
            process.kill()
            process.wait()


def measure(name, make, numbers, repeats, with_nengo):
    """Print a line for each number of busy processes."""
    net = make()
    simulators = [
        nengo_jit.Simulator(net, progress_bar=False, threads=1),
        nengo_jit.Simulator(net, progress_bar=False),
    ]
    if with_nengo:
        simulators.append(nengo.Simulator(net, progress_bar=False))
    n_steps = steps_in(simulators[0], SECONDS)
    n_of_nengo = max(1, min(n_steps, steps_in(simulators[-1], SECONDS)))
    counts = [n_steps, n_steps, n_of_nengo]
    for number in numbers:
        with BusyProcesses(number):
            times = [
                [1e6 * time_of(sim, n) / n for sim, n in zip(simulators, counts)]
                for _ in range(repeats)
            ]
        ratio = statistics.median(default / one for one, default, *_ in times)
        steps = "".join(f"{statistics.median(column):12.1f}" for column in zip(*times))
        print(f"{name:22}{number:5}{ratio:9.2f}{steps}", flush=True)
    for sim in simulators:
        sim.close()


def main():
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--file", type=pathlib.Path, default=compare.HERE / "models.py")
    parser.add_argument("--busy", type=int, nargs="*")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--without-nengo", action="store_true")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    nengo.rc["decoder_cache"]["enabled"] = "False"
    models = compare.load_models(args.file)
    names = args.models or ([name for name in models if name not in MAIN] if args.others else MAIN)
    numbers = args.busy or ([5] if args.others else [0, 2, 5, 10])
    print(f"{'model':22}{'busy':>5}{'ratio':>9}{'one thread':>12}{'default':>12}{'nengo':>12}")
    for name in names:
        measure(name, models[name], numbers, args.repeats, not args.without_nengo)


if __name__ == "__main__":
    main()
