"""Train a spiking network to classify handwritten digits, and run it in Nengo.

The network sees each of scikit-learn's digits for 30 steps. All weights and biases are trained by
gradients through the spikes. Then they are written into the network, which is run spike by spike.

    python examples/training/digits.py --output training.png
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import nengo
import numpy as np
import optax
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nengo_jit
from nengo_jit.training import History

N_STEPS = 30
N_NEURONS = 128
N_EPOCHS = 30
BATCH = 64
SYNAPSE = 0.005  # seconds
HIGHEST_RATE = 1e-2  # of learning


class Digits(NamedTuple):
    """Images with pixels from 0 to 1, shape ``(n, 64)``, and their labels, shape ``(n,)``."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def sequences(self) -> np.ndarray:
        """(n, steps, 64) numpy.ndarray: each image in every step."""
        return np.repeat(self.images[:, np.newaxis], N_STEPS, axis=1)


class Classifier(NamedTuple):
    """The network, its input, and probes of the scores and of the spikes of the last layer."""

    network: nengo.Network
    image: nengo.Node
    scores: nengo.Probe
    spikes: nengo.Probe


def load() -> tuple[Digits, Digits]:
    """Load digits to train with, and 360 others."""
    pixels, labels = load_digits(return_X_y=True)
    parts = train_test_split(pixels / 16, labels, test_size=360, random_state=0, stratify=labels)
    return Digits(parts[0], parts[2]), Digits(parts[1], parts[3])


def build(seed: int) -> Classifier:
    """Build a network of 64, 128, 128 and 10 units with random weights."""

    def weights(n_out: int, n_in: int) -> nengo.Dense:
        spread = (2 / n_in) ** 0.5
        return nengo.Dense((n_out, n_in), init=nengo.dists.Gaussian(0, spread))

    with nengo.Network(seed=seed) as network:
        network.config[nengo.Ensemble].update(
            {
                "neuron_type": nengo.LIF(amplitude=0.01),
                "gain": nengo.dists.Choice([1]),
                "bias": nengo.dists.Choice([1]),
            }
        )
        image = nengo.Node(np.zeros(64), label="image")
        first = nengo.Ensemble(N_NEURONS, 1, label="first")
        second = nengo.Ensemble(N_NEURONS, 1, label="second")
        scores = nengo.Node(size_in=10, label="scores")
        nengo.Connection(image, first.neurons, transform=weights(N_NEURONS, 64), synapse=None)
        nengo.Connection(
            first.neurons, second.neurons, transform=weights(N_NEURONS, N_NEURONS), synapse=SYNAPSE
        )
        nengo.Connection(second.neurons, scores, transform=weights(10, N_NEURONS), synapse=SYNAPSE)
        return Classifier(network, image, nengo.Probe(scores), nengo.Probe(second.neurons))


def train(model: Classifier, digits: Digits, held_out: Digits, epochs: int, seed: int) -> History:
    """Train the network, and write what it has learned into it."""
    n_batches = epochs * -(-len(digits.labels) // BATCH)
    rate = optax.cosine_onecycle_schedule(n_batches, HIGHEST_RATE)
    trainer = nengo_jit.Trainer(model.network, batch=BATCH, seed=seed)
    history = trainer.fit(
        {model.image: digits.sequences},
        {model.scores: digits.labels},
        loss="cross_entropy_mean",
        optimizer=optax.adam(rate),
        epochs=epochs,
        validation=({model.image: held_out.sequences}, {model.scores: held_out.labels}),
    )
    trainer.freeze_params()
    return history


def run(model: Classifier, digits: Digits) -> tuple[np.ndarray, np.ndarray]:
    """Run the network in Nengo on each image; returns answers, and the spikes of the first."""
    present = digits.images[0].copy()
    model.image.output = lambda t: present
    answers, spikes = [], None
    with nengo_jit.Simulator(model.network, progress_bar=False) as sim:
        for image in digits.images:
            present[:] = image
            sim.reset(seed=0)
            sim.run_steps(N_STEPS)
            answers.append(int(sim.data[model.scores].mean(axis=0).argmax()))
            spikes = sim.data[model.spikes] if spikes is None else spikes
    assert spikes is not None
    return np.array(answers), spikes


def draw(history: History, digits: Digits, answers: np.ndarray, spikes: np.ndarray) -> Figure:
    """Draw the training, spikes for one image, and digits with their answers."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplot_mosaic("AB;CC")
    history.plot(axes["A"])
    axes["A"].set_title("Training")
    times, neurons = np.nonzero(spikes)
    axes["B"].plot(times + 1, neurons, "|", color="black", markersize=3)
    axes["B"].set(xlabel="step", ylabel="neuron", title=f"Spikes for a {digits.labels[0]}")
    shown = np.hstack(list(digits.images[:12].reshape(-1, 8, 8)))
    axes["C"].imshow(shown, cmap="gray_r")
    labels = [f"{each}" for each in answers[:12]]
    axes["C"].set_xticks(np.arange(12) * 8 + 3.5, labels)
    axes["C"].set_yticks([])
    axes["C"].set_title("Answers of the spiking network in Nengo")
    return figure


def main() -> None:
    """Train with each seed, report, and draw the last result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="picture to write")
    parser.add_argument("--epochs", type=int, default=N_EPOCHS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    nengo.rc["precision"]["bits"] = "32"
    digits, held_out = load()
    shares = []
    for seed in arguments.seeds:
        began = time.perf_counter()
        model = build(seed)
        history = train(model, digits, held_out, arguments.epochs, seed)
        trained = time.perf_counter() - began
        answers, spikes = run(model, held_out)
        shares.append(float(np.mean(answers == held_out.labels)))
        print(
            f"Seed {seed}: {shares[-1]:.1%} right in Nengo, "
            f"{history['validation_accuracy'][-1]:.1%} in training; {trained:.1f} s, "
            f"{min(history['seconds']):.2f} s for an epoch"
        )
    if len(shares) > 1:
        print(f"Mean: {np.mean(shares):.1%}")
    if arguments.output is not None:
        draw(history, held_out, answers, spikes).savefig(arguments.output, dpi=150)
        print(f"Wrote {arguments.output}")


if __name__ == "__main__":
    main()
