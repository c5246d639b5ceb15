"""Names of a network's objects."""

import nengo
import pytest

from nengo_jit.labels import Labels, name_by_variables


@pytest.fixture
def network():
    with nengo.Network(label="all") as network:
        network.a = nengo.Ensemble(5, 1, label="a")
        network.node = nengo.Node(0)
        with nengo.Network(label="part") as network.part, nengo.Network() as network.inner:
            network.deep = nengo.Ensemble(5, 1)
        network.connection = nengo.Connection(
            network.a, network.deep, learning_rule_type=nengo.PES()
        )
        network.probe = nengo.Probe(network.deep.neurons)
    return network


def test_objects_without_a_label_have_a_number(network):
    labels = Labels(network)
    assert labels[network.a] == "a"
    assert labels[network.node] == "Node 1"
    assert labels[network.deep] == "Ensemble 1"
    assert labels[network.connection] == "a → Ensemble 1"
    assert labels[network.probe] == "Ensemble 1.neurons output"


def test_parts_are_named_by_the_whole(network):
    labels = Labels(network)
    assert labels[network.a.neurons] == "a.neurons"
    assert labels[network.connection.learning_rule] == "a → Ensemble 1.learning_rule"
    assert labels[object()] == "object"


def test_places_are_the_networks_around_an_object(network):
    labels = Labels(network)
    assert labels.place_of(network.a) == ""
    assert labels.place_of(network.deep) == "part.Network 1"
    assert labels.full(network.deep) == "part.Network 1.Ensemble 1"
    assert labels.full(network.a) == "a"


def test_unique_names_are_numbered(network):
    with network:
        second = nengo.Probe(network.deep.neurons)
    probes = [network.probe, second]
    assert list(Labels(network).unique(probes).values()) == [
        "Ensemble 1.neurons output",
        "Ensemble 1.neurons output (2)",
    ]


def test_without_a_network_names_are_those_of_the_objects(network):
    labels = Labels(None)
    assert labels[network.a] == "a"
    assert labels[network.node] == "Node"


def test_variables_name_what_has_no_label(network):
    name_by_variables(network, {"x": network.node, "a2": network.a, "y": 3, "_z": network.deep})
    assert network.node.label == "x"
    assert network.a.label == "a"
    assert network.deep.label == "deep"
    assert network.label == "all"


def test_indexed_ends_are_named(network):
    with network:
        connection = nengo.Connection(network.a.neurons[:1], network.deep.neurons[0])
    assert Labels(network)[connection] == "a.neurons → Ensemble 1.neurons"
