"""Train a spiking convolutional network on MNIST-1D, and run it in Nengo.

It is trained with rates first, which takes one step for each signal, then for a short time with
spikes.

The package mnist1d generates the data: signals of 40 numbers, one of ten shapes each, moved, scaled
and noisy. Its readme has an accuracy of 32 % for logistic regression, 68 % for a multilayer
perceptron, 91 % for a recurrent and 94 % for a convolutional network, and 96 % for a person.

    python -m examples.training.mnist_1d --output mnist_1d.png
"""

from __future__ import annotations

import nengo
import numpy as np
import optax
from mnist1d.data import get_dataset_args, make_dataset
from nengo.neurons import NeuronType

import nengo_jit
from examples.training.script import main
from examples.training.tasks import Model, Samples, Task

N_STEPS = 20
SYNAPSE = 0.002  # seconds
N_CHANNELS = 25
KERNELS = 5, 3, 3
RATE = 200  # of a neuron with an input of 1 (hertz)
RATES = nengo.RectifiedLinear(amplitude=1 / RATE)
SPIKING = nengo.SpikingRectifiedLinear(amplitude=1 / RATE)
RATE_EPOCHS = 12
N_COPIES = 10  # of each signal, moved by random distances, as the package moves its shapes


def load() -> tuple[Samples, Samples]:
    """Generate the 4,000 signals of the training set and the 1,000 of the test set."""
    made = make_dataset(get_dataset_args())

    def samples(x: np.ndarray, labels: np.ndarray) -> Samples:
        return Samples(np.repeat(x[:, np.newaxis], N_STEPS, axis=1), labels)

    return samples(made["x"], made["y"]), samples(made["x_test"], made["y_test"])


def build(seed: int, neurons: NeuronType = SPIKING, synapse: float | None = SYNAPSE) -> Model:
    """Build three convolutions with neurons after each, and weights to the scores."""
    with nengo.Network(seed=seed) as network:
        given = source = nengo.Node(np.zeros(40), label="signal")
        shape: tuple[int, ...] = (40, 1)
        for size in KERNELS:
            convolution = nengo.Convolution(
                N_CHANNELS,
                shape,
                kernel_size=(size,),
                strides=(2,),
                padding="same",
                init=nengo.dists.Gaussian(0, (2 / (size * shape[1])) ** 0.5),
            )
            shape = convolution.output_shape.shape
            layer = nengo.Ensemble(
                convolution.size_out,
                1,
                neuron_type=neurons,
                gain=nengo.dists.Choice([RATE]),
                bias=nengo.dists.Choice([0]),
            ).neurons
            delay = None if source is given else synapse
            nengo.Connection(source, layer, transform=convolution, synapse=delay)
            source = layer
        scores = nengo.Node(size_in=10, label="scores")
        init = nengo.dists.Gaussian(0, source.size_out**-0.5)
        weights = nengo.Dense((10, source.size_out), init=init)
        nengo.Connection(source, scores, transform=weights, synapse=synapse)
        return Model(network, given, nengo.Probe(scores), nengo.Probe(source))


def moved(training: Samples, seed: int) -> Samples:
    """Return copies of the samples in one step each, rotated by random distances."""
    rng, n = np.random.RandomState(seed), len(training.labels)
    places = np.arange(40) + rng.randint(40, size=(N_COPIES * n, 1))
    signals = np.tile(training.x[:, 0], (N_COPIES, 1))
    x = np.take_along_axis(signals, places % 40, axis=1)
    return Samples(x[:, np.newaxis], np.tile(training.labels, N_COPIES))


def train_rates(model: Model, training: Samples, seed: int) -> None:
    """Train the same network with rates in place of spikes, in one step for each signal."""
    training, rates = moved(training, seed), build(seed, RATES, None)
    n_batches = RATE_EPOCHS * -(-len(training.labels) // TASK.batch)
    schedule = optax.cosine_onecycle_schedule(n_batches, TASK.rate)
    trainer = nengo_jit.Trainer(rates.network, batch=TASK.batch, seed=seed)
    trainer.fit(
        {rates.given: training.x},
        {rates.scores: training.labels},
        loss=TASK.loss,
        optimizer=optax.adamw(schedule, weight_decay=TASK.decay),
        epochs=RATE_EPOCHS,
    )
    trainer.freeze_params(model.network)


TASK = Task(
    title="MNIST-1D",
    load=load,
    build=build,
    loss="cross_entropy_mean",
    epochs=2,
    batch=64,
    rate=3e-3,
    decay=0.01,
    prepare=train_rates,
)

if __name__ == "__main__":
    main(TASK, __doc__)
