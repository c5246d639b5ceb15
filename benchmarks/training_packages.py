"""The same network of spiking neurons in four packages, trained with the same data.

`benchmarks/training.py` starts this file once for each package, on one processor. After each epoch,
it prints the times of that epoch as JSON, and waits for a line, so that packages take turns.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

RATE = 2e-3  # of Adam
DECAY = 0.95  # of a voltage in a step; exp(-1 ms / 20 ms) is the same
SLOPE = 10.0  # of the fast sigmoid


class Data(NamedTuple):
    """Images, (n, pixels), and labels, (n,), to train with and to test with."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


class Setting(NamedTuple):
    """What is trained: sizes of layers, steps of a sample, samples of a batch, and epochs."""

    sizes: list[int]
    steps: int
    batch: int
    epochs: int
    samples: int
    remat: str | int | None = "auto"


Scores = Callable[[np.ndarray], np.ndarray]  # from (n, pixels) to (n, classes)


def load(setting: Setting) -> Data:
    """Return scikit-learn's digits for 64 pixels and 10 classes, else random images."""
    n, n_in, n_out = setting.samples, setting.sizes[0], setting.sizes[-1]
    if (n_in, n_out) == (64, 10):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        x, y = load_digits(return_X_y=True)
        x = (x / 16).astype(np.float32)
        x, test_x, y, test_y = train_test_split(x, y, test_size=360, random_state=0, stratify=y)
        return Data(x[:n], y[:n], test_x, test_y)
    rng = np.random.RandomState(0)
    x, y = rng.rand(n, n_in).astype(np.float32), rng.randint(n_out, size=n)
    return Data(x, y, x[:64], y[:64])


def orders(setting: Setting, n: int) -> list[list[np.ndarray]]:
    """Return the samples of each batch of each epoch."""
    rng, starts = np.random.RandomState(0), range(setting.batch, n, setting.batch)
    return [np.split(rng.permutation(n), starts) for _ in range(setting.epochs)]


def ours(setting: Setting, data: Data, turn: Callable[[], None]) -> Scores:
    """Train with nengo-jit."""
    import nengo
    import optax

    from nengo_jit import Trainer

    def weights(n_out: int, n_in: int) -> nengo.Dense:
        return nengo.Dense((n_out, n_in), init=nengo.dists.Gaussian(0, (2 / n_in) ** 0.5))

    sizes = setting.sizes
    with nengo.Network(seed=0) as network:
        image = source = nengo.Node(np.zeros(sizes[0]))
        ones = nengo.dists.Choice([1])
        for n_in, n in pairwise(sizes[:-1]):
            lif = nengo.LIF(amplitude=0.01)
            layer = nengo.Ensemble(n, 1, neuron_type=lif, gain=ones, bias=ones).neurons
            nengo.Connection(source, layer, transform=weights(n, n_in), synapse=None)
            source = layer
        scores = nengo.Node(size_in=sizes[-1])
        nengo.Connection(source, scores, transform=weights(*sizes[:-3:-1]), synapse=None)
        probe = nengo.Probe(scores)

    def shown(x: np.ndarray) -> dict[nengo.Node, np.ndarray]:
        return {image: np.repeat(x[:, np.newaxis], setting.steps, axis=1)}

    trainer = Trainer(network, batch=setting.batch, seed=0, remat=setting.remat)
    trainer.fit(
        *(shown(data.x), {probe: data.y}),
        loss="cross_entropy_mean",
        optimizer=optax.adam(RATE),
        epochs=setting.epochs,
        callbacks=[lambda trainer, history: turn()],
        progress_bar=False,
    )
    return lambda x: trainer.predict(shown(x))[probe].mean(axis=1)


