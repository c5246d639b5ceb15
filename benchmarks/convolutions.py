#!/usr/bin/env python3
"""Print how fast convolutions of many kinds are, and Poisson draws, with nengo's steps beside them.

    convolutions.py
    convolutions.py --bits 32 --threads 1 --models field decoder

Each model is one operator on an input that changes in each step. Times are the best of several
batches of steps; a rate is in billions of products in a second.
"""

import argparse
import time

import nengo
import numpy as np

import nengo_jit

Convolution, Transposed = nengo.Convolution, nengo.ConvolutionTranspose
UP = {"strides": (2, 2), "padding": "same"}
KINDS = {
    "field": lambda: Convolution(1, (40, 40, 1), kernel_size=(15, 15), padding="same"),
    "few filters": lambda: Convolution(4, (32, 32, 3)),
    "few, strides of 2": lambda: Convolution(4, (32, 32, 3), strides=(2, 2), padding="same"),
    "one dimension": lambda: Convolution(8, (1000, 4), kernel_size=(9,), strides=(1,)),
    "many filters": lambda: Convolution(32, (13, 13, 16), strides=(2, 2)),
    "channels first": lambda: Convolution(16, (3, 32, 32), channels_last=False),
    "one pixel": lambda: Convolution(32, (16, 16, 32), kernel_size=(1, 1)),
    "channelwise": lambda: Convolution(32, (32, 32, 32), groups=32),
    "decoder": lambda: Transposed(16, (7, 7, 32), **UP),
    "decoder, one filter": lambda: Transposed(1, (13, 13, 16), **UP),
}
RATES = {f"{rate} Hz": rate for rate in (20, 100, 1000)}
N_POISSON = 5000


def convolution(kind):
    """A network of one convolution, and how many products a step takes."""
    transform = KINDS[kind]()
    with nengo.Network(seed=0) as net:
        images = np.random.RandomState(0).randn(20, transform.size_in)
        stim = nengo.Node(nengo.processes.PresentInput(images, 0.001))
        out = nengo.Node(size_in=transform.size_out)
        nengo.Connection(stim, out, transform=transform, synapse=None)
        nengo.Probe(out, sample_every=1.0)
    moved = "input_shape" if isinstance(transform, Transposed) else "output_shape"
    pixels = np.prod(getattr(transform, moved).spatial_shape)
    return net, pixels * np.prod(transform.kernel_shape)


def poisson(kind):
    """A network of neurons that spike at random at a constant rate, and how many they are."""
    with nengo.Network(seed=0) as net:
        neurons = nengo.Ensemble(
            N_POISSON,
            1,
            neuron_type=nengo.PoissonSpiking(nengo.RectifiedLinear()),
            gain=np.ones(N_POISSON),
            bias=np.full(N_POISSON, RATES[kind]),
        ).neurons
        nengo.Probe(neurons, sample_every=1.0)
    return net, N_POISSON


def step_time(simulator, net, **options):
    """Shortest time of a step (seconds)."""
    with simulator(net, progress_bar=False, **options) as sim:
        sim.run_steps(200)
        best = np.inf
        for _ in range(10):
            start = time.perf_counter()
            sim.run_steps(100)
            best = min(best, (time.perf_counter() - start) / 100)
    return best


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--models", nargs="*", default=[*KINDS, *RATES])
    args = parser.parse_args()
    nengo.rc["precision"]["bits"] = str(args.bits)
    print(f"{'model':20s} {'nengo, us':>10s} {'ours, us':>9s} {'x':>6s} {'G/s':>6s}")
    for kind in args.models:
        net, work = convolution(kind) if kind in KINDS else poisson(kind)
        theirs = step_time(nengo.Simulator, net)
        ours = step_time(nengo_jit.Simulator, net, threads=args.threads)
        print(
            f"{kind:20s} {theirs * 1e6:10.1f} {ours * 1e6:9.1f} {theirs / ours:6.1f} "
            f"{work / ours / 1e9:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
