"""Models of Python nodes, for ``compare.py --file nodes.py``: what functions cost in the loop."""

import nengo
import numpy as np


def hundred_nodes():
    """100 nodes with small functions of time or of their input, in pairs."""
    with nengo.Network(seed=0) as net:
        for i in range(50):
            stimulus = nengo.Node(lambda t, i=i: np.sin(t + i))
            node = nengo.Node(lambda t, x: 0.5 * x + 0.1, size_in=1)
            nengo.Connection(stimulus, node, synapse=None)
        nengo.Probe(node)
    return net


def rate_neurons(n_neurons=50):
    """A neuron type written by a user, in NumPy."""

    class Leaky(nengo.neurons.NeuronType):
        state = {"voltage": nengo.dists.Choice([0])}  # noqa: RUF012  as nengo has it

        def rates(self, x, gain, bias):
            return np.maximum(self.current(x, gain, bias), 0)

        def step(self, dt, J, output, voltage):
            voltage += dt / 0.02 * (J - voltage)
            output[...] = np.maximum(voltage, 0)

    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(6 * t))
        ensemble = nengo.Ensemble(
            n_neurons,
            1,
            neuron_type=Leaky(),
            gain=np.linspace(0.5, 2, n_neurons),
            bias=np.linspace(-1, 1, n_neurons),
        )
        nengo.Connection(stimulus, ensemble)
        nengo.Probe(ensemble, synapse=0.01)
    return net


MODELS = {f.__name__: f for f in (hundred_nodes, rate_neurons)}
