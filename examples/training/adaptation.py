"""Train a network so that it learns faster with PES, and let it adapt in Nengo.

In each trial, the network has a second to learn an unknown function of its input with the rule
PES, from its error. Training runs through the learning: it finds tuning curves, and decoders to
start from, with which the error in the second half of a trial is small. In Nengo, the frozen
network then adapts to functions that it has not seen.

    python -m examples.training.adaptation --output adaptation.png
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import nengo
import numpy as np
import optax
from matplotlib.figure import Figure

import nengo_jit

DT = 0.002  # seconds
N_STEPS = 500
N_NEURONS = 40
RATE = 0.2  # of PES
NEURONS = nengo.LIFRate(amplitude=0.1)  # so that decoders are about as large as other parameters
BEGUN = N_STEPS // 2  # the step from which errors count


class Trials(NamedTuple):
    """Inputs and what the network should make of them, each ``(n, steps, 1)``."""

    x: np.ndarray
    y: np.ndarray


class Errors(NamedTuple):
    """Errors of a network in each trial, (n, steps, 1): untrained, trained, and in Nengo."""

    untrained: np.ndarray
    trained: np.ndarray
    frozen: np.ndarray


class Model(NamedTuple):
    """The network, its input, its target, and a probe of its error."""

    network: nengo.Network
    x: nengo.Node
    y: nengo.Node
    error: nengo.Probe


def trials(n: int, seed: int) -> Trials:
    """Return trials with a cubic function each, of a sum of two sines."""
    rng = np.random.RandomState(seed)
    t = np.arange(1, N_STEPS + 1) * DT
    phase = rng.uniform(0, 2 * np.pi, (2, n, 1))
    x = 0.5 * np.sin(2 * np.pi * 3 * t + phase[0]) + 0.5 * np.sin(2 * np.pi * 5 * t + phase[1])
    a, b, c = rng.uniform(-0.8, 0.8, (3, n, 1))
    return Trials(x[..., np.newaxis], (a * x + b * x**2 + c * x**3)[..., np.newaxis])


def build(seed: int) -> Model:
    """Build an ensemble whose decoders PES changes."""
    with nengo.Network(seed=seed) as network:
        x, y = nengo.Node([0], label="x"), nengo.Node([0], label="y")
        ensemble = nengo.Ensemble(N_NEURONS, 1, neuron_type=NEURONS, label="ensemble")
        error = nengo.Node(size_in=1, label="error")
        nengo.Connection(x, ensemble, synapse=None)
        learned = nengo.Connection(
            ensemble,
            error,
            function=lambda x: 0,
            learning_rule_type=nengo.PES(RATE),
            synapse=0.005,
        )
        nengo.Connection(y, error, transform=-1, synapse=0.005)
        nengo.Connection(error, learned.learning_rule, synapse=None)
        return Model(network, x, y, nengo.Probe(error))


def run(model: Model, shown: Trials) -> np.ndarray:
    """Run trials in Nengo; returns the errors, (n, steps, 1)."""
    x, y = np.zeros((2, N_STEPS, 1))
    model.x.output = lambda t: x[min(round(t / DT), N_STEPS) - 1]
    model.y.output = lambda t: y[min(round(t / DT), N_STEPS) - 1]
    errors = []
    with nengo_jit.Simulator(model.network, dt=DT, progress_bar=False) as sim:
        for x[:], y[:] in zip(*shown):
            sim.reset()
            sim.run_steps(N_STEPS)
            errors.append(sim.data[model.error])
    return np.array(errors)


def learn(training: Trials, test: Trials, seed: int, epochs: int) -> Errors:
    """Train with a seed, write what was learned into the network, and let it adapt in Nengo."""
    model = build(seed)
    trainer = nengo_jit.Trainer(model.network, DT, batch=16, seed=seed)
    untrained = trainer.predict({model.x: test.x, model.y: test.y})[model.error]
    trainer.fit(
        {model.x: training.x, model.y: training.y},
        {model.error: np.zeros((len(training.x), 1, 1))},
        loss=lambda output, target: (output[:, BEGUN:] ** 2).mean(),
        optimizer=optax.adam(3e-3),
        epochs=epochs,
    )
    trained = trainer.predict({model.x: test.x, model.y: test.y})[model.error]
    trainer.freeze_params()
    return Errors(untrained, trained, run(model, test))


def size_of(errors: np.ndarray) -> float:
    """Return the root mean square of the errors in the second half."""
    return float(np.sqrt(np.mean(errors[:, BEGUN:] ** 2)))


def draw(test: Trials, found: Errors) -> Figure:
    """Draw the errors of untrained and trained networks, and one trial."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    t = np.arange(1, N_STEPS + 1) * DT
    for errors, label in ((found.untrained, "untrained"), (found.frozen, "trained, in Nengo")):
        left.plot(t, np.sqrt(np.mean(errors**2, axis=0)), label=label)
    left.set(xlabel="time (s)", ylabel="root mean square of errors", title="Learning with PES")
    left.legend()
    right.plot(t, test.y[0], label="target")
    right.plot(t, test.y[0] + found.frozen[0], label="network")
    right.set(xlabel="time (s)", title="A function that it has not seen")
    right.legend()
    return figure


def main() -> None:
    """Train with each seed, report, and draw the last result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="picture to write")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument(
        "--validate",
        action="store_true",
        help="test with other trials, by which sizes and learning rates were chosen",
    )
    arguments = parser.parse_args()
    nengo.rc["precision"]["bits"] = "32"
    training, test = trials(128, seed=1), trials(100, seed=2 if arguments.validate else 3)
    sizes = []
    for seed in range(arguments.seeds):
        found = learn(training, test, seed, arguments.epochs)
        sizes.append(list(map(size_of, found)))
        print(
            "Seed {}: errors of {:.4f} untrained, {:.4f} trained, {:.4f} in Nengo".format(
                seed, *sizes[-1]
            )
        )
    print("Mean: {:.4f} untrained, {:.4f} trained, {:.4f} in Nengo".format(*np.mean(sizes, axis=0)))
    if arguments.output is not None:
        draw(test, found).savefig(arguments.output, dpi=150)
        print(f"Wrote {arguments.output}")


if __name__ == "__main__":
    main()
