"""CUBA: a balanced network.

The network of Vogels and Abbott (2005): 3,200 excitatory and 800 inhibitory neurons, connected at
random. It has no input but a constant current, and keeps firing irregularly.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np
from scipy.sparse import coo_matrix

import nengo_jit

# %%
# Each neuron has synapses from 2 % of the others. Weights are in units of the threshold; nengo's
# spikes have an area of 1, so a jump by `weight` is `weight * tau` of a lowpass synapse.

N_EXCITATORY, N_INHIBITORY = 3200, 800
N = N_EXCITATORY + N_INHIBITORY
rng = np.random.default_rng(0)

with nengo.Network(seed=0) as model:
    neuron_type = nengo.LIF(
        tau_rc=0.02, tau_ref=0.005, initial_state={"voltage": nengo.dists.Uniform(0, 1)}
    )
    cells = nengo.Ensemble(N, 1, neuron_type=neuron_type, gain=np.ones(N), bias=np.full(N, 1.1))
    excitatory, inhibitory = cells.neurons[:N_EXCITATORY], cells.neurons[N_EXCITATORY:]
    for source, weight, tau in ((excitatory, 0.162, 0.005), (inhibitory, -0.9, 0.01)):
        shape = (N, source.size_out)
        chosen = coo_matrix(rng.random(shape) < 0.02, dtype=float)
        transform = nengo.Sparse(shape, init=chosen * weight * tau)
        nengo.Connection(source, cells.neurons, transform=transform, synapse=tau)
    spikes = nengo.Probe(cells.neurons)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(3.0)

# %%
# How irregular is it? The coefficient of variation of a neuron's intervals is 0 for a clock, and 1
# for a Poisson process.

fired = sim.data[spikes] > 0
rate = fired.mean() * 1000  # spikes of a neuron in a second
variations = []
for neuron in range(N):
    intervals = np.diff(np.flatnonzero(fired[:, neuron]))
    if len(intervals) >= 5:
        variations.append(intervals.std() / intervals.mean())
print(f"{rate:.1f} Hz, coefficient of variation {np.mean(variations):.2f}")

figure, (above, below) = plt.subplots(2, sharex=True, height_ratios=[3, 1])
for part, color, name in (
    (slice(0, N_EXCITATORY, 20), "C0", "excitatory"),
    (slice(N_EXCITATORY, N, 20), "C1", "inhibitory"),
):
    steps, neurons = np.nonzero(fired[:, part])
    above.plot(steps, neurons * 20 + part.start, ".", color=color, markersize=2, label=name)
    rates = 1000 * fired[:, part.start : part.stop].reshape(600, -1).mean(axis=1)
    below.plot(np.arange(2.5, 3000, 5), rates, color=color)
above.set(ylabel="neuron (every 20th)", ylim=(0, N))
above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, markerscale=5)
below.set(xlabel="time (ms)", ylabel="rate (Hz)", ylim=(0, None), xlim=(0, 1000))
plt.show()
