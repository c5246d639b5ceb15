"""Models in which matrices are multiplied by what hardly changes, or are almost all zeros.

For ``compare.py --file benchmarks/held.py``.
"""

from itertools import pairwise

import nengo
import numpy as np
import scipy.sparse
from nengo.processes import PresentInput, WhiteNoise


def held_layers(sizes=(784, 1000, 1000, 10)):
    """Dense layers of rate neurons in front of images that are held for 100 steps."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        layer = nengo.Node(PresentInput(rng.rand(50, sizes[0]), 0.1))
        for m, n in pairwise(sizes):
            ens = nengo.Ensemble(
                n, 1, neuron_type=nengo.RectifiedLinear(), gain=np.ones(n), bias=np.zeros(n)
            )
            weights = rng.randn(n, m) * np.sqrt(2 / m)
            nengo.Connection(layer, ens.neurons, transform=weights, synapse=None)
            layer = ens.neurons
        nengo.Probe(layer)
    return net


def filtered_images(n=1000, pixels=784):
    """Spiking neurons behind the default synapse, in front of images that are held."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        image = nengo.Node(PresentInput(rng.rand(50, pixels), 0.1))
        ens = nengo.Ensemble(n, pixels, n_eval_points=500)
        out = nengo.Node(size_in=10)
        nengo.Connection(image, ens)
        nengo.Connection(ens, out, function=lambda x: x[:10])
        nengo.Probe(out, synapse=0.01)
    return net


def changing_input(n=1000, pixels=784):
    """As `filtered_images`, but all pixels change in each step: nothing can be kept."""
    net = filtered_images(n, pixels)
    net.nodes[0].output = WhiteNoise(seed=0)
    return net


def selection(n=300, m=30_000):
    """A matrix that selects some of many numbers, which change in each step."""
    rng = np.random.RandomState(0)
    weights = np.zeros((n, m))
    weights[np.arange(n), rng.permutation(m)[:n]] = 1.0
    with nengo.Network(seed=0) as net:
        source = nengo.Node(PresentInput(rng.rand(20, m), 0.001))
        out = nengo.Node(size_in=n)
        nengo.Connection(source, out, transform=weights, synapse=None)
        nengo.Probe(out)
    return net


def held_windows(side=28, shown=0.1):
    """A convolution and a sparse matrix in front of images that are held for 100 steps."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        image = nengo.Node(PresentInput(rng.rand(50, side**2), shown))
        windows = nengo.Convolution(32, (side, side, 1), strides=(2, 2))
        layer = nengo.Ensemble(
            windows.size_out,
            1,
            neuron_type=nengo.RectifiedLinear(),
            gain=np.ones(windows.size_out),
            bias=np.zeros(windows.size_out),
        )
        nengo.Connection(image, layer.neurons, transform=windows, synapse=None)
        weights = scipy.sparse.random(500, windows.size_out, density=0.05, random_state=rng)
        out = nengo.Node(size_in=500)
        sparse = nengo.Sparse(weights.shape, init=weights)
        nengo.Connection(layer.neurons, out, transform=sparse, synapse=None)
        nengo.Probe(out, sample_every=0.01)
    return net


MODELS = {
    f.__name__: f for f in (held_layers, filtered_images, changing_input, selection, held_windows)
}
