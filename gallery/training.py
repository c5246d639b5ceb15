"""Training, and back to Nengo.

Spiking neurons learn to tell two interleaved half-moons apart, by gradients through their spikes.
What was learned is written into the network, which then runs like any other.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np
import optax
from sklearn.datasets import make_moons

import nengo_jit

# %%
# A point is shown for 40 ms. Weights are random at first; 64 hidden neurons see the point, and two
# scores are read from their spikes.

STEPS = 40
points, labels = make_moons(600, noise=0.12, random_state=0)
points = (points - points.mean(axis=0)) / points.std(axis=0)
training, testing = slice(0, 400), slice(400, 600)

with nengo.Network(seed=0) as model:
    point = nengo.Node(np.zeros(2))
    hidden = nengo.Ensemble(
        64,
        1,
        neuron_type=nengo.LIF(amplitude=0.01),
        gain=nengo.dists.Choice([1]),
        bias=nengo.dists.Uniform(0.5, 2),
    )
    scores = nengo.Node(size_in=2)
    first = nengo.Dense((64, 2), init=nengo.dists.Gaussian(0, 1))
    second = nengo.Dense((2, 64), init=nengo.dists.Gaussian(0, 0.2))
    nengo.Connection(point, hidden.neurons, transform=first, synapse=None)
    nengo.Connection(hidden.neurons, scores, transform=second, synapse=0.01)
    output = nengo.Probe(scores)


def run(shown):
    """Show points to the network in Nengo, one after another; returns the mean scores."""
    point.output = nengo.processes.PresentInput(shown, STEPS * 0.001)
    with nengo_jit.Simulator(model, progress_bar=False) as sim:
        sim.run_steps(len(shown) * STEPS)
    point.output = np.zeros(2)
    return sim.data[output].reshape(len(shown), STEPS, 2)[:, STEPS // 2 :].mean(axis=1)


# %%
# `fit` takes what nodes output in each step, and the right answers. `freeze_params` writes the
# weights into the network. The scores of a grid of points show the boundary, before and after.

grid = np.stack(np.meshgrid(np.linspace(-2.4, 2.4, 40), np.linspace(-2.4, 2.4, 40)), -1)
grid = grid.reshape(-1, 2)
before, untrained = run(grid), run(points[testing]).argmax(axis=1)

trainer = nengo_jit.Trainer(model, batch=50, seed=0, trainable=nengo.Connection)
history = trainer.fit(
    {point: np.repeat(points[training, np.newaxis], STEPS, axis=1)},
    {output: labels[training]},
    loss="cross_entropy_mean",
    optimizer=optax.adam(0.02),
    epochs=40,
    progress_bar=False,
)
trainer.freeze_params()
after, trained = run(grid), run(points[testing]).argmax(axis=1)

accuracies = [np.mean(each == labels[testing]) for each in (untrained, trained)]
print(f"Accuracy {accuracies[0]:.1%}, after training {accuracies[1]:.1%}")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4))
axes[0].plot(history["loss"])
axes[0].set(xlabel="epoch", ylabel="loss", title="training", ylim=(0, None))
for panel, each, name, accuracy in zip(axes[1:], (before, after), ("before", "after"), accuracies):
    difference = (each[:, 1] - each[:, 0]).reshape(40, 40)
    limit = np.abs(difference).max()
    extent = (-2.4, 2.4, -2.4, 2.4)
    panel.imshow(difference, extent=extent, origin="lower", cmap="RdBu", vmin=-limit, vmax=limit)
    for label, color in enumerate(("darkred", "navy")):
        panel.plot(*points[testing][labels[testing] == label].T, ".", color=color, markersize=4)
    panel.set(title=f"{name}: {accuracy:.0%} right in Nengo", xticks=[], yticks=[])
plt.show()
