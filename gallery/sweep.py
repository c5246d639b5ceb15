"""A sweep over neurons and seeds.

A sine wave passes through an ensemble of 25 to 400 neurons, with spikes or with rates. One call
runs each case with ten seeds, on all cores, and returns one table of all results.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# `make_network` is called with each combination of the parameters.

TIME = 2.0  # seconds


def make_network(n_neurons, neuron_type):
    """Return the network of one case."""
    with nengo.Network() as network:
        wave = nengo.Node(lambda t: np.sin(2 * np.pi * t))
        ensemble = nengo.Ensemble(n_neurons, 1, neuron_type=neuron_type)
        nengo.Connection(wave, ensemble, synapse=None)
        nengo.Probe(ensemble, synapse=0.02, label="decoded")
    return network


results = nengo_jit.sweep(
    make_network,
    {"n_neurons": [25, 50, 100, 200, 400], "neuron_type": [nengo.LIF(), nengo.LIFRate()]},
    seeds=range(10),
    time=TIME,
    progress_bar=False,
)

# %%
# `results` is an xarray Dataset. Its dimensions are the parameters, the seed and the time.

times = results["time"].values
wave = nengo.Lowpass(0.02).filt(np.sin(2 * np.pi * times)[:, np.newaxis], dt=0.001)
errors = np.sqrt(((results["decoded"] - wave) ** 2).sel(time=slice(0.5, None)).mean("time"))
errors = errors.squeeze()  # (n_neurons, neuron_type, seed)

figure, axes = plt.subplots()
n_neurons = errors["n_neurons"].values
for index, name in enumerate(("spikes (LIF)", "rates (LIFRate)")):
    each = errors.isel(neuron_type=index)
    mean, spread = each.mean("seed"), each.std("seed")
    axes.plot(n_neurons, mean, "o-", label=name)
    axes.fill_between(n_neurons, mean - spread, mean + spread, alpha=0.25, linewidth=0)
    slope = np.polyfit(np.log(n_neurons), np.log(mean), 1)[0]
    print(f"{name}: the error falls with the number of neurons to the power of {slope:.2f}")
axes.set(xscale="log", yscale="log", xlabel="neurons", ylabel="root mean square error")
axes.set_xticks(n_neurons, n_neurons)
axes.set_yticks([0.005, 0.01, 0.02, 0.04], [0.005, 0.01, 0.02, 0.04])
axes.minorticks_off()
axes.legend()
plt.show()
