"""Classify handwritten digits with spiking neurons, and draw what the network did.

Two thousand spiking neurons each look at a small patch of an image. The weights from their
spikes to ten class scores are solved for with the training digits; digits that the network
has never seen are then shown to it, one after another, and the highest score is its answer.

    python examples/digits.py --output digits.png
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nengo
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nengo_jit

IMAGE_SIDE = 8  # pixels
PATCH_SIDE = 5  # pixels
N_CLASSES = 10
N_NEURONS = 2000
N_RECORDED = 40  # neurons whose spikes are kept
N_DRAWN = 10  # presentations in the picture
N_HELD_OUT = 360
PRESENTATION_TIME = 0.2  # seconds
SYNAPSE = 0.05  # seconds


class Digits(NamedTuple):
    """Images of length one, shape ``(n, 64)``, and their labels, shape ``(n,)``."""

    images: np.ndarray
    labels: np.ndarray


class Result(NamedTuple):
    """What a simulator made of ``n`` presentations of ``steps`` time steps each.

    Attributes
    ----------
    build_time, run_time
        Wall-clock times, in seconds.
    scores
        Filtered class scores, shape ``(n, steps, 10)``.
    spikes
        Output of the recorded neurons, shape ``(n, steps, 40)``, zero where none spiked.
    answers
        Class with the highest score as each presentation ends, shape ``(n,)``.
    """

    build_time: float
    run_time: float
    scores: np.ndarray
    spikes: np.ndarray
    answers: np.ndarray


def load() -> tuple[Digits, Digits]:
    """Load scikit-learn's digits as training and held-out digits."""
    pixels, labels = load_digits(return_X_y=True)
    images = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
    train, held_out, train_labels, held_out_labels = train_test_split(
        images, labels, test_size=N_HELD_OUT, stratify=labels, random_state=0
    )
    return Digits(train, train_labels), Digits(held_out, held_out_labels)


def patch_encoders(images: np.ndarray, n_neurons: int) -> np.ndarray:
    """Cut encoders, shape ``(n_neurons, 64)``: random patches of images, zero elsewhere."""
    rng = np.random.RandomState(0)
    encoders = images[rng.randint(len(images), size=n_neurons)]
    encoders = encoders.reshape(n_neurons, IMAGE_SIDE, IMAGE_SIDE)
    mask = np.zeros_like(encoders)
    corners = rng.randint(IMAGE_SIDE - PATCH_SIDE + 1, size=(n_neurons, 2))
    for neuron, (row, column) in enumerate(corners):
        mask[neuron, row : row + PATCH_SIDE, column : column + PATCH_SIDE] = 1
    return (encoders * mask).reshape(n_neurons, -1)


def build_network(train: Digits, images: np.ndarray) -> nengo.Network:
    """Make a classifier that is shown ``images``, with probes ``scores`` and ``spikes``."""
    with nengo.Network(seed=0) as network:
        retina = nengo.Node(nengo.processes.PresentInput(images, PRESENTATION_TIME))
        neurons = nengo.Ensemble(
            N_NEURONS,
            dimensions=IMAGE_SIDE**2,
            encoders=patch_encoders(train.images, N_NEURONS),
            intercepts=nengo.dists.Uniform(0.2, 0.8),
            max_rates=nengo.dists.Uniform(100, 200),
            neuron_type=nengo.LIF(),
        )
        answer = nengo.Node(size_in=N_CLASSES)
        nengo.Connection(retina, neurons, synapse=None)
        nengo.Connection(
            neurons,
            answer,
            eval_points=train.images,
            function=np.eye(N_CLASSES)[train.labels],
            solver=nengo.solvers.LstsqL2(reg=0.02),
            synapse=None,
        )
        network.scores = nengo.Probe(answer, synapse=SYNAPSE)
        network.spikes = nengo.Probe(neurons.neurons[:N_RECORDED])
    return network


def classify(simulator: Any, network: nengo.Network, n_images: int) -> Result:
    """Build and run a network with a simulator class, for ``n_images`` presentations."""
    start = time.perf_counter()
    with simulator(network, progress_bar=False) as sim:
        built = time.perf_counter()
        sim.run(n_images * PRESENTATION_TIME)
        finished = time.perf_counter()
        scores = sim.data[network.scores].reshape(n_images, -1, N_CLASSES)
        spikes = sim.data[network.spikes].reshape(n_images, -1, N_RECORDED)
    answers = scores[:, -1].argmax(axis=1)
    return Result(built - start, finished - built, scores, spikes, answers)


