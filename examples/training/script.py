"""A task as a script: its options, what it prints, and its picture."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import nengo
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.training.tasks import Outcome, Samples, Task, learn

N_SHOWN = 40  # neurons whose spikes are drawn


def draw(task: Task, test: Samples, outcome: Outcome) -> Figure:
    """Draw the training, the first sample, what the neurons do, and how often answers are right."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    figure.suptitle(task.title)
    axes: dict[str, Axes] = figure.subplot_mosaic("AB;CD")
    outcome.history.plot(axes["A"])
    axes["A"].set_title("Training")
    axes["B"].plot(np.arange(1, test.x.shape[1] + 1), test.x[0])
    axes["B"].set(xlabel="step", title=f"The first sample: class {test.labels[0]}")
    axes["C"].imshow(outcome.neurons.T[:N_SHOWN], aspect="auto", cmap="gray_r")
    axes["C"].set(xlabel="step", ylabel="neuron", title="Neurons, in Nengo")
    n = int(test.labels.max()) + 1
    counts = np.zeros((n, n))
    np.add.at(counts, (test.labels, outcome.answers), 1)
    axes["D"].imshow(counts / counts.sum(axis=1, keepdims=True).clip(1), cmap="Blues")
    axes["D"].set(xlabel="answer in Nengo", ylabel="class", title=f"{outcome.frozen:.1%} right")
    return figure


def main(task: Task, doc: str) -> None:
    """Train with each seed, report, and draw the last result."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--output", type=Path, help="picture to write")
    parser.add_argument("--epochs", type=int, default=task.epochs)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument(
        "--validate",
        action="store_true",
        help="train with four fifths of the training set and test with the others, as was done "
        "to choose sizes and learning rates",
    )
    arguments = parser.parse_args()
    nengo.rc["precision"]["bits"] = "32"
    training, test = task.load()
    if arguments.validate:
        order = np.random.RandomState(0).permutation(len(training.labels))
        n_held_out = len(order) // 5
        training, test = training.at(order[n_held_out:]), training.at(order[:n_held_out])
    outcomes = []
    for seed in range(arguments.seeds):
        began = time.perf_counter()
        outcome = learn(task, training, test, seed, arguments.epochs)
        outcomes.append(outcome)
        print(
            f"Seed {seed}: {outcome.trained:.1%} right in training, {outcome.frozen:.1%} in "
            f"Nengo; {time.perf_counter() - began:.0f} s, {min(outcome.history['seconds']):.2f} s "
            "for an epoch"
        )
    shares = np.array([each[:2] for each in outcomes])
    print(f"Mean: {shares[:, 0].mean():.1%} right in training, {shares[:, 1].mean():.1%} in Nengo")
    if arguments.output is not None:
        draw(task, test, outcomes[-1]).savefig(arguments.output, dpi=150)
        print(f"Wrote {arguments.output}")
