"""The tables of docs/supported.md: each of nengo's objects in a small model, on each engine.

The models are built, planned and run when the site is built. So the tables say what is true of the
code that the site was built from.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any

import nengo
import nengo.learning_rules
import nengo.neurons
import nengo.processes
import nengo.solvers
import nengo.synapses
import nengo.transforms
import numpy as np

import nengo_jit
from nengo_jit.builder.sharing import BY_CHOLESKY, NOISY, NON_NEGATIVE, SEQUENTIAL
from nengo_jit.ir.base import Operator

N_STEPS = 100
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SOLVED_TOGETHER = (*BY_CHOLESKY, *NON_NEGATIVE, *NOISY, *SEQUENTIAL)
BASES = {"RatesToSpikesNeuronType"}  # nobody makes one of these
ARGUMENTS = {  # of those that need some
    "RegularSpiking": {"base_type": nengo.LIFRate()},
    "StochasticSpiking": {"base_type": nengo.LIFRate()},
    "PoissonSpiking": {"base_type": nengo.LIFRate()},
    "Lowpass": {"tau": 0.01},
    "LinearFilter": {"num": [1], "den": [0.02, 1]},
    "Alpha": {"tau": 0.01},
    "Triangle": {"t": 0.01},
    "PresentInput": {"inputs": [[0.5], [-0.5]], "presentation_time": 0.02},
    "Piecewise": {"data": {0: 0.5, 0.05: -0.5}},
    "WhiteSignal": {"period": 1.0, "high": 10},
    "NoSolver": {"values": np.zeros((50, 1))},
}

Make = Callable[[], nengo.Network]


def classes(module: ModuleType, base: type) -> list[type]:
    """The classes of a module that users make objects of, in its order."""
    return [
        each
        for name, each in vars(module).items()
        if inspect.isclass(each)
        and issubclass(each, base)
        and each.__module__ == module.__name__
        and each is not base
        and not name.startswith("_")
        and name == each.__name__
        and name not in BASES
    ]


def made(kind: type) -> object:
    """An object of a class."""
    return kind(**ARGUMENTS.get(kind.__name__, {}))


def of_neurons(kind: type) -> nengo.Network:
    """A network with a neuron type."""
    with nengo.Network(seed=0) as network:
        ensemble = nengo.Ensemble(50, 1, neuron_type=made(kind))
        nengo.Connection(nengo.Node([0.5]), ensemble)
        nengo.Probe(ensemble, synapse=0.01)
    return network


def of_synapse(kind: type) -> nengo.Network:
    """A network with a synapse."""
    with nengo.Network(seed=0) as network:
        ensemble = nengo.Ensemble(50, 1)
        nengo.Connection(nengo.Node([0.5]), ensemble, synapse=made(kind))
        nengo.Probe(ensemble, synapse=made(kind))
    return network


def of_process(kind: type) -> nengo.Network:
    """A network with a process."""
    with nengo.Network(seed=0) as network:
        node = nengo.Node(made(kind))
        nengo.Connection(node, nengo.Ensemble(50, 1))
        nengo.Probe(node)
    return network


def of_rule(kind: type) -> nengo.Network:
    """A network with a learning rule."""
    rule = kind()
    with nengo.Network(seed=0) as network:
        pre, post = nengo.Ensemble(50, 1), nengo.Ensemble(50, 1)
        nengo.Connection(nengo.Node([0.5]), pre)
        solver = nengo.solvers.LstsqL2(weights=rule.modifies == "weights")
        learned = nengo.Connection(pre, post, learning_rule_type=rule, solver=solver)
        if rule.modifies == "decoders":
            nengo.Connection(post, learned.learning_rule)
        nengo.Probe(post, synapse=0.01)
    return network


def of_transform(kind: type) -> nengo.Network:
    """A network with a transform between neurons and a node."""
    transforms = {
        "Dense": lambda: nengo.Dense((36, 36)),
        "Sparse": lambda: nengo.Sparse((36, 36), indices=[(i, i) for i in range(36)]),
        "Convolution": lambda: nengo.Convolution(2, (6, 6, 1)),
        "ConvolutionTranspose": lambda: nengo.ConvolutionTranspose(2, (6, 6, 1)),
        "NoTransform": lambda: nengo.transforms.NoTransform(36),
    }
    with nengo.Network(seed=0) as network:
        ensemble = nengo.Ensemble(36, 1)
        transform = transforms[kind.__name__]()
        node = nengo.Node(size_in=transform.size_out)
        nengo.Connection(ensemble.neurons, node, transform=transform)
        nengo.Probe(node, synapse=0.01)
    return network


class Counter:
    """A function that has a state in Python."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    def __call__(self, t: float) -> int:
        self.calls.append(t)
        return len(self.calls)


def of_node(output: object, n_inputs: int) -> nengo.Network:
    """A network with a node; objects with a state are new in each."""
    output = output() if output is Counter else output
    with nengo.Network(seed=0) as network:
        node = nengo.Node(output, size_in=n_inputs)
        if n_inputs:
            nengo.Connection(nengo.Node([0.5]), node, synapse=None)
        nengo.Probe(node, synapse=0.01)
    return network


