"""What a task is, and how it is learned and tested: trained, frozen, and run in Nengo."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import nengo
import numpy as np
import optax

import nengo_jit
from nengo_jit.training import History
from nengo_jit.training.parameters import Selection


class Samples(NamedTuple):
    """Sequences, shape ``(n, steps, size)``, and their labels, shape ``(n,)``."""

    x: np.ndarray
    labels: np.ndarray

    def at(self, rows: np.ndarray) -> Samples:
        """Return some of the samples."""
        return Samples(self.x[rows], self.labels[rows])


class Model(NamedTuple):
    """A network, its input, probes of its scores and of some neurons, and what is trained."""

    network: nengo.Network
    given: nengo.Node
    scores: nengo.Probe
    neurons: nengo.Probe
    trainable: Selection = None


class Task(NamedTuple):
    """A task, and how to learn it.

    Attributes
    ----------
    title : str
        What is drawn above the picture.
    load : callable
        Returns samples to train with, and samples to test with.
    build : callable
        Returns the model for a seed.
    loss : str
        "cross_entropy_last" or "cross_entropy_mean".
    epochs, batch : int
        How long to train, and with how many samples at once.
    rate : float
        Highest learning rate.
    decay : float
        Decay of weights.
    dt : float
        Length of a step (seconds).
    prepare : callable, optional
        Gives the model parameters to start from: of model, samples and seed.
    """

    title: str
    load: Callable[[], tuple[Samples, Samples]]
    build: Callable[[int], Model]
    loss: str
    epochs: int
    batch: int
    rate: float
    decay: float = 0.0
    dt: float = 0.001
    prepare: Callable[[Model, Samples, int], None] | None = None


class Outcome(NamedTuple):
    """The accuracy of the trained function and of the network in Nengo, and what is drawn."""

    trained: float
    frozen: float
    history: History
    answers: np.ndarray
    neurons: np.ndarray


def learn(task: Task, training: Samples, test: Samples, seed: int, epochs: int) -> Outcome:
    """Train with a seed, write what was learned into the network, and run that in Nengo."""
    model = task.build(seed)
    if task.prepare is not None:
        task.prepare(model, training, seed)
    n_batches = epochs * -(-len(training.labels) // task.batch)
    rate = optax.cosine_onecycle_schedule(max(n_batches, 4), task.rate)
    trainer = nengo_jit.Trainer(
        model.network, task.dt, batch=task.batch, seed=seed, trainable=model.trainable
    )
    history = trainer.fit(
        {model.given: training.x},
        {model.scores: training.labels},
        loss=task.loss,
        optimizer=optax.adamw(rate, weight_decay=task.decay),
        epochs=epochs,
    )
    found = trainer.evaluate({model.given: test.x}, {model.scores: test.labels}, task.loss)
    trainer.freeze_params()
    answers, neurons = run(task, model, test.x)
    frozen = float(np.mean(answers == test.labels))
    return Outcome(found["accuracy"], frozen, history, answers, neurons)


def run(task: Task, model: Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run the network in Nengo; returns the answers, and what the neurons did for the first."""
    present = np.zeros_like(x[0])
    last = len(present) - 1
    model.given.output = lambda t: present[min(round(t / task.dt) - 1, last)]
    answers, neurons = [], None
    with nengo_jit.Simulator(model.network, dt=task.dt, progress_bar=False) as sim:
        for sequence in x:
            present[:] = sequence
            sim.reset(seed=0)
            sim.run_steps(len(sequence))
            scores = sim.data[model.scores]
            scores = scores[-1] if task.loss == "cross_entropy_last" else scores.mean(axis=0)
            answers.append(int(scores.argmax()))
            neurons = sim.data[model.neurons] if neurons is None else neurons
    assert neurons is not None
    return np.array(answers), neurons
