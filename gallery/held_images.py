"""Held images and a convolution.

`PresentInput` holds each image for a while. Spiking neurons see it through filters of four
orientations, a convolution, and fire where the image has an edge of their orientation.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np
from sklearn.datasets import load_sample_image

import nengo_jit

# %%
# The images are pieces of a photograph of a Chinese palace, which scikit-learn ships, in grey and
# at half its resolution.

SIDE, SHOWN = 64, 0.1  # pixels, seconds
photograph = load_sample_image("china.jpg").mean(axis=2)[::2, ::2] / 255
corners = [(20, 10), (20, 90), (60, 130), (60, 30)]
images = np.array([photograph[y : y + SIDE, x : x + SIDE] for y, x in corners])

# %%
# Each filter is a Gabor function: bright along a line, dark beside it.

ANGLES = [0, 45, 90, 135]
y, x = np.mgrid[-3:4, -3:4]


def gabor(angle):
    """Return a filter of 7 x 7 pixels for lines at an angle (degrees)."""
    across = x * np.sin(np.deg2rad(angle)) + y * np.cos(np.deg2rad(angle))
    wave = np.cos(2 * np.pi * across / 6) * np.exp(-(x**2 + y**2) / 8)
    return (wave - wave.mean()) / np.abs(wave - wave.mean()).sum()


filters = np.stack([gabor(angle) for angle in ANGLES], axis=-1)[:, :, np.newaxis]  # (7, 7, 1, 4)

with nengo.Network(seed=0) as model:
    retina = nengo.Node(nengo.processes.PresentInput(images.reshape(len(images), -1), SHOWN))
    convolution = nengo.Convolution(
        n_filters=4, input_shape=(SIDE, SIDE, 1), kernel_size=(7, 7), init=filters
    )
    n = convolution.output_shape.size
    cells = nengo.Ensemble(n, 1, neuron_type=nengo.LIF(), gain=np.full(n, 50), bias=np.full(n, 0.5))
    nengo.Connection(retina, cells.neurons, transform=convolution, synapse=None)
    spikes = nengo.Probe(cells.neurons)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(len(images) * SHOWN)

# %%
# The rates of the neurons while each image is held, one map for each orientation.

shape = (len(images), -1, *convolution.output_shape.shape)
rates = sim.data[spikes].reshape(shape).mean(axis=1)  # (images, rows, columns, orientations)
print(f"{n} neurons, mean rate {rates.mean():.1f} Hz")

figure, panels = plt.subplots(len(images), 5, figsize=(8, 6.6))
for image, row, maps in zip(images, panels, rates):
    row[0].imshow(image, cmap="gray")
    for index, axes in enumerate(row[1:]):
        axes.imshow(maps[:, :, index], vmin=0, vmax=np.percentile(rates, 99.5), cmap="magma")
for axes in panels.flat:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
panels[0, 0].set_title("image")
for axes, angle in zip(panels[0, 1:], ANGLES):
    axes.set_title(f"edges at {angle}°")
plt.show()
