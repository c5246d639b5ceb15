"""Train a Legendre memory unit to classify digits that it sees pixel by pixel, in a random order.

The memory is written in plain Nengo: a node whose recurrent connection, with a delay of one step,
keeps the past pixels as coefficients of Legendre polynomials (Voelker, Kajić and Eliasmith,
"Legendre memory units: Continuous-time representation in recurrent neural networks", NeurIPS 2019).

    python -m examples.training.permuted_digits --output permuted.png
"""

from __future__ import annotations

import nengo
import numpy as np
from scipy.linalg import expm
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from examples.training.script import main
from examples.training.tasks import Model, Samples, Task

N_PIXELS = 64  # and steps
ORDER = 48  # of the polynomials
N_NEURONS = 100


def load() -> tuple[Samples, Samples]:
    """Load 1,437 digits to train with and 360 others, with pixels in a random order."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(N_PIXELS)
    x = (pixels / 16)[:, order, np.newaxis]
    parts = train_test_split(x, labels, test_size=360, random_state=0, stratify=labels)
    return Samples(parts[0], parts[2]), Samples(parts[1], parts[3])


def memory(order: int, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how a memory of the last steps changes in a step: (order, order) and (order, 1)."""
    i, j = np.ogrid[:order, :order]
    a = (2 * i + 1) / n_steps * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = (2 * i + 1) / n_steps * (-1.0) ** i
    held = expm(np.block([[a, b], [np.zeros((1, order + 1))]]))  # the input is held for a step
    return held[:order, :order], held[:order, order:]


def build(seed: int) -> Model:
    """Build a memory and a layer of neurons; they see each other, and the pixels."""

    def weights(n_out: int, n_in: int, spread: float) -> nengo.Dense:
        return nengo.Dense((n_out, n_in), init=nengo.dists.Gaussian(0, spread))

    a, b = memory(ORDER, N_PIXELS)
    with nengo.Network(seed=seed) as network:
        pixel = nengo.Node(np.zeros(1), label="pixel")
        written = nengo.Node(size_in=1, label="written")
        coefficients = nengo.Node(size_in=ORDER, label="memory")
        hidden = nengo.Ensemble(
            N_NEURONS,
            1,
            neuron_type=nengo.Tanh(tau_ref=1),
            gain=nengo.dists.Choice([1]),
            bias=nengo.dists.Choice([0]),
            label="hidden",
        )
        scores = nengo.Node(size_in=10, label="scores")
        fixed = [
            nengo.Connection(written, coefficients, transform=b, synapse=None),
            nengo.Connection(coefficients, coefficients, transform=a, synapse=0),
        ]
        for source, target, transform, synapse in (
            (pixel, written, 1.0, None),
            (coefficients, written, np.zeros((1, ORDER)), 0),
            (hidden.neurons, written, np.zeros((1, N_NEURONS)), 0),
            (pixel, hidden.neurons, np.zeros((N_NEURONS, 1)), None),
            (coefficients, hidden.neurons, weights(N_NEURONS, ORDER, ORDER**-0.5), None),
            (hidden.neurons, hidden.neurons, np.zeros((N_NEURONS, N_NEURONS)), 0),
            (hidden.neurons, scores, weights(10, N_NEURONS, N_NEURONS**-0.5), None),
        ):
            nengo.Connection(source, target, transform=transform, synapse=synapse)
        return Model(
            network,
            pixel,
            nengo.Probe(scores),
            nengo.Probe(hidden.neurons),
            lambda obj, attribute: obj not in fixed and attribute in ("transform", "bias"),
        )


TASK = Task(
    title="Permuted sequential digits",
    load=load,
    build=build,
    loss="cross_entropy_last",
    epochs=30,
    batch=64,
    rate=5e-3,
)

if __name__ == "__main__":
    main(TASK, __doc__)
