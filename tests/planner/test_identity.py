import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nengo
import numpy as np
import pytest

from nengo_jit.builder import Model
from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import Copy, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.planner import make_plan
from nengo_jit.planner.identity import Identity

ROOT = Path(__file__).resolve().parents[2]


def network(seed=0, synapse=0.01, neuron_type=None, noise_seed=3, inputs=(1.0, 2.0), n_neurons=8):
    with nengo.Network(seed=seed) as net:
        process = nengo.processes.PresentInput([[each] for each in inputs], 0.1)
        noise = nengo.processes.WhiteNoise(seed=noise_seed)
        ensemble = nengo.Ensemble(n_neurons, 1, neuron_type=neuron_type or nengo.LIF())
        nengo.Connection(nengo.Node(process), ensemble, synapse=synapse)
        nengo.Connection(nengo.Node(noise, size_out=1), ensemble)
        nengo.Connection(ensemble, ensemble, learning_rule_type=nengo.Voja())
        nengo.Probe(ensemble, synapse=0.1)
    return net


def identity(dt=0.001, **changes):
    model = Model(dt=dt)
    model.build(network(**changes))
    return Identity(make_plan(model))


def test_the_same_network_is_the_same_model():
    assert identity().difference(identity().describe()) is None


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"dt": 0.002}, "has steps of 0.002 s, not of 0.001 s"),
        ({"synapse": 0.02}, "another operator number .*SimProcess{Lowpass"),
        ({"synapse": None}, "another operator number "),
        ({"neuron_type": nengo.LIF(tau_rc=0.03)}, "another operator number .*SimNeurons"),
        ({"neuron_type": nengo.LIFRate()}, "another operator number"),
        ({"noise_seed": 4}, "another operator number .*WhiteNoise"),
        ({"inputs": (1.0, 3.0)}, "different values in SimProcess{PresentInput"),
        ({"inputs": (1.0, 2.0, 3.0)}, "another operator number .*PresentInput"),
        ({"n_neurons": 9}, "another operator number"),
        ({"seed": 1}, "different values in the signal '.*[Ee]nsemble"),
    ],
)
def test_the_first_difference_is_named(changes, words):
    changed = identity(**changes)
    difference = changed.difference(identity().describe())
    assert difference is not None and re.search(words, difference), difference


def test_precision_counts():
    double = identity().describe()
    nengo.rc.set("precision", "bits", "32")
    assert identity().difference(double) == "has numbers of type float32, not float64"


def chain(n, value=1.0):
    model = Model()
    signals = [Signal(np.full(3, value * (i + 1)), name=f"s{i}") for i in range(n + 1)]
    model.operators += [Copy(a, b) for a, b in pairwise(signals)]
    return Identity(make_plan(model))


def test_the_number_of_operators_counts():
    assert chain(3).difference(chain(2).describe()) == "has 4 operators, not 3"


def test_rounding_makes_no_other_model_and_more_does():
    theirs = chain(2).describe()
    assert chain(2, 1.0 + 1e-9).difference(theirs) is None
    assert chain(2, 1.0 + 1e-4).difference(theirs) == "has different values in the signal 's0'"


def test_which_signals_operators_share_counts():
    def model(shared):
        made, a, b, c = Model(), *(Signal(np.zeros(3), name=name) for name in "abc")
        made.operators += [Reset(a), Reset(b), Copy(a if shared else b, c)]
        return Identity(make_plan(made))

    assert "another operator" in model(True).difference(model(False).describe())


class Foreign(Operator):
    """Keeps things to itself that change from step to step."""

    def __init__(self, signal):
        super().__init__(sets=[], incs=[], reads=[], updates=[signal])
        self.history = []

    def make_step(self, signals, dt, rng):
        return lambda: None


def test_attributes_of_other_peoples_operators_are_left_alone():
    def model(history, size=2):
        made, operator = Model(), Foreign(Signal(np.zeros(size), name="x"))
        operator.history += history
        made.add_op(operator)
        return Identity(make_plan(made))

    assert model([1]).difference(model([]).describe()) is None
    assert "another operator" in model([], 3).difference(model([]).describe())


def test_infinite_values_are_equal_to_themselves():
    def model(value):
        made = Model()
        made.add_op(Reset(Signal(np.array([value]), name="x")))
        return Identity(make_plan(made))

    assert model(np.inf).difference(model(np.inf).describe()) is None
    assert model(-np.inf).difference(model(np.inf).describe()) is not None


PRINT = """
import sys
sys.path.append("tests/planner")
from test_identity import identity

described = identity().describe()
print(described["operators"].tolist(), described["values"].tolist())
"""


def test_it_is_the_same_in_every_process():
    def printed(hash_seed):
        return subprocess.run(
            [sys.executable, "-c", PRINT],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert printed("1") == printed("2") != ""
