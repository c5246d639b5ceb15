"""Train spiking ensembles to tell whether two cues match, half a second apart.

One ensemble is an integrator that Nengo has solved for. It sees both cues, so it has to keep the
first one for the delay. Training finds what it keeps of them, and how a second ensemble reads that.

    python -m examples.training.delayed_match --output match.png
"""

from __future__ import annotations

import nengo
import numpy as np

from examples.training.script import main
from examples.training.tasks import Model, Samples, Task

DT = 0.005  # seconds
CUE, DELAY = 0.1, 0.5  # seconds
N_CUES, DIMENSIONS = 4, 4
NOISE = 0.1
SYNAPSE = 0.1  # seconds, of the integrator
NEURONS = nengo.LIF(amplitude=0.01)  # so that decoders are about as large as other parameters


def samples(n: int, seed: int) -> Samples:
    """Return trials, (n, steps, 4), half of which match: two noisy cues around a delay."""
    rng = np.random.RandomState(seed)
    n_cue, n_delay = round(CUE / DT), round(DELAY / DT)
    labels = np.arange(n) % 2
    first = rng.randint(N_CUES, size=n)
    others = (first + rng.randint(1, N_CUES, size=n)) % N_CUES
    x = np.zeros((n, 2 * n_cue + n_delay, DIMENSIONS))
    x[:, :n_cue] = np.eye(DIMENSIONS)[first][:, np.newaxis]
    x[:, -n_cue:] = np.eye(DIMENSIONS)[np.where(labels, first, others)][:, np.newaxis]
    return Samples(x + NOISE * rng.randn(*x.shape), labels)


def load() -> tuple[Samples, Samples]:
    """Generate 800 trials to train with, and 300 others."""
    return samples(800, seed=1), samples(300, seed=2)


def build(seed: int) -> Model:
    """Build an integrator of the cues, and an ensemble that compares them."""
    with nengo.Network(seed=seed) as network:
        network.config[nengo.Ensemble].update(
            {"max_rates": nengo.dists.Uniform(50, 100), "neuron_type": NEURONS, "radius": 2}
        )
        cue = nengo.Node(np.zeros(DIMENSIONS), label="cue")
        memory = nengo.Ensemble(120, DIMENSIONS, label="memory")
        compared = nengo.Ensemble(80, DIMENSIONS, label="compared")
        scores = nengo.Node(size_in=2, label="scores")
        nengo.Connection(memory, memory, synapse=SYNAPSE)
        nengo.Connection(cue, memory, transform=SYNAPSE / CUE, synapse=None)
        nengo.Connection(memory, compared, synapse=0.02)
        nengo.Connection(
            compared, scores, function=lambda x: [1.7, np.linalg.norm(x)], synapse=0.02
        )
        return Model(network, cue, nengo.Probe(scores), nengo.Probe(memory.neurons))


TASK = Task(
    title="Delayed match to sample",
    load=load,
    build=build,
    loss="cross_entropy_last",
    epochs=15,
    batch=32,
    rate=3e-3,
    dt=DT,
)

if __name__ == "__main__":
    main(TASK, __doc__)
