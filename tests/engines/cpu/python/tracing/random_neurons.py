"""Random neuron types and rules over matrices, which compiled give Python's bits.

A step has statements that change states in place, by masks, rows, outer products and reductions.
``python random_neurons.py FIRST COUNT`` runs some of them; so does ``make fuzz-python``.
"""

from __future__ import annotations

import random
import sys
import warnings
from unittest.mock import patch

import nengo
import numpy as np

import nengo_jit
from nengo_jit.engines.cpu.python.tracing import tape

VECTOR = [
    *("J", "v", "w", "output", "v * {c}", "J - {x}", "{x} + {x}", "{x} * {x}", "np.tanh({x})"),
    *(
        "np.exp(-np.abs({x}))",
        "np.clip({x}, -2, 2)",
        "np.where({m}, {x}, {x})",
        "np.sqrt(np.abs({x}))",
    ),
    *("{x} ** 2", "np.maximum({x}, {c})", "({m}) * {x}", "{x} / (1 + np.abs({x}))", "-{x}"),
    *("np.round({x} * 3)", "{x} % 1.5", "W @ {x}", "np.dot(W.T, {x})", "W.sum(axis=0)", "W[k]"),
    *("{x} - {x}.mean()", "np.cumsum({x})", "np.log1p({x} ** 2)", "W[:, 0] * {c}", "np.sort({x})"),
]
MASK = [
    *("v > {c}", "J > w", "({m}) & ({m})", "~({m})", "({m}) | (w < {c})", "{x} >= {x}", "v != w"),
    *("np.logical_and({m}, {m})", "np.isfinite({x})", "{x} > {x}.mean()"),
]
NUMBER = ["0.5", "-1.25", "2", "dt", "1e-3", "v.max()", "np.sum({m})", "np.mean({x})", "v[k]"]
STATEMENTS = [
    *("v += dt * ({x})", "v[:] = {x}", "w[...] = {x}", "output[:] = ({m}) / dt", "w *= 0.5"),
    *(
        "v[{m}] = {c}",
        "w[{m}] += {c}",
        "m = {m}; v[m] = ({x})[m]",
        "m = {m}; w[m] = np.exp(-v[m] ** 2)",
    ),
    *(
        "m = {m}; v[m] -= w[m] * J[m]",
        "output[{m}] = 0",
        "np.multiply(v, {c}, out=w)",
        "k = np.argmax({x})",
    ),
    *("W += 1e-3 * np.outer({x}, {x})", "W[{m}] *= 0.5", "W[:, {m}] = {c}", "W[k] = {x}"),
    *("W[np.abs(W) > 1] = 0.25", "W[k] += 0.1 * (v - W[k])", "W[...] -= W * ({x})[:, None] * 1e-2"),
    *(
        "W /= np.linalg.norm(W, axis=1)[:, None] + 1",
        "v[k] = {c}",
        "i, = np.nonzero({m}); w[i] = 0.1",
    ),
    *(
        "m = {m}; w[m] = np.where(v[m] > 0, {c}, J[m])",
        "v[~(np.abs(v) < 5)] = 0.5",
        "W[W > {c}] -= 0.1",
    ),
]
HEAD = """
class Random(nengo.neurons.NeuronType):
    state = {"v": nengo.dists.Uniform(-1, 1), "w": nengo.dists.Choice([0.5])}

    def __init__(self, W):
        super().__init__()
        self.W = W

    def gain_bias(self, max_rates, intercepts):
        return np.ones_like(max_rates), np.linspace(-1, 1, len(max_rates))

    def max_rates_intercepts(self, gain, bias):
        return np.ones_like(gain), np.zeros_like(gain)

    def step(self, dt, J, output, v, w):
        W, k = self.W, 0
        output[...] = J
"""


def made(rng: random.Random, template: str, depth: int = 0) -> str:
    """A template with everything filled in."""
    for kind, choices in (("x", VECTOR), ("m", MASK), ("c", NUMBER)):
        while f"{{{kind}}}" in template:
            simple = [each for each in choices if "{" not in each]
            part = rng.choice(simple if depth > 1 else choices)
            template = template.replace(f"{{{kind}}}", f"({made(rng, part, depth + 1)})", 1)
    return template


def run(seed: int) -> bool:
    """Check the neuron type of a seed; tells whether it was compiled."""
    rng = random.Random(seed)
    lines = [made(rng, rng.choice(STATEMENTS)) for _ in range(rng.randint(1, 7))]
    text = HEAD + "".join(f"        {line}\n" for each in lines for line in each.split("; "))
    n, n_populations = rng.choice([1, 2, 7, 17, 40, 600]), rng.choice([1, 1, 3])
    bits = rng.choice(["32", "64"])
    try:
        return check(text, n, n_populations, bits, seed)
    except BaseException:
        print(text, n, n_populations, bits, seed)
        raise


def check(text: str, n: int, n_populations: int, bits: str, seed: int) -> bool:
    names = {"nengo": nengo, "np": np}
    exec(text, names)
    results = []
    with patch.object(tape, "N_PROOFS", 5), patch.object(tape, "INTERVAL", 7):
        for options in ({}, {"compile_python": False}):
            before = nengo.rc.get("precision", "bits")
            nengo.rc.set("precision", "bits", bits)
            with nengo.Network(seed=1) as net, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stimulus = nengo.Node(lambda t: np.sin(40 * t))
                for i in range(n_populations):
                    size = min(n, 40)
                    W = np.random.RandomState(seed % 2**32 + i).uniform(-0.5, 0.5, (size, size))
                    kind = names["Random"](W if n <= 40 else W[:1, :1])
                    ensemble = nengo.Ensemble(n, 1, neuron_type=kind)
                    nengo.Connection(stimulus, ensemble, synapse=None)
                    for name in ("output", "v", "w"):
                        nengo.Probe(ensemble.neurons, name)
                sim = nengo_jit.Simulator(net, progress_bar=False, **options)
                nengo.rc.set("precision", "bits", before)
                outcome = None
                try:
                    sim.run_steps(100)
                    sim.run_steps(60)
                except Exception as error:
                    outcome = type(error), str(error)
                wrong = [each.wrong for each in sim._engine.callbacks if each.wrong]
                assert not wrong, wrong
                is_compiled = bool(sim.plan.compiled) and not sim.plan.in_python
                data = [sim.data[probe].tobytes() for probe in net.all_probes]
                results.append((outcome, data, is_compiled))
                sim.close()
    assert results[0][:2] == results[1][:2]
    return results[0][2]


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    print(sum(map(run, range(first, first + count))), "compiled")
