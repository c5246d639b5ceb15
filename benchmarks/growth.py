#!/usr/bin/env python3
"""Print how planning time grows with operators, and step time with ensembles, neurons and nodes.

    growth.py                                    # the fastest engine, sizes that take a minute
    growth.py --engine reference --only ensembles
    growth.py --neurons 1000 1000000 --ensembles 800

If a column of times per operator or per neuron stays the same from row to row, growth is linear.
Operators are those of a synthetic model; ensembles and neurons are those of ``many_ensembles`` and
``lorenz`` in ``models.py``, with few evaluation points, so that building does not take longest.
Nodes are pairs of a closure, which is compiled, and of an object that stays in Python.
"""

import argparse
import time
import warnings

import nengo
import numpy as np
from models import lorenz, many_ensembles

import nengo_jit
from nengo_jit.builder import Model, Signal
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy, DotInc, Reset
from nengo_jit.collector import collector_paused
from nengo_jit.engines import ENGINES
from nengo_jit.engines.cpu.backend import CpuBackend

OPERATORS = (1_000, 3_000, 10_000, 30_000, 100_000)
ENSEMBLES = (50, 100, 200, 400)
NEURONS = (1_000, 10_000, 100_000)
KINDS = ("operators", "ensembles", "neurons", "closures")
CLOSURES = (20, 50, 100, 200, 500, 1_000)
N_EVAL_POINTS = 250


def synthetic_model(n_operators, n_neurons=20):
    """Populations that read slices of one vector and write to slices of another, in a chain.

    Parameters
    ----------
    n_operators : int
        How many operators there are, within five.
    n_neurons : int
        Neurons in a population.
    """
    model = Model()
    n = max(1, n_operators // 5)
    encoders = Signal(np.ones((n_neurons, 1)), name="encoders", readonly=True)
    bias = Signal(np.ones(n_neurons), name="bias", readonly=True)
    source, target = Signal(np.zeros(n), name="source"), Signal(np.zeros(n), name="target")
    model.add_op(Reset(target))
    for i in range(n):
        x = Signal(np.zeros(1), name=f"x{i}")
        current, rates = (Signal(np.zeros(n_neurons), name=f"{name}{i}") for name in "JR")
        model.add_op(Copy(source[i], x))
        model.add_op(Copy(bias, current))
        model.add_op(DotInc(encoders, x, current))
        model.add_op(SimNeurons(nengo.LIFRate(), current, rates))
        model.add_op(Copy(rates[0], target[i], inc=True))
    return model


class Smoothed:
    """A function with a state, so that Python calls it."""

    def __init__(self):
        self.last = [0.0] * 5

    def __call__(self, t, x):
        self.last = [*self.last[1:], float(x[0])]
        return sum(self.last) / 5


def closures(n):
    """As many closures, which are compiled, as objects with a state, which are not."""

    def make(frequency, height):
        return lambda t: height * np.sin(t * frequency)

    with nengo.Network(seed=0) as net:
        for i in range(n):
            source = nengo.Node(make(i + 1.0, 0.5 + i))
            smoothed = nengo.Node(Smoothed(), size_in=1)
            nengo.Connection(source, smoothed, synapse=None)
    return net


def planning_time(n_operators):
    """Number of operators of a synthetic model and seconds that planning it takes."""
    model = synthetic_model(n_operators)
    with collector_paused():  # as simulators do
        start = time.perf_counter()
        plan = CpuBackend().plan(model)
        return len(plan.operators), time.perf_counter() - start


def step_time(network, engine, seconds=1.0):
    """Number of neurons, or else nodes, of a network, and seconds that a step takes.

    Parameters
    ----------
    network : nengo.Network
        What to run.
    engine : str or None
        On which engine; None for the fastest.
    seconds : float
        About how long to measure.
    """
    for ensemble in network.all_ensembles:
        ensemble.n_eval_points = N_EVAL_POINTS
    with nengo_jit.Simulator(network, progress_bar=False, engine=engine) as sim:
        sim.run_steps(200 if network.all_nodes else 20, progress_bar=False)
        n_steps = 1
        while True:
            start = time.perf_counter()
            sim.run_steps(n_steps, progress_bar=False)
            took = time.perf_counter() - start
            if took > seconds / 2:
                return network.n_neurons or len(network.all_nodes), took / n_steps
            n_steps = max(2 * n_steps, int(n_steps * seconds / max(took, 1e-9)))


def print_table(size, rows, unit):
    """Print rows of (size, units, seconds), each as soon as it is known."""
    print(f"{size:>12s} {unit + 's':>12s} {'us':>12s} {'ns/' + unit:>12s}")
    for number, units, seconds in rows:
        print(f"{number:12,d} {units:12,d} {seconds * 1e6:12,.1f} {seconds * 1e9 / units:12,.2f}")


def main():
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=list(ENGINES), help="default: the fastest there is")
    parser.add_argument("--only", nargs="+", choices=KINDS)
    parser.add_argument("--operators", type=int, nargs="+", default=OPERATORS)
    parser.add_argument("--ensembles", type=int, nargs="+", default=ENSEMBLES)
    parser.add_argument("--neurons", type=int, nargs="+", default=NEURONS, help="up to 1,000,000")
    parser.add_argument("--closures", type=int, nargs="+", default=CLOSURES)
    args = parser.parse_args()
    chosen = args.only or KINDS
    nengo.rc.set("decoder_cache", "enabled", "False")
    warnings.filterwarnings("ignore", category=UserWarning)
    if "operators" in chosen:
        print("Planning")
        print_table("asked for", ((n, *planning_time(n)) for n in args.operators), "operator")
    for name, model, sizes, unit in (
        ("ensembles", many_ensembles, args.ensembles, "neuron"),
        ("neurons", lorenz, args.neurons, "neuron"),
        ("closures", closures, args.closures, "node"),
    ):
        if name in chosen:
            print(f"A step of {model.__name__}")
            rows = ((n, *step_time(model(n), args.engine)) for n in sizes)
            print_table(name, rows, unit)


if __name__ == "__main__":
    main()
