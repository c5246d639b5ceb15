"""Time training: compile and epochs of a network of spiking neurons, and memory.

    python benchmarks/training.py

The network has 64, 128, 128 and 10 units; each of 1,437 samples is 30 steps long, in batches of 64.
An epoch is the least of several. Other sizes are options; on a GPU, take
``--sizes 784 1024 1024 10 --steps 100 --batch 256``.
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import pairwise

import jax
import nengo
import numpy as np

import nengo_jit


def build(sizes: list[int]) -> tuple[nengo.Network, nengo.Node, nengo.Probe]:
    """Build layers of LIF neurons with random weights between an input and scores."""

    def weights(n_out: int, n_in: int) -> nengo.Dense:
        return nengo.Dense((n_out, n_in), init=nengo.dists.Gaussian(0, (2 / n_in) ** 0.5))

    with nengo.Network(seed=0) as network:
        given = nengo.Node(np.zeros(sizes[0]))
        source, synapse, ones = given, None, nengo.dists.Choice([1])
        for n_in, n in pairwise(sizes[:-1]):
            lif = nengo.LIF(amplitude=0.01)
            layer = nengo.Ensemble(n, 1, neuron_type=lif, gain=ones, bias=ones).neurons
            nengo.Connection(source, layer, transform=weights(n, n_in), synapse=synapse)
            source, synapse = layer, 0.005
        scores = nengo.Node(size_in=sizes[-1])
        nengo.Connection(source, scores, transform=weights(*sizes[:-3:-1]), synapse=synapse)
        return network, given, nengo.Probe(scores)


def main() -> None:
    """Train with random data, and print times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 128, 10])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--samples", type=int, default=1437)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--bits", choices=["32", "64"], default="32")
    arguments = parser.parse_args()
    nengo.rc["precision"]["bits"] = arguments.bits
    rng = np.random.RandomState(0)
    network, given, scores = build(arguments.sizes)
    x = np.repeat(rng.rand(arguments.samples, 1, arguments.sizes[0]), arguments.steps, axis=1)
    y = rng.randint(arguments.sizes[-1], size=arguments.samples)
    began = time.perf_counter()
    trainer = nengo_jit.Trainer(network, batch=arguments.batch, seed=0)
    built = time.perf_counter() - began
    history = trainer.fit(
        {given: x},
        {scores: y},
        loss="cross_entropy_mean",
        epochs=arguments.epochs,
        progress_bar=False,
    )
    seconds, *others = history["seconds"]
    n_batches = -(-arguments.samples // arguments.batch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"device {jax.devices()[0].device_kind}, float{arguments.bits}")
    print(f"built in {built:.2f} s; first epoch, with compiling, {seconds:.2f} s")
    print(f"epoch {min(others):.3f} s, {min(others) / n_batches * 1e3:.2f} ms a training step")
    print(f"peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