def draw(result: Result, digits: Digits, path: Path) -> None:
    """Draw ten presentations, with the first mistake among them if there is one."""
    right = result.answers == digits.labels
    first = max(0, min(int(right.argmin()) - N_DRAWN // 2, len(right) - N_DRAWN))
    drawn = range(first, min(first + N_DRAWN, len(right)))
    spikes = np.concatenate(result.spikes[first : drawn.stop])
    scores = np.concatenate(result.scores[first : drawn.stop])
    edges = np.arange(first, drawn.stop + 1) * PRESENTATION_TIME

    figure = Figure(figsize=(12, 9), dpi=130, layout="constrained")
    image_axes, spike_axes, score_axes = figure.subplots(3, sharex=True, height_ratios=[4, 9, 9])
    title = f"{N_NEURONS} spiking neurons: {right.mean():.1%} of {len(right)} held-out digits right"
    figure.suptitle(title, fontsize=15)

    image_axes.axis("off")
    image_axes.set_title("Digits shown, and the answers above them", loc="left", pad=30)
    spike_axes.set_title(f"Spikes of {N_RECORDED} of the neurons", loc="left")
    spike_steps, spiking = np.nonzero(spikes)
    spike_times = np.linspace(edges[0], edges[-1], len(spikes) + 1)[spike_steps + 1]
    spike_axes.plot(spike_times, spiking, "|", color="black", markersize=4, markeredgewidth=0.7)
    spike_axes.set(ylabel="neuron", ylim=(-1, N_RECORDED))

    score_axes.set_title("Class scores: frame for the true digit, dot for the answer", loc="left")
    heat = score_axes.imshow(
        scores.T,
        extent=(edges[0], edges[-1], -0.5, N_CLASSES - 0.5),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="Blues",
        vmin=0,
        vmax=1,
    )
    figure.colorbar(heat, ax=score_axes, label="score", pad=0.01)
    for index, start, end in zip(drawn, edges, edges[1:]):
        label, answer = digits.labels[index], result.answers[index]
        colour = "tab:green" if right[index] else "tab:red"
        verdict = f"{answer} ✓" if right[index] else f"{answer} ✗ it is {label}"
        image = digits.images[index].reshape(IMAGE_SIDE, IMAGE_SIDE)
        image_axes.imshow(image, cmap="gray_r", aspect="auto", extent=(start, end, 0, 1))
        image_axes.text(
            (start + end) / 2, 1.05, verdict, color=colour, ha="center", fontsize=13, weight="bold"
        )
        score_axes.fill_between(
            [start, end], label - 0.5, label + 0.5, facecolor="none", edgecolor=colour, linewidth=2
        )
        score_axes.plot(end - 0.01, answer, "o", color=colour, markeredgecolor="white", ms=9)
    for axes in (image_axes, spike_axes, score_axes):
        axes.vlines(edges[1:-1], *axes.get_ylim(), color="0.7", linewidth=0.8, zorder=0.5)
    score_axes.set(xlabel="simulated time (s)", ylabel="class", yticks=range(N_CLASSES))
    score_axes.set(xlim=(edges[0], edges[0] + N_DRAWN * PRESENTATION_TIME), xticks=edges)
    figure.savefig(path)


def table_row(name: str, result: Result, labels: np.ndarray) -> str:
    """Format a simulator's times and accuracy."""
    accuracy = (result.answers == labels).mean()
    return f"{name:19} {result.build_time:7.2f} {result.run_time:7.2f} {accuracy:10.1%}"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the demonstration from the command line."""
    parser = argparse.ArgumentParser(description="Classify handwritten digits with spikes.")
    parser.add_argument("--output", type=Path, default=Path("digits.png"), help="picture to write")
    parser.add_argument("--digits", type=int, default=N_HELD_OUT, help="held-out digits to show")
    parser.add_argument("--no-compare", action="store_true", help="leave nengo.Simulator out")
    options = parser.parse_args(argv)
    if not 1 <= options.digits <= N_HELD_OUT:
        parser.error(f"--digits must be from 1 to {N_HELD_OUT}")

    nengo.rc["decoder_cache"]["enabled"] = "False"  # otherwise the second build is flattered
    train, test = load()
    shown = Digits(test.images[: options.digits], test.labels[: options.digits])
    network = build_network(train, shown.images)
    seconds = options.digits * PRESENTATION_TIME
    print(f"{N_NEURONS} neurons, {options.digits} held-out digits, {seconds:.1f} s simulated\n")
    print("simulator           build s   run s   accuracy")
    result = classify(nengo_jit.Simulator, network, options.digits)
    print(table_row("nengo_jit.Simulator", result, shown.labels))
    if not options.no_compare:
        reference = classify(nengo.Simulator, network, options.digits)
        print(table_row("nengo.Simulator", reference, shown.labels))
        n_differing = np.count_nonzero(result.answers != reference.answers)
        print(f"\nanswers that differ: {n_differing} of {options.digits}")
    draw(result, shown, options.output)
    print(f"picture: {options.output.resolve()}")


if __name__ == "__main__":
    main()
