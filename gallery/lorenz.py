"""Lorenz attractor.

A chaotic system with three variables, in one ensemble of 2,000 spiking neurons. The recurrent
connection computes the equations; nothing else drives the network.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# A connection with the synapse `TAU` follows dx/dt = f(x) if its function is TAU f(x) + x. The
# third variable is shifted by 28, so that all of them lie around zero.

TAU = 0.1  # seconds
SIGMA, BETA, RHO = 10, 8 / 3, 28


def lorenz(x):
    """Return the function of the recurrent connection."""
    change = (
        SIGMA * (x[1] - x[0]),
        -x[0] * x[2] - x[1],
        x[0] * x[1] - BETA * (x[2] + RHO) - RHO,
    )
    return [TAU * dx + each for dx, each in zip(change, x)]


with nengo.Network(seed=0) as model:
    state = nengo.Ensemble(2000, dimensions=3, radius=60)
    nengo.Connection(state, state, function=lorenz, synapse=TAU)
    decoded = nengo.Probe(state, synapse=TAU)

# %%
# It runs for 20 seconds. We leave out the first, in which it finds the attractor.

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(20.0)

x, y, z = sim.data[decoded][1000:].T + np.array([[0], [0], [RHO]])
changes_of_side = np.count_nonzero(np.diff(np.sign(x)))
print(f"It changed sides {changes_of_side} times.")

# %%
# The two wings of the butterfly, and the first variable, which jumps between them.

figure, (left, right) = plt.subplots(1, 2, width_ratios=[1, 1.2])
left.scatter(x, z, c=np.arange(len(x)), s=0.4, cmap="cool", rasterized=True)
left.set(xlabel="x", ylabel="z")
right.plot(sim.trange()[1000:], x)
right.axhline(0, color="0.5", linewidth=0.8)
right.set(xlabel="time (s)", ylabel="x", xlim=(1, 20))
plt.show()
