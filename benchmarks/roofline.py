#!/usr/bin/env python3
"""Print how far the steps of large models are from what the machine's memory and cores allow.

    roofline.py
    roofline.py --threads 1 --models dense_recurrent ensemble_array

For each model, the bytes that a step has to read and write and the operations that it has to do are
counted from its plan: every operand once, but of weights that read spikes only the columns of those
neurons that spike, as many as were counted in the run. The limits are measured on the same machine:
memory bandwidth with an array as large as what the step touches, and arithmetic with a product of
matrices (Williams et al. 2009, "Roofline"). Below the larger of the two times no step can be.
"""

import argparse
import time
import warnings
from functools import partial

import nengo
import numpy as np
from growth import N_EVAL_POINTS
from models import MODELS, lorenz, many_ensembles

import nengo_jit
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import DotInc

N_STEPS = 20  # that are timed together
OPERATIONS_OF_A_NEURON = 30  # of LIF, about


def best_time(function, seconds=0.5):
    """Shortest time of a call (seconds)."""
    function()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def bandwidth(n_bytes):
    """Bytes per second of ``a += b``, for arrays of so many bytes together."""
    n = max(int(n_bytes) // 16, 512)
    a, b = np.zeros(n), np.ones(n)
    return 3 * a.nbytes / best_time(lambda: np.add(a, b, out=a))


def fp_control():
    """Operations per second of a product of matrices, with all of NumPy's threads."""
    a = np.ones((1000, 1000))
    return 2e9 / best_time(lambda: a @ a)


def needs(sim, activity):
    """Bytes and operations of a step."""
    spikes = {
        op.output for op in sim.plan.operators if isinstance(op, SimNeurons) and op.neurons.spiking
    }
    n_bytes = n_operations = 0.0
    for op in sim.plan.operators:
        for signal in op.all_signals:
            share = activity if isinstance(op, DotInc) and op.X in spikes and signal is op.A else 1
            n_bytes += signal.nbytes * share
        if isinstance(op, DotInc):
            n_operations += 2 * op.A.size * (activity if op.X in spikes else 1)
        elif isinstance(op, SimNeurons):
            n_operations += OPERATIONS_OF_A_NEURON * op.output.size
    return n_bytes, n_operations


def activity_of(sim, n_steps=50):
    """Share of neurons that spike in a step."""
    outputs = [op.output for op in sim.plan.operators if isinstance(op, SimNeurons)]
    n_spikes = 0
    for _ in range(n_steps):
        sim.step()
        n_spikes += sum(np.count_nonzero(sim.signals[output]) for output in outputs)
    return n_spikes / n_steps / max(sum(output.size for output in outputs), 1)


def bindings(dimensions, n=8):
    """Pairs of vectors that are bound, in buffers that are gated: most of what Spaun does."""
    with nengo.Network(seed=0) as net:
        gate = nengo.Ensemble(100, 1)
        for _ in range(n):
            buffers = [nengo.networks.EnsembleArray(50, dimensions) for _ in range(2)]
            bind = nengo.networks.CircularConvolution(112, dimensions)
            for buffer, target in zip(buffers, (bind.input_a, bind.input_b)):
                nengo.Connection(buffer.output, buffer.input, synapse=0.1)
                nengo.Connection(buffer.output, target)
                nengo.Connection(bind.output, buffer.input, transform=0.2)
                for ensemble in buffer.ensembles:
                    nengo.Connection(gate, ensemble.neurons, transform=-np.ones((50, 1)))
    return net


LARGE = {
    "ensemble_array": MODELS["ensemble_array"],
    "dense_recurrent": MODELS["dense_recurrent"],
    "many_ensembles, 1,600": lambda: many_ensembles(1600),
    "lorenz, 100,000": lambda: lorenz(100_000),
    "lorenz, 1,000,000": lambda: lorenz(1_000_000),
    "bindings, 64": lambda: bindings(64),
}


def main():
    """Measure the models and the machine, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=list(LARGE), default=list(LARGE))
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    args = parser.parse_args()
    nengo.rc.set("decoder_cache", "enabled", "False")
    warnings.filterwarnings("ignore", category=UserWarning)
    peak = fp_control()
    print(f"arithmetic: {peak / 1e9:.0f} billion operations per second")
    print(
        f"{'model':24s}{'MiB':>9s}{'GB/s':>8s}{'memory us':>11s}{'arith. us':>11s}{'step us':>10s}"
    )
    for name in args.models:
        network = LARGE[name]()
        for ensemble in network.all_ensembles:
            ensemble.n_eval_points = N_EVAL_POINTS
        with nengo_jit.Simulator(network, progress_bar=False, threads=args.threads) as sim:
            sim.run_steps(200)
            n_bytes, n_operations = needs(sim, activity_of(sim))
            step = best_time(partial(sim.run_steps, N_STEPS), 2.0) / N_STEPS
        speed = bandwidth(n_bytes)
        print(
            f"{name:24s}{n_bytes / 2**20:9.1f}{speed / 1e9:8.1f}{n_bytes / speed * 1e6:11.1f}"
            f"{n_operations / peak * 1e6:11.1f}{step * 1e6:9.1f}"
        )


if __name__ == "__main__":
    main()
