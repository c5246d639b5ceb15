"""Controlled oscillator.

Two dimensions of an ensemble oscillate, and a third one says how fast. It is an input, so the
frequency changes while the network runs: faster, slower, and backwards.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# The ensemble represents position (two numbers) and speed (from -1 to 1). Its recurrent connection
# computes where the position will be after one time constant, which keeps it on a circle.

TAU = 0.1  # seconds, of the recurrent connection
FASTEST = 2.0  # hertz, at a speed of 1


def turn(x):
    """Return how the position changes at the speed ``x[2]``."""
    growth = 1 + 0.5 * (1 - x[0] ** 2 - x[1] ** 2)  # towards a radius of 1
    angle = 2 * np.pi * FASTEST * TAU * x[2]
    return growth * x[0] - angle * x[1], growth * x[1] + angle * x[0]


with nengo.Network(seed=1) as model:
    kick = nengo.Node(lambda t: 2.0 if t < 0.1 else 0.0)
    speed = nengo.Node(nengo.processes.Piecewise({0: 1, 2: 0.5, 4: -1}))
    oscillator = nengo.Ensemble(800, dimensions=3, radius=1.7)
    nengo.Connection(kick, oscillator[0])
    nengo.Connection(speed, oscillator[2])
    nengo.Connection(oscillator, oscillator[:2], function=turn, synapse=TAU)
    position = nengo.Probe(oscillator[:2], synapse=0.03)
    asked = nengo.Probe(speed)

# %%
# We run it for six seconds, with `nengo_jit.Simulator` in place of `nengo.Simulator`.

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(6.0)

# %%
# The angle of the position, counted in turns, rises by the frequency.

times = sim.trange()
x, y = sim.data[position].T
turns = np.unwrap(np.arctan2(y, x)) / (2 * np.pi)
frequencies = [
    np.polyfit(times[part], turns[part], 1)[0]
    for part in (slice(1000, 2000), slice(2500, 4000), slice(4500, 6000))
]
print("Frequencies:", ", ".join(f"{each:.2f} Hz" for each in frequencies))

figure, (above, below) = plt.subplots(2, sharex=True, height_ratios=[2, 1])
above.plot(times, x, label="first dimension")
above.plot(times, y, label="second dimension")
above.set(ylabel="position")
above.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2)
below.step(times, FASTEST * sim.data[asked], color="C2", label="asked for")
for start, end, frequency in zip((0, 2, 4), (2, 4, 6), frequencies):
    below.hlines(frequency, start, end, color="C1", linestyle="--")
    below.text((start + end) / 2, frequency + 0.3, f"{frequency:.2f} Hz", ha="center", color="C1")
below.set(xlabel="time (s)", ylabel="frequency (Hz)", ylim=(-3, 3.5))
plt.show()
