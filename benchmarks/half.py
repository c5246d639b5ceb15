#!/usr/bin/env python3
"""Time steps of models in half precision: nengo, and ours in 16 and 32 bits.

    half.py
    half.py integrator lorenz pes

nengo runs without its optimizer, which needs SciPy's sparse matrices, and these have no half
precision. Prints microseconds a step, the least of several batches, and nengo's time over ours.
"""

import sys
import warnings

import nengo
from models import MODELS
from timing import step_time

import nengo_jit

# Not here: models whose neurons or weights overflow, for which nengo raises an error
NAMES = [
    "integrator",
    "lorenz",
    "circular_convolution",
    "pes",
    "many_ensembles",
    "dense_recurrent",
    "closed_loop",
    "convnet",
]


def time_of(make, name, bits):
    """Return the time of a step (microseconds) of a model in a precision."""
    nengo.rc["precision"]["bits"] = str(bits)
    with make(MODELS[name](), progress_bar=False) as sim:
        return step_time(sim, most_steps=300, budget=3.0)


def unoptimized(network, **options):
    """Make nengo's simulator without its optimizer."""
    return nengo.Simulator(network, optimize=False, **options)


def main(names):
    """Print a table."""
    warnings.simplefilter("ignore")
    nengo.rc["decoder_cache"]["enabled"] = "False"
    print(f"{'model':22s} {'nengo':>10s} {'16 bits':>10s} {'ratio':>7s} {'32 bits':>10s}")
    for name in names:
        theirs = time_of(unoptimized, name, 16)
        ours, single = (time_of(nengo_jit.Simulator, name, bits) for bits in (16, 32))
        print(f"{name:22s} {theirs:10.1f} {ours:10.1f} {theirs / ours:7.1f} {single:10.1f}")


if __name__ == "__main__":
    main(sys.argv[1:] or NAMES)
