"""Engines of other packages: the example in the documentation, installed as a package would be."""

import importlib
import pickle
import re
import sys
import tomllib
from pathlib import Path

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengo_jit
from nengo_jit.engines import GROUP

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The example's code and entry point, where Python looks for packages; its test's code."""
    example, its_test = blocks("python")
    (project,) = blocks("toml")
    points = tomllib.loads(project)["project"]["entry-points"][GROUP]
    (tmp_path / "merging.py").write_text(example)
    package = tmp_path / "merging-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: merging\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (package / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield its_test
    sys.modules.pop("merging", None)


def test_the_example_in_the_documentation_runs_a_network(installed):
    namespace = {}
    exec(installed, namespace)
    namespace["test_merging"]()


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
