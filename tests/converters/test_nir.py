import builtins
from itertools import pairwise

import nengo
import numpy as np
import pytest
from nengo.dists import Choice
from nengo.exceptions import ValidationError

import nengo_jit

NEURONS = nengo.LIF(tau_ref=0.0, min_voltage=-np.inf, initial_state={"voltage": Choice([0])})
STEPS = 200


def test_without_nir_an_error_says_what_to_install(monkeypatch):
    true_import = builtins.__import__

    def without(name, *arguments, **options):
        if name == "nir":
            raise ImportError(name)
        return true_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    for function in (nengo_jit.from_nir, nengo_jit.to_nir):
        with pytest.raises(ImportError, match=r'pip install "nengo-jit\[nir\]"'):
            function(None)


nir = pytest.importorskip("nir")


def spikes_of(net, simulator=nengo_jit.Simulator):
    """Run a network with the same random input; return the sum of spikes in each step."""
    rows = np.random.RandomState(0).uniform(-1, 2, (STEPS, net.input.size_out))
    net.input.output = nengo.processes.PresentInput(rows, 0.001)
    with net:
        probes = [nengo.Probe(each.neurons) for each in net.all_ensembles]
        value = nengo.Probe(net.output)
    with simulator(net, progress_bar=False) as sim:
        sim.run_steps(STEPS)
    net.input.output = np.zeros(net.input.size_out)
    return [sim.data[each] > 0 for each in probes], sim.data[value]


def graph_of_layers():
    rng = np.random.RandomState(1)
    ones = np.ones(5)
    nodes = {
        "in": nir.Input({"input": np.array([3])}),
        "first": nir.Affine(rng.randn(5, 3), rng.rand(5)),
        "cells": nir.LIF(0.02 * ones, 2 * ones, 0.1 * ones, 0.7 * ones, -0.2 * ones),
        "loop": nir.Linear(0.3 * rng.randn(5, 5)),
        "second": nir.Linear(rng.randn(4, 5)),
        "more": nir.CubaLIF(
            *(0.005 * np.ones(4), 0.01 * np.ones(4), np.ones(4), np.zeros(4), np.full(4, 0.3)),
            w_in=3.0 * np.ones(4),
        ),
        "scale": nir.Scale(np.array([1.0, 2.0, -1.0, 0.5])),
        "smooth": nir.LI(0.01 * np.ones(4), np.ones(4), np.zeros(4)),
        "out": nir.Output({"output": np.array([4])}),
    }
    chain = ["in", "first", "cells", "second", "more", "scale", "smooth", "out"]
    edges = [*pairwise(chain), ("cells", "loop"), ("loop", "cells")]
    return nir.NIRGraph(nodes, edges)


def by_hand(rows):
    """Return the spikes of ``cells`` in the graph of layers, by nengo's LIF step."""
    graph = graph_of_layers().nodes
    voltage, before, refractory, found = np.zeros(5), np.zeros(5), np.zeros(5), []
    neurons = nengo.LIF(tau_ref=0, min_voltage=-np.inf, amplitude=0.001)
    for row in rows:
        total = graph["first"].weight @ row + graph["first"].bias + graph["loop"].weight @ before
        J, before = (2 * total + 0.3) / 0.9, np.zeros(5)
        neurons.step(0.001, J, before, voltage, refractory)
        found.append(before > 0)
    return np.array(found)


def test_a_graph_runs_as_its_equations_say():
    net = nengo_jit.from_nir(graph_of_layers())
    rows = np.random.RandomState(0).uniform(-1, 2, (STEPS, 3))
    spikes, _ = spikes_of(net, nengo.Simulator)
    assert spikes[0].any() and spikes[1].any()
    np.testing.assert_array_equal(spikes[0], by_hand(rows))
    assert list(net.inputs) == ["in"] and list(net.outputs) == ["out"]


def test_in_and_out_again_gives_the_same_spikes(tmp_path):
    net = nengo_jit.from_nir(graph_of_layers())
    graph = nengo_jit.to_nir(net)
    nir.write(tmp_path / "graph.nir", graph)
    again = nengo_jit.from_nir(nir.read(tmp_path / "graph.nir"))
    (first, value), (second, other) = spikes_of(net), spikes_of(again)
    for one, two in zip(first, second):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(value, other, atol=1e-9)