def of_direct() -> nengo.Network:
    """A network with an ensemble in Direct mode, whose function is computed."""
    with nengo.Network(seed=0) as network:
        ensemble = nengo.Ensemble(1, 1, neuron_type=nengo.Direct())
        nengo.Connection(nengo.Node([0.5]), ensemble)
        squared = nengo.Node(size_in=1)
        nengo.Connection(ensemble, squared, function=np.square)
        nengo.Probe(squared, synapse=0.01)
    return network


NODES: dict[str, Make] = {
    "a constant": partial(of_node, [0.5], 0),
    "passes its input on": partial(of_node, None, 1),
    "a function that only calculates": partial(of_node, lambda t, x: x * np.sin(t), 1),
    "a function of time": partial(of_node, lambda t: np.sin(t), 0),
    "an object with a state": partial(of_node, Counter, 0),
    "an ensemble in Direct mode": of_direct,
}
KINDS: list[tuple[str, ModuleType, type, Callable[[type], nengo.Network]]] = [
    ("Neuron types", nengo.neurons, nengo.neurons.NeuronType, of_neurons),
    ("Synapses", nengo.synapses, nengo.synapses.Synapse, of_synapse),
    ("Processes", nengo.processes, nengo.Process, of_process),
    ("Learning rules", nengo.learning_rules, nengo.learning_rules.LearningRuleType, of_rule),
    ("Transforms", nengo.transforms, nengo.transforms.Transform, of_transform),
]


def samples(
    simulator: Callable[..., Any], network: nengo.Network, **options: str
) -> tuple[Any, np.ndarray]:
    """Run a network; returns the plan, if there is one, and the samples of its probe."""
    with simulator(network, progress_bar=False, seed=1, **options) as sim:
        sim.run_steps(N_STEPS)
        plan = getattr(sim, "plan", None)
        return plan, np.array(sim.data[network.all_probes[0]])


def difference(values: np.ndarray, expected: np.ndarray) -> str:
    """The largest difference, relative to the largest value, as users read it."""
    if np.array_equal(values, expected):
        return "none"
    relative = np.abs(values - expected).max() / np.abs(expected).max()
    digit, exponent = f"{relative:.0e}".split("e")
    return f"{digit}·10{str(int(exponent)).translate(SUPERSCRIPT)}"


def on_cpu(make: Make) -> str:
    """How the engine `cpu` runs the object of a network."""
    plan, _ = samples(nengo_jit.Simulator, make(), engine="cpu")
    if plan.in_python:
        return "in Python"
    return "compiled from its Python code" if plan.compiled else "kernels"


def on_jax(make: Make) -> str:
    """Where the engine `jax` runs the object of a network."""
    network = make()
    with nengo_jit.Simulator(network, engine="jax", progress_bar=False, seed=1) as sim:
        plan = sim.plan
    if plan.in_python:
        return "in Python"
    drawn = any(
        isinstance(each, Operator) and each.draws(plan.dt, np.random.RandomState(0)) is not None
        for each in plan.operators
    )
    return "values computed ahead" if drawn else "on the device"


def row(name: str, make: Make) -> str:
    """A row of a table: an object, and what becomes of it."""
    _, expected = samples(partial(nengo.Simulator, optimize=False), make())
    found = [
        difference(samples(nengo_jit.Simulator, make(), engine=engine)[1], expected)
        for engine in ("reference", "cpu")
    ]
    return f"| {name} | {on_cpu(make)} | {on_jax(make)} | {found[0]} | {found[1]} |"


def table(title: str, rows: Iterable[str]) -> list[str]:
    """A section with a table."""
    head = "| | `cpu` | `jax` | `reference` differs by | `cpu` differs by |"
    return [f"## {title}", "", head, "| --- | --- | --- | --- | --- |", *rows, ""]


def solver_row(kind: type) -> str:
    """A row of the table of solvers."""

    def decoders(simulator: Callable[..., Any]) -> np.ndarray:
        with nengo.Network(seed=0) as network:
            ensemble = nengo.Ensemble(50, 1)
            target = nengo.Node(size_in=1)
            connection = nengo.Connection(ensemble, target, solver=made(kind))
        with simulator(network, progress_bar=False) as sim:
            return np.array(sim.data[connection].weights)

    who = "nengo-jit, many at a time" if kind in SOLVED_TOGETHER else "nengo's code"
    if kind is nengo.solvers.NoSolver:
        who = "given"
    found, expected = decoders(nengo_jit.Simulator), decoders(nengo.Simulator)
    return f"| `{kind.__name__}` | {who} | {difference(found, expected)} |"


def page() -> str:
    """All tables."""
    logging.getLogger("nengo_jit").setLevel(logging.ERROR)
    nengo.rc["decoder_cache"]["enabled"] = "False"
    lines: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for title, module, base, make in KINDS:
            lines += table(
                title,
                [row(f"`{each.__name__}`", partial(make, each)) for each in classes(module, base)],
            )
        lines += table("Nodes and functions", [row(name, make) for name, make in NODES.items()])
        lines += ["## Solvers", "", "| | solved by | decoders differ by |", "| --- | --- | --- |"]
        lines += map(solver_row, classes(nengo.solvers, nengo.solvers.Solver))
    return "\n".join(lines)
