#!/usr/bin/env python3
"""What Python functions cost in the loop.

    nodes.py
    nodes.py --engine reference

prints how long a call of a node's function that stays in Python takes beside the function's own
time: for functions of time or of an input, which return a number, a list or an array. The file
also has models of Python nodes for ``compare.py --file nodes.py``.
"""

import argparse
import time

import nengo
import numpy as np

import nengo_jit
from nengo_jit.engines import ENGINES

N_NODES = 10
N_STEPS = 500  # that are timed together
N_REPEATS = 100


def hundred_nodes():
    """100 nodes with small functions of time or of their input, in pairs."""
    with nengo.Network(seed=0) as net:
        for i in range(50):
            stimulus = nengo.Node(lambda t, i=i: np.sin(t + i))
            node = nengo.Node(lambda t, x: 0.5 * x + 0.1, size_in=1)
            nengo.Connection(stimulus, node, synapse=None)
        nengo.Probe(node)
    return net


def rate_neurons(n_neurons=50):
    """A neuron type written by a user, in NumPy."""

    class Leaky(nengo.neurons.NeuronType):
        state = {"voltage": nengo.dists.Choice([0])}  # noqa: RUF012  as nengo has it

        def rates(self, x, gain, bias):
            return np.maximum(self.current(x, gain, bias), 0)

        def step(self, dt, J, output, voltage):
            voltage += dt / 0.02 * (J - voltage)
            output[...] = np.maximum(voltage, 0)

    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(6 * t))
        ensemble = nengo.Ensemble(
            n_neurons,
            1,
            neuron_type=Leaky(),
            gain=np.linspace(0.5, 2, n_neurons),
            bias=np.linspace(-1, 1, n_neurons),
        )
        nengo.Connection(stimulus, ensemble)
        nengo.Probe(ensemble, synapse=0.01)
    return net


class Adaptive(nengo.LIF):
    """LIF neurons of a user's, with thresholds that adapt, by masks."""

    state = dict(nengo.LIF.state, threshold=nengo.dists.Choice([1.0]))  # noqa: RUF012

    def step(self, dt, J, output, voltage, refractory_time, threshold):
        super().step(dt, J - (threshold - 1), output, voltage, refractory_time)
        threshold += dt / 0.1 * (1 - threshold)
        threshold[output > 0] += 0.1


def users_neurons(n_neurons=1000, n_populations=1):
    """Populations of a neuron type written by a user, with spikes and masks."""
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(6 * t))
        for _ in range(n_populations):
            ensemble = nengo.Ensemble(n_neurons, 1, neuron_type=Adaptive())
            nengo.Connection(stimulus, ensemble)
        nengo.Probe(ensemble, synapse=0.01)
    return net


def users_populations():
    """50 populations of 20 neurons each."""
    return users_neurons(20, 50)


class Delay(nengo.synapses.Synapse):
    """A delay line: a ring of samples, as users write it."""

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state=None):
        ring, at = np.zeros((1000, *shape_in)), np.array([0])

        def step(t, x):
            i = at[0]
            oldest = ring[i].copy()
            ring[i] = x
            at[0] = (i + 1) % len(ring)
            return oldest

        return step


def delay_lines(size=20):
    """A delay of a second, and the spectrum of what comes out of it."""
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(t * np.arange(1, size + 1)))
        delayed = nengo.Node(lambda t, x: np.abs(np.fft.fft(x)), size_in=size)
        nengo.Connection(stimulus, delayed, synapse=Delay(size, size))
        nengo.Probe(delayed)
    return net


def small_products(order=6, n_nodes=10):
    """Linear systems with one input each, as users write them: products of small matrices."""
    rng = np.random.RandomState(0)
    a, b = rng.uniform(-0.3, 0.3, (order, order)), rng.uniform(-1, 1, (order, 1))

    def system():
        state = np.zeros((order, 1))

        def step(t, x):
            state[:] = np.dot(a, state) + np.dot(b, x[np.newaxis])
            return state.T.flatten()

        return step

    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(6 * t))
        for _ in range(n_nodes):
            node = nengo.Node(system(), size_in=1)
            nengo.Connection(stimulus, node, synapse=None)
        nengo.Probe(node)
    return net


MODELS = {
    f.__name__: f
    for f in (
        *(hundred_nodes, rate_neurons, users_neurons, users_populations, delay_lines),
        small_products,
    )
}


class OfTime:
    """A function that stays in Python, as an object with a state does."""

    def __init__(self, value):
        self.value = value

    def __call__(self, t):
        return self.value


class OfInput(OfTime):
    """Such a function with an input."""

    def __call__(self, t, x):
        return self.value


def functions(n):
    """Functions of each kind, by name, each with the size of its input."""
    values = {
        "a number": 0.5,
        f"a list of {n}": [0.1] * n,
        f"an array of {n}": np.full(n, 0.1),
    }
    for name, value in values.items():
        yield f"(t) -> {name}", OfTime(value), 0
    for name, value in values.items():
        yield f"(t, x of {n}) -> {name}", OfInput(value), n


def time_of(function, n):
    """How long ``n`` runs of a function take together (seconds)."""
    start = time.perf_counter()
    function(n)
    return time.perf_counter() - start


def call_often(function, size_in):
    """The function in a loop, as a function of how often it is called."""
    x = np.ones(size_in)

    def of_time(n):
        for _ in range(n):
            function(0.001)

    def of_input(n):
        for _ in range(n):
            function(0.001, x)

    return of_input if size_in else of_time


def overheads(n, engine):
    """For each kind of function the time of a call and that of the function alone (seconds)."""
    kinds = list(functions(n))
    simulators = []
    for _, function, size_in in [*kinds, (None, None, 0)]:
        with nengo.Network() as net:
            nengo.Node([0.0])
            for _ in range(N_NODES if function else 0):
                nengo.Node(function, size_in=size_in)
        simulators.append(
            nengo_jit.Simulator(net, progress_bar=False, engine=engine, compile_python=False)
        )
        simulators[-1].run_steps(N_STEPS)
    loops = [call_often(function, size_in) for _, function, size_in in kinds]
    runs = [simulator.run_steps for simulator in simulators]
    # In turn, since a shared machine is faster at some times than at others.
    times = [[time_of(each, N_STEPS) for each in [*runs, *loops]] for _ in range(N_REPEATS)]
    for simulator in simulators:
        simulator.close()
    best = np.min(times, axis=0) / N_STEPS
    steps, without_nodes, alone = np.split(best, [len(kinds), len(kinds) + 1])
    calls = (steps - without_nodes) / N_NODES
    return [(name, *times) for (name, _, _), *times in zip(kinds, calls, alone)]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=list(ENGINES), help="default: the fastest there is")
    parser.add_argument("--size", type=int, default=3, help="of inputs, lists and arrays")
    args = parser.parse_args()
    print("| function | a call (µs) | the function alone (µs) | overhead (µs) |")
    print("| --- | ---: | ---: | ---: |")
    for name, call, alone in overheads(args.size, args.engine):
        print(f"| {name} | {call * 1e6:.2f} | {alone * 1e6:.2f} | {(call - alone) * 1e6:.2f} |")


if __name__ == "__main__":
    main()
