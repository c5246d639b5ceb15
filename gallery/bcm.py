"""Receptive fields by BCM.

Twelve neurons see bars of four orientations through random weights, and first answer to all.
The rule of Bienenstock, Cooper and Munro makes each of them prefer one orientation.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# Images of 15 x 15 pixels, with a blurred bar that has a gap in the middle, for 100 ms each.

SIDE, N_CELLS, SHOWN = 15, 12, 0.1  # pixels, neurons, seconds
rng = np.random.RandomState(1)
angles = np.deg2rad([0, 45, 90, 135])
x, y = np.meshgrid(np.arange(SIDE) - SIDE // 2, np.arange(SIDE) - SIDE // 2)
bars = np.array([np.exp(-((x * np.sin(a) - y * np.cos(a)) ** 2)) for a in angles])
bars = (bars * (np.hypot(x, y) > 2) * (np.hypot(x, y) < 7.5)).reshape(4, -1)
order = np.concatenate([rng.permutation(4) for _ in range(150)])

# %%
# Pixels are neurons that fire at up to 50 Hz. The cells inhibit each other, so that not all of them
# choose the same bar.

with nengo.Network(seed=0) as model:
    model.config[nengo.Ensemble].update(
        {"gain": nengo.dists.Choice([1]), "bias": nengo.dists.Choice([0.1])}
    )
    image = nengo.Node(nengo.processes.PresentInput(50 * bars[order], SHOWN))
    retina = nengo.Ensemble(SIDE**2, 1, neuron_type=nengo.RectifiedLinear())
    cells = nengo.Ensemble(N_CELLS, 1, neuron_type=nengo.LIFRate(tau_ref=0.01))
    nengo.Connection(image, retina.neurons, synapse=None)
    learned = nengo.Connection(
        retina.neurons,
        cells.neurons,
        transform=rng.uniform(0.001, 0.003, size=(N_CELLS, SIDE**2)),
        learning_rule_type=nengo.BCM(1e-8, theta_synapse=1.0),
    )
    inhibition = -0.004 * (1 - np.eye(N_CELLS))
    nengo.Connection(cells.neurons, cells.neurons, transform=inhibition, synapse=0.01)
    weights = nengo.Probe(learned, "weights", sample_every=1.0)
    rates = nengo.Probe(cells.neurons, synapse=0.01)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(len(order) * SHOWN)

# %%
# The selectivity of a cell is 1 if it answers to one orientation only, and 0 if to all alike.

answers = sim.data[rates].reshape(len(order), -1, N_CELLS)[:, 50:].mean(axis=1)


def selectivity(part):
    """Return the mean answer to each bar, and how selective each cell is."""
    means = np.array([answers[part][order[part] == bar].mean(axis=0) for bar in range(4)])
    return means, 1 - (means.sum(axis=0) - means.max(axis=0)) / (3 * means.max(axis=0) + 1e-9)


(_, before), (means, after) = selectivity(slice(0, 40)), selectivity(slice(-40, None))
print(f"Selectivity {before.mean():.2f}, after learning {after.mean():.2f}")
preferred = angles[means.argmax(axis=0)]
print("Preferred orientations:", *np.rad2deg(preferred).astype(int))

fields = sim.data[weights]
figure, panels = plt.subplots(4, 6)
for cell in range(N_CELLS):
    row, column = 2 * (cell // 6), cell % 6
    for axes, field in ((panels[row, column], fields[0]), (panels[row + 1, column], fields[-1])):
        axes.imshow(field[cell].reshape(SIDE, SIDE))
        axes.set(xticks=[], yticks=[])
for row in range(4):
    panels[row, 0].set_ylabel("after" if row % 2 else "before")
figure.suptitle(f"Selectivity {before.mean():.2f} before, {after.mean():.2f} after learning")
plt.show()
