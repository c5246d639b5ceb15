"""Basal ganglia choose an action.

Three actions compete. The basal ganglia find the one with the highest utility and stop inhibiting
its channel in the thalamus, which then becomes active. The other channels stay silent.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# Nengo has networks for both parts. The utilities change twice a second; in each period one action
# has the highest utility.

NAMES = ("eat", "sleep", "play")
UTILITIES = np.array(
    [
        [0.8, 0.4, 0.3],
        [0.4, 0.5, 0.9],
        [0.3, 0.8, 0.5],
        [0.9, 0.2, 0.6],
        [0.2, 0.4, 0.8],
        [0.5, 0.9, 0.4],
    ]
)
PERIOD = 0.5  # seconds

with nengo.Network(seed=0) as model:
    utilities = nengo.Node(nengo.processes.PresentInput(UTILITIES, PERIOD))
    basal_ganglia = nengo.networks.BasalGanglia(dimensions=3, n_neurons_per_ensemble=100)
    thalamus = nengo.networks.Thalamus(dimensions=3, n_neurons_per_ensemble=50)
    nengo.Connection(utilities, basal_ganglia.input, synapse=None)
    nengo.Connection(basal_ganglia.output, thalamus.input)
    given = nengo.Probe(utilities)
    chosen = nengo.Probe(thalamus.output, synapse=0.015)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(len(UTILITIES) * PERIOD)

# %%
# The last 0.3 seconds of each period say which action was chosen, and how clearly.

periods = sim.data[chosen].reshape(len(UTILITIES), -1, 3)
activity = periods[:, 200:].mean(axis=1)
choices = activity.argmax(axis=1)
print("Chosen:", ", ".join(NAMES[each] for each in choices))

figure, (above, below) = plt.subplots(2, sharex=True)
for action, name in enumerate(NAMES):
    above.plot(sim.trange(), sim.data[given][:, action], label=name)
    below.plot(sim.trange(), sim.data[chosen][:, action])
for period, choice in enumerate(choices):
    below.text((period + 0.5) * PERIOD, 1.15, NAMES[choice], ha="center", color=f"C{choice}")
above.set(ylabel="utility", ylim=(0, 1))
above.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
below.set(xlabel="time (s)", ylabel="thalamus", ylim=(-0.1, 1.35), xlim=(0, 3))
plt.show()
