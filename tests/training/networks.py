"""Networks for the tests of training."""

import nengo
import numpy as np

N_STEPS = 60


def of_all_kinds(neuron_type=None):
    """Return a network with all that is trained, its input and its probes."""
    rng = np.random.RandomState(3)
    neuron_type = nengo.LIF() if neuron_type is None else neuron_type
    with nengo.Network(seed=1) as net:
        given = nengo.Node(np.zeros(2), label="given")
        by_time = nengo.Node(lambda t: np.sin(20 * t), label="by time")
        first = nengo.Ensemble(20, 2, neuron_type=neuron_type, label="first")
        second = nengo.Ensemble(15, 1, neuron_type=neuron_type, radius=1.5, label="second")
        neurons = nengo.SpikingRectifiedLinear()
        third = nengo.Ensemble(12, 1, neuron_type=neurons, label="third")
        nengo.Connection(given, first)
        nengo.Connection(by_time, first[1], transform=0.5)
        nengo.Connection(first, second, function=lambda x: x[0] * x[1], transform=0.7)
        nengo.Connection(first, second, transform=[[0.3, 0.4]])
        nengo.Connection(
            second, first, function=lambda x: [x[0], x[0] ** 2, 1], transform=rng.rand(2, 3)
        )
        random = nengo.Dense((1, 2), init=nengo.dists.Uniform(0.1, 0.2))
        nengo.Connection(first, second, transform=random)
        nengo.Connection(first.neurons, third.neurons, transform=rng.randn(12, 20) / 10)
        nengo.Connection(first.neurons[:3], third.neurons[[4, 1, 7]], synapse=0.01)
        nengo.Connection(third.neurons, third.neurons[2:], transform=rng.randn(10, 12) / 10)
        image = nengo.Convolution(2, (4, 5, 1), kernel_size=(2, 2), strides=(2, 3))
        nengo.Connection(first.neurons, second.neurons[: image.size_out], transform=image)
        learned = nengo.Connection(
            second, third, learning_rule_type=nengo.PES(1e-4), synapse=0.01, transform=2.0
        )
        nengo.Connection(given[0], learned.learning_rule)
        probes = [nengo.Probe(each, synapse=0.01) for each in (first, second, third)]
        probes += [nengo.Probe(each.neurons) for each in (first, second, third)]
        probes.append(nengo.Probe(learned, "weights", sample_every=0.01))
    return net, given, probes


def classifier(neuron_type=None):
    """Return a small network of spiking neurons, its input and a probe of three scores.

    The default neurons take little time to compile. Others have the gain one.
    """
    gain = np.full(20, 100.0 if neuron_type is None else 1.0)
    if neuron_type is None:
        neuron_type = nengo.SpikingRectifiedLinear(amplitude=0.01)
    with nengo.Network(seed=0) as net:
        given = nengo.Node(np.zeros(4), label="given")
        hidden = nengo.Ensemble(
            20, 1, neuron_type=neuron_type, gain=gain, bias=gain, label="hidden"
        )
        out = nengo.Node(size_in=3, label="out")
        init = nengo.dists.Gaussian(0, 0.5)
        transform = nengo.Dense((20, 4), init=init)
        nengo.Connection(given, hidden.neurons, transform=transform, synapse=None)
        transform = nengo.Dense((3, 20), init=init)
        nengo.Connection(hidden.neurons, out, transform=transform, synapse=0.005)
        scores = nengo.Probe(out, label="scores")
    return net, given, scores


def patterns(n=48, seed=0):
    """Return sequences of noisy patterns of three classes, (n, 15, 4), and their labels."""
    rng = np.random.RandomState(seed)
    labels = np.arange(n) % 3
    x = np.eye(4)[labels] * 2 + rng.randn(n, 4) * 0.3
    return np.repeat(x[:, np.newaxis], 15, axis=1), labels
