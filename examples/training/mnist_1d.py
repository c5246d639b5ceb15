"""Train a spiking convolutional network on MNIST-1D, and run it in Nengo.

The package mnist1d generates the data: signals of 40 numbers, one of ten shapes each, moved, scaled
and noisy. Its readme has an accuracy of 32 % for logistic regression, 68 % for a multilayer
perceptron, 91 % for a recurrent and 94 % for a convolutional network, and 96 % for a person.

    python -m examples.training.mnist_1d --output mnist_1d.png
"""

from __future__ import annotations

import nengo
import numpy as np
from mnist1d.data import get_dataset_args, make_dataset

from examples.training.tasks import Model, Samples, Task, main

N_STEPS = 10
SYNAPSE = 0.002  # seconds
N_CHANNELS = 25
KERNELS = 5, 3, 3
NEURONS = nengo.LIF(tau_rc=0.005, tau_ref=0.001, amplitude=0.005)  # several spikes in ten steps


def load() -> tuple[Samples, Samples]:
    """Generate the 4,000 signals of the training set and the 1,000 of the test set."""
    made = make_dataset(get_dataset_args())

    def samples(x: np.ndarray, labels: np.ndarray) -> Samples:
        return Samples(np.repeat(x[:, np.newaxis], N_STEPS, axis=1), labels)

    return samples(made["x"], made["y"]), samples(made["x_test"], made["y_test"])


def build(seed: int) -> Model:
    """Build three convolutions with spiking neurons, and weights to the scores."""
    with nengo.Network(seed=seed) as network:
        given = nengo.Node(np.zeros(40), label="signal")
        source, synapse, shape = given, None, (40, 1)
        for size in KERNELS:
            spread = (2 / (size * shape[1])) ** 0.5
            convolution = nengo.Convolution(
                N_CHANNELS,
                shape,
                kernel_size=(size,),
                strides=(2,),
                padding="same",
                init=nengo.dists.Gaussian(0, spread),
            )
            shape = convolution.output_shape.shape
            layer = nengo.Ensemble(
                convolution.size_out,
                1,
                neuron_type=NEURONS,
                gain=nengo.dists.Choice([1]),
                bias=nengo.dists.Choice([1]),
            )
            nengo.Connection(source, layer.neurons, transform=convolution, synapse=synapse)
            source, synapse = layer.neurons, SYNAPSE
        scores = nengo.Node(size_in=10, label="scores")
        weights = nengo.Dense(
            (10, source.size_out), init=nengo.dists.Gaussian(0, source.size_out**-0.5)
        )
        nengo.Connection(source, scores, transform=weights, synapse=synapse)
        return Model(network, given, nengo.Probe(scores), nengo.Probe(source))


TASK = Task(
    title="MNIST-1D",
    load=load,
    build=build,
    loss="cross_entropy_mean",
    epochs=30,
    batch=64,
    rate=5e-3,
    decay=0.01,
)

if __name__ == "__main__":
    main(TASK, __doc__)
