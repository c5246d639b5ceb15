"""Kinds of cells by Izhikevich.

One neuron model, four numbers, and six kinds of cells. Each gets the same current, and
answers with a pattern of its own.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# The four parameters of each kind, from Izhikevich (2003).

KINDS = {
    "regular spiking": (0.02, 0.2, -65, 8),
    "intrinsically bursting": (0.02, 0.2, -55, 4),
    "chattering": (0.02, 0.2, -50, 2),
    "fast spiking": (0.1, 0.2, -65, 2),
    "low-threshold spiking": (0.02, 0.25, -65, 2),
    "resonator": (0.1, 0.26, -65, 2),
}

with nengo.Network(seed=0) as model:
    current = nengo.Node(lambda t: 10.0 if t > 0.05 else 0.0)
    voltages, spikes = [], []
    for a, b, c, d in KINDS.values():
        kind = nengo.Izhikevich(tau_recovery=a, coupling=b, reset_voltage=c, reset_recovery=d)
        cell = nengo.Ensemble(1, 1, neuron_type=kind, gain=[1], bias=[0])
        nengo.Connection(current, cell.neurons, synapse=None)
        voltages.append(nengo.Probe(cell.neurons, "voltage"))
        spikes.append(nengo.Probe(cell.neurons))

# %%
# A step of a quarter of a millisecond follows the fast upstroke of a spike.

with nengo_jit.Simulator(model, dt=0.00025, progress_bar=False) as sim:
    sim.run(0.4)

# %%
# Every panel is one cell. The current begins after 50 ms.

counts = [np.count_nonzero(sim.data[probe]) for probe in spikes]
for name, count in zip(KINDS, counts):
    print(f"{name}: {count} spikes")

times = 1000 * sim.trange()
figure, panels = plt.subplots(3, 2, sharex=True, sharey=True, figsize=(8, 5.5))
for index, (axes, name) in enumerate(zip(panels.flat, KINDS)):
    voltage = np.where(sim.data[spikes[index]] > 0, 30, sim.data[voltages[index]])
    axes.plot(times, voltage, color=f"C{index}", linewidth=1.1)
    axes.set_title(f"{name}: {counts[index]} spikes", loc="left")
    axes.axvspan(50, 400, color="0.5", alpha=0.08, linewidth=0)
for axes in panels[-1]:
    axes.set(xlabel="time (ms)", xlim=(0, 400))
for axes in panels[:, 0]:
    axes.set_ylabel("voltage (mV)")
plt.show()