def of_populations(neuron_type):
    """Return a network of ensembles, connected by what they represent."""
    with nengo.Network(seed=4) as net:
        net.input = nengo.Node(np.zeros(2), label="input")
        a = nengo.Ensemble(20, 2, neuron_type=neuron_type, label="a", radius=1.5)
        b = nengo.Ensemble(15, 1, neuron_type=neuron_type, label="b")
        net.output = nengo.Node(size_in=2, label="output")
        nengo.Connection(net.input, a)
        nengo.Connection(nengo.Node([0.3]), b, synapse=None)
        nengo.Connection(a, b, function=lambda x: x[0] * x[1], synapse=0.01)
        nengo.Connection(b, b, transform=0.5, synapse=0.05)
        nengo.Connection(a[1], net.output[0], synapse=0.02)
        nengo.Connection(b, net.output[1], synapse=None)
        nengo.Connection(b.neurons[:3], a.neurons[[1, 4, 2]], transform=0.001, synapse=0)
    return net


def test_populations_out_and_in_again_give_the_same_spikes():
    net = of_populations(NEURONS)
    again = nengo_jit.from_nir(nengo_jit.to_nir(net))
    (first, value), (second, other) = spikes_of(net), spikes_of(again)
    assert [each.shape for each in first] == [each.shape for each in second]
    for one, two in zip(first, second):
        assert one.any()
        np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(value, other, atol=1e-9)


def test_pictures():
    rng = np.random.RandomState(0)
    weight = rng.randn(2, 3, 3, 2)
    for padding in ((1, 0), "same"):
        nodes = {
            "in": nir.Input({"input": np.array([3, 5, 4])}),
            "conv": nir.Conv2d((5, 4), weight, 1, padding, 1, 1, np.array([0.5, -1.0])),
            "pool": nir.SumPool2d(np.array([2, 2]), np.array([1, 1]), np.array([0, 0])),
            "flat": nir.Flatten({"input": np.array([2, 4, 2 if padding != "same" else 3])}, 0),
            "out": nir.Output({"output": np.array([16 if padding != "same" else 24])}),
        }
        names = list(nodes)
        graph = nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)
        net = nengo_jit.from_nir(graph)
        picture = rng.randn(3, 5, 4)
        around = [(0, 0), (1, 1), (0, 0) if padding != "same" else (0, 1)]
        wide = np.pad(picture, around)
        n_rows, n_columns = wide.shape[1] - 2, wide.shape[2] - 1
        value = np.empty((2, n_rows, n_columns))
        for i in range(n_rows):
            for j in range(n_columns):
                value[:, i, j] = np.tensordot(weight, wide[:, i : i + 3, j : j + 2], 3)
        value += np.array([0.5, -1.0])[:, None, None]
        value = sum(
            value[:, i : i + n_rows - 1, j : j + n_columns - 1] for i in (0, 1) for j in (0, 1)
        )
        net.input.output = picture.ravel()
        with net:
            probe = nengo.Probe(net.output)
        with nengo_jit.Simulator(net) as sim:
            sim.step()
        np.testing.assert_allclose(sim.data[probe][0], value.ravel())


@pytest.mark.parametrize(
    "node, message",
    [
        (nir.IF(np.ones(2), np.ones(2)), "'node' .IF. cannot be converted.*ignore negative"),
        (nir.LIF(np.array([0.1, 0.2]), *[np.ones(2)] * 3), "'node' .LIF.*time constants differ"),
        (nir.LI(np.ones(2), np.ones(2), np.ones(2)), "'node' .LI.*no leak voltage"),
        (nir.LIF(*[np.ones(2)] * 4, v_reset=np.ones(2)), "'node' .LIF.*not above its reset"),
        (nir.Threshold(np.ones(2)), "'node' .Threshold.*no equivalent"),
        (nir.Delay(np.array([0.01, 0.02])), "'node' .Delay.*delays of one step"),
        (nir.LIF(np.zeros(2), *[np.ones(2)] * 3), "'node' .LIF.*tau_rc"),
    ],
)
def test_nodes_that_cannot_be_converted_are_named(node, message):
    nodes = {
        "in": nir.Input({"input": np.array([2])}),
        "node": node,
        "out": nir.Output({"output": np.array([2])}),
    }
    graph = nir.NIRGraph(nodes, [("in", "node"), ("node", "out")])
    with pytest.raises(ValidationError, match=message):
        nengo_jit.from_nir(graph)
    if type(node) in (nir.IF, nir.LI):
        assert nengo_jit.from_nir(graph, lossy=True).output is not None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"tau_ref": 0.002}, "'a'.*refractory period; `lossy=True`"),
        ({"min_voltage": 0}, "'a'.*lower limit"),
        ({"initial_state": {"voltage": Choice([0.5])}}, "'a'.*do not begin at zero"),
        ({"initial_state": None}, "'a'.*do not begin at zero"),
    ],
)
def test_neurons_that_cannot_be_exported_are_named(options, message):
    fits = {"tau_ref": 0.0, "min_voltage": -np.inf, "initial_state": {"voltage": Choice([0])}}
    net = of_populations(nengo.LIF(**{**fits, **options}))
    with pytest.raises(ValidationError, match=message):
        nengo_jit.to_nir(net)
    assert isinstance(nengo_jit.to_nir(net, lossy=True), nir.NIRGraph)


