"""Delay of a heartbeat.

A network of spiking neurons remembers the last tenth of a second of an electrocardiogram. It is the
delay network, or Legendre memory unit: its state has the coefficients of Legendre polynomials.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np
import pywt

import nengo_jit

# %%
# PyWavelets ships an electrocardiogram of 1,024 samples. We take 360 samples for a second, and
# scale it to lie between -1 and 1.

samples = pywt.data.ecg().astype(float)
samples -= np.median(samples)
samples /= np.abs(samples).max()
RATE = 360  # hertz
DURATION = len(samples) / RATE

# %%
# The linear system that delays its input by `DELAY`, of order `ORDER`. The state of a recurrent
# connection with the synapse `TAU` follows dx/dt = A x + B u with the matrices TAU A + I and TAU B.

DELAY, ORDER, TAU = 0.1, 10, 0.1

row, column = np.meshgrid(np.arange(ORDER), np.arange(ORDER), indexing="ij")
A = (2 * row + 1) / DELAY * np.where(row < column, -1, (-1.0) ** (row - column + 1))
B = ((2 * row + 1) * (-1.0) ** row)[:, :1] / DELAY
whole_delay = np.ones((1, ORDER))  # each polynomial is 1 at the end of the window

with nengo.Network(seed=0) as model:
    heart = nengo.Node(lambda t: np.interp(t * RATE, np.arange(len(samples)), samples))
    memory = nengo.networks.EnsembleArray(400, ORDER)
    delayed = nengo.Node(size_in=1)
    nengo.Connection(heart, memory.input, transform=TAU * B, synapse=TAU)
    nengo.Connection(memory.output, memory.input, transform=TAU * A + np.eye(ORDER), synapse=TAU)
    nengo.Connection(memory.output, delayed, transform=whole_delay, synapse=None)
    signal = nengo.Probe(heart)
    output = nengo.Probe(delayed, synapse=0.01)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(DURATION)

# %%
# The output is compared with the signal a tenth of a second before, filtered like the output.

times = sim.trange()
late = np.interp(times - DELAY, times, sim.data[signal][:, 0])
ideal = nengo.Lowpass(0.01).filt(late[:, np.newaxis], dt=sim.dt)
error = np.sqrt(np.mean((sim.data[output] - ideal) ** 2))
correlation = np.corrcoef(sim.data[output][:, 0], ideal[:, 0])[0, 1]
print(f"RMSE {error:.3f}, correlation {correlation:.3f}")

figure, axes = plt.subplots()
axes.plot(times, sim.data[signal], color="0.55", label="electrocardiogram")
axes.plot(times, sim.data[output], label="output of the network")
axes.plot(times, ideal, "--", label="exact delay")
axes.set(xlabel="time (s)", ylabel="signal", xlim=(0, DURATION))
axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
plt.show()
