"""Handwritten digits.

A thousand spiking neurons each look at a small patch of an image. Weights from their spikes to ten
scores are solved for, not learned step by step; the highest score is the answer.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nengo_jit

# %%
# scikit-learn has 1,797 digits of 8 x 8 pixels. We keep 200 to test with.

pixels, labels = load_digits(return_X_y=True)
images = pixels / np.linalg.norm(pixels, axis=1, keepdims=True)
train, test, train_labels, test_labels = train_test_split(
    images, labels, test_size=200, stratify=labels, random_state=0
)

# %%
# The encoder of a neuron is a patch of five by five pixels, cut from a random image.

N_NEURONS = 1000
SHOWN = 0.15  # seconds for each digit

rng = np.random.RandomState(0)
encoders = train[rng.randint(len(train), size=N_NEURONS)].reshape(-1, 8, 8)
mask = np.zeros_like(encoders)
for neuron, (row, column) in enumerate(rng.randint(4, size=(N_NEURONS, 2))):
    mask[neuron, row : row + 5, column : column + 5] = 1

with nengo.Network(seed=0) as model:
    retina = nengo.Node(nengo.processes.PresentInput(test, SHOWN))
    neurons = nengo.Ensemble(
        N_NEURONS,
        dimensions=64,
        encoders=(encoders * mask).reshape(N_NEURONS, 64),
        intercepts=nengo.dists.Uniform(0.2, 0.8),
        max_rates=nengo.dists.Uniform(100, 200),
    )
    scores = nengo.Node(size_in=10)
    nengo.Connection(retina, neurons, synapse=None)
    nengo.Connection(
        neurons,
        scores,
        eval_points=train,
        function=np.eye(10)[train_labels],
        solver=nengo.solvers.LstsqL2(reg=0.02),
        synapse=None,
    )
    answer = nengo.Probe(scores, synapse=0.03)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(len(test) * SHOWN)

# %%
# The answer is read at the end of each presentation.

output = sim.data[answer].reshape(len(test), -1, 10)
answers = output[:, -1].argmax(axis=1)
accuracy = np.mean(answers == test_labels)
print(f"{accuracy:.1%} of {len(test)} digits are classified correctly.")

figure, (above, below) = plt.subplots(2, height_ratios=[1, 2.5], sharex=True)
for index in range(10):
    extent = (index + 0.1, index + 0.9, 0, 1)
    above.imshow(test[index].reshape(8, 8), extent=extent, aspect="auto", cmap="gray_r")
    right = answers[index] == test_labels[index]
    above.text(index + 0.5, 1.1, answers[index], ha="center", color="C2" if right else "C1")
above.set(xlim=(0, 10), ylim=(0, 1.3), title=f"answers: {accuracy:.1%} of {len(test)} are right")
above.axis("off")
heat = below.imshow(
    np.concatenate(output[:10]).T, extent=(0, 10, -0.5, 9.5), origin="lower", aspect="auto"
)
below.set(xlabel="digit shown", ylabel="score of each class", yticks=range(10))
figure.colorbar(heat, ax=below, pad=0.01)
plt.show()