def test_other_objects_that_cannot_be_exported_are_named():
    with nengo.Network() as net:
        node = nengo.Node(lambda t, x: x, size_in=1, label="doubting")
        nengo.Connection(node, nengo.Ensemble(3, 1, neuron_type=NEURONS, label="a"))
    with pytest.raises(ValidationError, match=r"'doubting'.*computes a function"):
        nengo_jit.to_nir(net)
    with nengo.Network() as net:
        a = nengo.Ensemble(3, 1, neuron_type=NEURONS, label="a")
        nengo.Connection(a, a, synapse=nengo.Alpha(0.1))
    with pytest.raises(ValidationError, match=r"a.*alpha filter"):
        nengo_jit.to_nir(net)


def two_by_two(nodes, edges):
    ends = {"in": nir.Input({"input": np.array([2])}), "out": nir.Output({"output": np.array([2])})}
    return nir.NIRGraph({**ends, **nodes}, edges, type_check=False)


def test_loops_without_spikes_or_a_delay_are_named():
    nodes = {"a": nir.Linear(np.eye(2)), "b": nir.Scale(np.ones(2))}
    edges = [("in", "a"), ("a", "b"), ("b", "a"), ("b", "out")]
    with pytest.raises(ValidationError, match=r"'a' .Linear.*leads back to it without a delay"):
        nengo_jit.from_nir(two_by_two(nodes, edges))
    nodes["b"] = nir.LI(np.ones(2), np.ones(2), np.zeros(2))
    nengo_jit.from_nir(two_by_two(nodes, edges))


def test_inputs_that_do_not_fit_are_named():
    graph = two_by_two({"a": nir.Linear(np.ones((2, 3)))}, [("in", "a"), ("a", "out")])
    with pytest.raises(ValidationError, match=r"'a' .Linear.* input from 'in' does not fit"):
        nengo_jit.from_nir(graph)


def test_connections_to_learning_rules_are_left_out():
    net = of_populations(NEURONS)
    expected = nengo_jit.to_nir(net)
    with net:
        learned = next(each for each in net.connections if each.pre_obj in net.ensembles)
        learned.learning_rule_type = nengo.PES()
        error = np.ones((learned.size_out, net.nodes[0].size_out))
        nengo.Connection(net.nodes[0], learned.learning_rule, transform=error)
    with pytest.raises(ValidationError, match="it learns"):
        nengo_jit.to_nir(net)
    found = nengo_jit.to_nir(net, lossy=True)
    assert set(found.nodes) >= set(expected.nodes)
    assert set(found.edges) == set(expected.edges)


def test_nodes_of_no_size_are_left_out():
    with nengo.Network() as net:
        given, result = nengo.Node([0.0], label="given"), nengo.Node(size_in=1, label="result")
        nengo.Connection(given, result, synapse=None)
        nengo.Node(size_in=0)
    assert set(nengo_jit.to_nir(net).nodes) == {"given", "result"}


def test_names_may_have_slashes(tmp_path):
    with nengo.Network() as net:
        given, result = nengo.Node([0.0], label="a/b"), nengo.Node(size_in=1, label="c/d")
        nengo.Connection(given, result, transform=2.0, synapse=None)
    nir.write(tmp_path / "net.nir", nengo_jit.to_nir(net))
    again = nengo_jit.from_nir(nir.read(tmp_path / "net.nir"))
    assert list(again.inputs) == ["a|b"]
    assert list(again.outputs) == ["c|d"]
