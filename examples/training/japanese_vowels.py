"""Train spiking neurons to tell nine speakers of a Japanese vowel apart, and run them in Nengo.

The recordings are 7 to 29 frames of 12 cepstral coefficients; they come with the package aeon.

    python -m examples.training.japanese_vowels --output vowels.png
"""

from __future__ import annotations

from pathlib import Path

import aeon.datasets
import nengo
import numpy as np
from aeon.datasets import load_from_ts_file

from examples.training.script import main
from examples.training.tasks import Model, Samples, Task

N_FRAMES, N_SPEAKERS, N_COEFFICIENTS = 29, 9, 12
STEPS_PER_FRAME = 2
N_NEURONS = 200
SYNAPSE = 0.01  # seconds


def load() -> tuple[Samples, Samples]:
    """Load 270 recordings to train with and 370 others, stretched to the same length."""
    folder = Path(aeon.datasets.__file__).parent / "data" / "JapaneseVowels"
    training, test = (_read(folder / f"JapaneseVowels_{name}.ts") for name in ("TRAIN", "TEST"))
    mean, deviation = training.x.mean(axis=(0, 1)), training.x.std(axis=(0, 1))
    return (
        training._replace(x=(training.x - mean) / deviation),
        test._replace(x=(test.x - mean) / deviation),
    )


def _read(path: Path) -> Samples:
    recordings, speakers = load_from_ts_file(str(path))
    x = np.array([_stretched(each) for each in recordings])
    return Samples(np.repeat(x, STEPS_PER_FRAME, axis=1), speakers.astype(int) - 1)


def _stretched(recording: np.ndarray) -> np.ndarray:
    """Return (N_FRAMES, 12) frames, interpolated between those of a recording, (12, frames)."""
    places = np.linspace(0, recording.shape[1] - 1, N_FRAMES)
    return np.array([np.interp(places, np.arange(len(row)), row) for row in recording]).T


def build(seed: int) -> Model:
    """Build a layer of spiking neurons that see a frame through four filters."""
    with nengo.Network(seed=seed) as network:
        given = nengo.Node(np.zeros(N_COEFFICIENTS), label="frame")
        hidden = nengo.Ensemble(
            N_NEURONS,
            1,
            neuron_type=nengo.LIF(amplitude=0.01),
            gain=nengo.dists.Choice([1]),
            bias=nengo.dists.Choice([1]),
            label="hidden",
        )
        scores = nengo.Node(size_in=N_SPEAKERS, label="scores")
        for synapse in (None, 0.005, 0.02):
            weights = nengo.Dense((N_NEURONS, N_COEFFICIENTS), init=nengo.dists.Gaussian(0, 0.3))
            nengo.Connection(given, hidden.neurons, transform=weights, synapse=synapse)
        weights = nengo.Dense((N_SPEAKERS, N_NEURONS), init=nengo.dists.Gaussian(0, 0.1))
        nengo.Connection(hidden.neurons, scores, transform=weights, synapse=SYNAPSE)
        return Model(network, given, nengo.Probe(scores), nengo.Probe(hidden.neurons))


TASK = Task(
    title="JapaneseVowels",
    load=load,
    build=build,
    loss="cross_entropy_mean",
    epochs=60,
    batch=32,
    rate=5e-3,
    decay=0.01,
)

if __name__ == "__main__":
    main(TASK, __doc__)
