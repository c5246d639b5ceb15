"""A hundred thousand neurons.

Two vectors of 256 dimensions are bound into one by circular convolution, the operation that holds
symbols together in the Semantic Pointer Architecture. It takes more than 100,000 spiking neurons.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# A new pair of vectors arrives every 150 ms. Nengo's network transforms both to the frequency
# domain, multiplies them there, and transforms the product back.

DIMENSIONS, PAIRS, SHOWN = 256, 4, 0.15
rng = np.random.RandomState(0)
vectors = rng.randn(2, PAIRS, DIMENSIONS)
vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)

with nengo.Network(seed=0) as model:
    first = nengo.Node(nengo.processes.PresentInput(vectors[0], SHOWN))
    second = nengo.Node(nengo.processes.PresentInput(vectors[1], SHOWN))
    binding = nengo.networks.CircularConvolution(200, DIMENSIONS)
    nengo.Connection(first, binding.input_a)
    nengo.Connection(second, binding.input_b)
    bound = nengo.Probe(binding.output, synapse=0.02)

print(f"{model.n_neurons:,} neurons in {len(model.all_ensembles)} ensembles")

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(PAIRS * SHOWN)

# %%
# The exact result, and how similar the output is to it: the cosine of the angle between both.

exact = np.fft.irfft(np.fft.rfft(vectors[0]) * np.fft.rfft(vectors[1]), DIMENSIONS)
output = sim.data[bound]
cosines = output @ exact.T / np.linalg.norm(exact, axis=1)
cosines /= np.maximum(np.linalg.norm(output, axis=1, keepdims=True), 0.1)
at_end = cosines.reshape(PAIRS, -1, PAIRS)[:, -1]  # (pair shown, pair compared)
print("Similarity to the exact result:", at_end.diagonal().round(3))

figure, (left, right) = plt.subplots(1, 2, width_ratios=[1.4, 1])
for pair in range(PAIRS):
    left.plot(1000 * sim.trange(), cosines[:, pair], label=f"pair {pair + 1}")
left.set(xlabel="time (ms)", ylabel="similarity to the exact result", ylim=(-0.3, 1.05))
left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, columnspacing=1)
right.plot(exact[-1], output[-1], ".", markersize=4)
right.axline((0, 0), slope=1, color="C1")
right.set(xlabel="exact element", ylabel="element of the output", title="the last pair")
plt.show()