def spyx(setting: Setting, data: Data, turn: Callable[[], None]) -> Scores:
    """Train with Spyx: a training step is one compiled function."""
    import jax
    import jax.numpy as jnp
    import optax
    import spyx.axn
    import spyx.nn
    from flax import nnx

    rngs, spike = nnx.Rngs(0), spyx.axn.superspike(SLOPE)
    layers = []
    for n_in, n in pairwise(setting.sizes[:-1]):
        layers += [
            nnx.Linear(n_in, n, rngs=rngs),
            spyx.nn.LIF((n,), DECAY, activation=spike, rngs=rngs),
        ]
    layers.append(nnx.Linear(*setting.sizes[-2:], rngs=rngs))
    model = spyx.nn.Sequential(*layers)
    graph, params = nnx.split(model, nnx.Param)
    adam = optax.adam(RATE)
    state = adam.init(params)

    def scores(params: nnx.State, x: jax.Array) -> jax.Array:
        sequence = jnp.broadcast_to(x, (setting.steps, *x.shape))
        outputs, _ = spyx.nn.run(nnx.merge(graph, params), sequence)
        return jnp.mean(outputs, axis=0)

    def loss(params: nnx.State, x: jax.Array, y: jax.Array) -> jax.Array:
        found = optax.softmax_cross_entropy_with_integer_labels(scores(params, x), y)
        return jnp.mean(found)

    @jax.jit
    def step(params: nnx.State, state: optax.OptState, x: jax.Array, y: jax.Array) -> tuple:
        slopes = jax.grad(loss)(params, x, y)
        updates, state = adam.update(slopes, state, params)
        return optax.apply_updates(params, updates), state

    for order in orders(setting, len(data.x)):
        for rows in order:
            params, state = step(params, state, data.x[rows], data.y[rows])
        jax.block_until_ready(params)
        turn()
    return lambda x: np.asarray(scores(params, jnp.asarray(x)))


def snntorch(setting: Setting, data: Data, turn: Callable[[], None]) -> Scores:
    """Train with snnTorch."""
    import torch
    from snntorch import Leaky, surrogate

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            spike = surrogate.fast_sigmoid(slope=SLOPE)
            pairs = list(pairwise(setting.sizes))
            self.linear = torch.nn.ModuleList(torch.nn.Linear(*each) for each in pairs)
            self.neurons = torch.nn.ModuleList(
                Leaky(beta=DECAY, spike_grad=spike) for _ in pairs[:-1]
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            voltages = [each.init_leaky() for each in self.neurons]
            total = torch.zeros(())
            for _ in range(setting.steps):
                value = x
                for place, neurons in enumerate(self.neurons):
                    current = self.linear[place](value)
                    value, voltages[place] = neurons(current, voltages[place])
                total = total + self.linear[-1](value)
            return total / setting.steps

    return _torch(Network, setting, data, turn)


def norse(setting: Setting, data: Data, turn: Callable[[], None]) -> Scores:
    """Train with Norse."""
    import torch
    from norse.torch import LIFBoxCell, LIFBoxParameters, SequentialState

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            tau = torch.as_tensor(1 / 0.02)
            neurons = LIFBoxParameters(tau_mem_inv=tau, alpha=torch.as_tensor(SLOPE))
            layers: list[torch.nn.Module] = []
            for n_in, n in pairwise(setting.sizes[:-1]):
                layers += [torch.nn.Linear(n_in, n), Scaled(), LIFBoxCell(neurons)]
            self.layers = SequentialState(*layers, torch.nn.Linear(*setting.sizes[-2:]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state, total = None, torch.zeros(())
            for _ in range(setting.steps):
                value, state = self.layers(x, state)
                total = total + value
            return total / setting.steps

    class Scaled(torch.nn.Module):
        """Multiplies currents by what a step divides them by: Norse has no other way to say so."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / (1 - DECAY)

    return _torch(Network, setting, data, turn)


def _torch(network: type, setting: Setting, data: Data, turn: Callable[[], None]) -> Scores:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = network()
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    x, y = torch.as_tensor(data.x), torch.as_tensor(data.y)
    for order in orders(setting, len(x)):
        for rows in order:
            adam.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            adam.step()
        turn()

    def scores(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found: np.ndarray = model(torch.as_tensor(x)).numpy()
        return found

    return scores


PACKAGES = {"nengo-jit": ours, "spyx": spyx, "norse": norse, "snntorch": snntorch}


def main() -> None:
    """Train with one package; ``argv`` is its name, the setting as JSON, and bits."""
    name, setting = sys.argv[1], Setting(*json.loads(sys.argv[2]))
    data = load(setting)
    if name == "nengo-jit":
        import nengo

        nengo.rc["precision"]["bits"] = sys.argv[3]
    clocks = [time.perf_counter, time.process_time]
    began = [clock() for clock in clocks]

    def turn() -> None:
        print(json.dumps([clock() - start for clock, start in zip(clocks, began)]), flush=True)
        sys.stdin.readline()
        began[:] = [clock() for clock in clocks]

    scores = PACKAGES[name](setting, data, turn)
    accuracy = np.mean(scores(data.test_x).argmax(axis=1) == data.test_y)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([float(accuracy), memory]), flush=True)


if __name__ == "__main__":
    main()
