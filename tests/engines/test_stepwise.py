"""Engines of other packages: the example in the documentation, installed as a package would be."""

import importlib
import pickle
import sys

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError
from pages import install

import nengo_jit


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The example, where Python looks for packages."""
    install("engines", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("merging", None)


@pytest.fixture
def network():
    with nengo.Network(seed=0) as net:
        net.array = nengo.networks.EnsembleArray(10, 4)
        net.probe = nengo.Probe(net.array.output, synapse=0.01)
    return net


def test_it_merges_what_is_alike(installed, network):
    with nengo_jit.Simulator(network, engine="merging") as sim:
        merged = [what for what in sim._engine.python_steps if isinstance(what, str)]
        assert merged == ["4 x SimNeurons LIF"]
        assert "4" in [line.split()[1] for line in str(sim.plan).splitlines()[2:-1]]


def test_options_that_it_does_not_take_are_refused(installed, network, monkeypatch):
    with pytest.raises(ValidationError, match=r"threads: The engine 'merging' does not have"):
        nengo_jit.Simulator(network, engine="merging", threads=2)
    monkeypatch.setenv("NENGO_JIT_THREADS", "2")  # which is for other engines
    nengo_jit.Simulator(network, engine="merging").close()


def test_a_step_that_fails_is_undone(installed, network):
    with network:
        node = nengo.Node(lambda t: [1 / round(0.005 - t, 6)] * 4, label="divides")
        nengo.Connection(node, network.array.input)
    with nengo_jit.Simulator(network, engine="merging") as sim:
        with pytest.raises(ZeroDivisionError) as caught:
            sim.run(0.02)
        assert "step 5" in caught.value.__notes__[0] and "divides" in caught.value.__notes__[0]
        assert (sim.n_steps, len(sim.data[network.probe])) == (4, 4)


def test_a_state_within_a_step_is_refused(installed, network):
    with network:
        nengo.Node(lambda t: sim.state()["n_steps"], size_out=1)
    with nengo_jit.Simulator(network, engine="merging") as sim:
        with pytest.raises(SimulationError, match="between runs only"):
            sim.run(0.02)
        assert sim.n_steps == 0


def test_pickled_simulators_keep_their_engine(installed, network):
    with nengo_jit.Simulator(network, engine="merging") as sim:
        sim.run_steps(20)
        pickled = pickle.dumps((sim, network.probe))
        sim.run_steps(20)
        expected = sim.data[network.probe]
    copy, probe = pickle.loads(pickled)
    with copy:
        assert copy.engine == "merging"
        copy.run_steps(20)
        np.testing.assert_array_equal(copy.data[probe], expected)
