#!/usr/bin/env python3
"""Where the time goes until a simulator has finished its first step.

    build_stages.py                          # all models of models.py
    build_stages.py many_ensembles noisy_mix --repeats 5

For each model: CPU seconds in each stage on one thread, their sum, and wall-clock seconds with all
cores. Each row is the quickest of the repeats, in one process with the kernels loaded and nengo's
decoder cache off. Then wall-clock seconds with nengo's decoder cache, which is on by default: with
an empty one, and with one that has the decoders. The stages:

    sampling   evaluation points, encoders, gains and biases of ensembles
    rates      of neurons, at evaluation points
    solving    targets, systems of equations and their solution
    objects    everything else that building does: signals, operators, synapses, transforms
    planning   dependencies, order, groups, layout
    engine     memory, lowering, the first step
"""

import argparse
import tempfile
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from functools import wraps

import nengo
from models import MODELS

import nengo_jit
from nengo_jit.builder import Model, ensemble, network, solver, systems
from nengo_jit.engines import backend

STAGES = ("sampling", "rates", "solving", "objects", "planning", "engine")
WALL_CLOCK = ("all cores", "no hits", "cached")

# What belongs to a stage, but for what it calls that belongs to another one.
FUNCTIONS = (
    ("sampling", ensemble, "gen_eval_points"),
    ("sampling", ensemble, "get_encoders"),
    ("sampling", ensemble, "get_gain_bias"),
    ("rates", systems, "rates"),
    ("rates", solver, "rates"),
    ("rates", ensemble, "gain_bias"),
    ("solving", solver, "build_decoders"),
    ("objects", network, "seed_network"),
    ("planning", backend, "make_plan"),
)


class Stopwatch:
    """CPU seconds by stage; a stage within another one stops the outer one's clock."""

    def __init__(self):
        self.seconds = Counter()
        self._stages = ["engine"]
        self._since = time.process_time()

    def _enter(self, stage):
        now = time.process_time()
        self.seconds[self._stages[-1]] += now - self._since
        self._since = now
        self._stages.append(stage)

    def _leave(self):
        self._enter(None)
        del self._stages[-2:]

    def timed(self, stage, function):
        """The function, with its time on the stage's account."""

        @wraps(function)
        def call(*args, **kwargs):
            self._enter(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()

        return call


@contextmanager
def timed_stages():
    """Context in which the stages' functions are timed; yields the stopwatch."""
    stopwatch = Stopwatch()
    before = [(module, name, getattr(module, name)) for _, module, name in FUNCTIONS]
    build = Model.build
    for stage, module, name in FUNCTIONS:
        setattr(module, name, stopwatch.timed(stage, getattr(module, name)))
    Model.build = stopwatch.timed("objects", build)
    try:
        yield stopwatch
        stopwatch._enter(None)
    finally:
        Model.build = build
        for module, name, function in before:
            setattr(module, name, function)


def make_ready(network, **options):
    """Build a network and run one step; returns the seconds it took."""
    start = time.perf_counter()
    with nengo_jit.Simulator(network, progress_bar=False, **options) as sim:
        sim.run_steps(1, progress_bar=False)
        return time.perf_counter() - start


def measure(model, repeats):
    """CPU seconds by stage on one thread, and seconds with all cores, of the quickest repeats.

    The latter are without a decoder cache, with an empty one, and with a full one.
    """
    make_ready(model())  # loads kernels
    rows = []
    for _ in range(repeats):
        net = model()
        with timed_stages() as stopwatch:
            make_ready(net, threads=1)
        rows.append(stopwatch.seconds)
    quickest = min(rows, key=lambda seconds: sum(seconds[stage] for stage in STAGES))
    ready = min(make_ready(model()) for _ in range(repeats))
    with tempfile.TemporaryDirectory() as folder:
        nengo.rc["decoder_cache"].update(enabled="True", path=folder)
        missed = make_ready(model())
        cached = min(make_ready(model()) for _ in range(repeats))
        nengo.rc["decoder_cache"]["enabled"] = "False"
    return quickest, (ready, missed, cached)


def main():
    """Measure the models that were asked for and print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", help="default: all")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    nengo.rc.set("decoder_cache", "enabled", "False")
    warnings.filterwarnings("ignore", category=UserWarning)
    print(f"{'model':22s}" + "".join(f"{s:>10s}" for s in (*STAGES, "sum", *WALL_CLOCK)))
    for name in args.models or MODELS:
        seconds, ready = measure(MODELS[name], args.repeats)
        figures = [seconds[stage] for stage in STAGES]
        row = "".join(f"{figure:10.3f}" for figure in (*figures, sum(figures), *ready))
        print(f"{name:22s}{row}", flush=True)


if __name__ == "__main__":
    main()
