"""Connections of every kind: parameters, operators and results are those of nengo."""

import re

import nengo
import numpy as np
import pytest
from comparing import simulators
from nengo.dists import Choice, Uniform
from nengo.exceptions import BuildError, SignalError
from nengo.solvers import LstsqDrop, LstsqL2, LstsqNoise, NoSolver

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.connection import BuiltConnection, slice_signal
from nengo_jit.engines import ENGINES
from nengo_jit.ir.operator import Copy
from nengo_jit.ir.signal import Signal

N_STEPS = 50
Connection = nengo.Connection


def add_objects(net):
    """Put something of every kind into a network, for connections to begin and end in."""
    with net:
        net.stimulus = nengo.Node(lambda t: [np.sin(50 * t), np.cos(30 * t)], label="stimulus")
        net.image = nengo.Node(lambda t: np.sin(np.arange(16) * 40 * t), label="image")
        net.a = nengo.Ensemble(10, 2, n_eval_points=40, label="a")
        net.b = nengo.Ensemble(12, 2, n_eval_points=40, radius=1.5, label="b")
        net.direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct(), n_eval_points=4)
        net.relay = nengo.Node(size_in=4, label="relay")
        net.canvas = nengo.Node(size_in=16, label="canvas")
        Connection(net.stimulus, net.a, synapse=None)
        Connection(net.stimulus, net.direct, synapse=None)


def times(*factors):
    """Weights that are all different."""
    return np.arange(1.0, 1 + np.prod(factors)).reshape(factors) / np.prod(factors)


def sparse(rows, columns):
    places = [(row, (3 * row) % columns) for row in range(rows)]
    return nengo.Sparse((rows, columns), indices=places, init=np.linspace(0.1, 1, rows))


def double(x):
    return 2 * x


def product(x):
    return x[0] * x[1]


def convolution(n_filters, shape, kernel_size, kind=nengo.Convolution, **arguments):
    arguments.setdefault("strides", (1,) * len(kernel_size))
    return kind(n_filters, shape, kernel_size=kernel_size, init=Uniform(-1, 1), **arguments)


def transposed(n_filters, shape, kernel_size, **arguments):
    return convolution(n_filters, shape, kernel_size, kind=nengo.ConvolutionTranspose, **arguments)


# Each entry connects objects of the network it is given, and returns the connection.
KINDS = {
    # between objects of every kind
    "node to node": lambda n: Connection(n.stimulus, n.relay[:2]),
    "node to ensemble": lambda n: Connection(n.stimulus, n.b),
    "node to neurons": lambda n: Connection(n.stimulus, n.b.neurons, transform=times(12, 2)),
    "ensemble to node": lambda n: Connection(n.a, n.relay[:2]),
    "ensemble to ensemble": lambda n: Connection(n.a, n.b),
    "ensemble to itself": lambda n: Connection(n.a, n.a, synapse=0.1),
    "ensemble to neurons": lambda n: Connection(n.a, n.b.neurons, transform=times(12, 2)),
    "neurons to node": lambda n: Connection(n.a.neurons[:4], n.relay),
    "neurons to ensemble": lambda n: Connection(n.a.neurons, n.b, transform=times(2, 10)),
    "neurons to neurons": lambda n: Connection(
        n.a.neurons, n.b.neurons, transform=times(12, 10) / 100
    ),
    "neurons to themselves": lambda n: Connection(n.a.neurons, n.a.neurons, transform=-0.01),
    "direct to node": lambda n: Connection(n.direct, n.relay[:2]),
    "direct to ensemble": lambda n: Connection(n.direct, n.b),
    "direct to neurons": lambda n: Connection(n.direct, n.b.neurons, transform=times(12, 2)),
    "node to direct": lambda n: Connection(n.stimulus, n.direct),
    "ensemble to direct": lambda n: Connection(n.a, n.direct),
    "neurons to direct": lambda n: Connection(n.a.neurons, n.direct, transform=times(2, 10)),
    # slices
    "number before": lambda n: Connection(n.stimulus[1], n.relay[0]),
    "negative number before": lambda n: Connection(n.stimulus[-1], n.relay[0]),
    "number after": lambda n: Connection(n.stimulus[0], n.relay[3]),
    "negative number after": lambda n: Connection(n.stimulus[0], n.relay[-2]),
    "slice before": lambda n: Connection(n.image[2:6], n.relay),
    "slice after": lambda n: Connection(n.stimulus, n.relay[1:3]),
    "slice with step before": lambda n: Connection(n.image[1::5], n.relay[:3]),
    "slice with step after": lambda n: Connection(n.stimulus, n.relay[::2]),
    "ellipsis before": lambda n: Connection(n.image[...], n.canvas),
    "ellipsis and a number before": lambda n: Connection(n.image[..., 3], n.relay[1]),
    "number and ellipsis before": lambda n: Connection(n.a.neurons[3, ...], n.relay[1]),
    "nothing in particular before": lambda n: Connection(n.stimulus[()], n.relay[:2]),
    "mask before": lambda n: Connection(n.stimulus[np.array([False, True])], n.relay[1]),
    "reversed before": lambda n: Connection(n.stimulus[::-1], n.relay[:2]),
    "reversed after": lambda n: Connection(n.stimulus, n.relay[3:1:-1]),
    "list before": lambda n: Connection(n.image[[7, 3, 15]], n.relay[:3]),
    "list after": lambda n: Connection(n.stimulus, n.relay[[3, 0]]),
    "negative list before": lambda n: Connection(n.image[[-1, -16]], n.relay[:2]),
    "negative list after": lambda n: Connection(n.stimulus, n.relay[[-1, 0]]),
    "repeated list before": lambda n: Connection(n.stimulus[[0, 0, 1, 0]], n.relay),
    "repeated list after": lambda n: Connection(n.stimulus, n.relay[[1, 1]]),
    "list that repeats itself by a negative number after": lambda n: Connection(
        n.stimulus, n.relay[[3, -1]]
    ),
    "repeated lists on both sides": lambda n: Connection(n.stimulus[[1, 1]], n.relay[[2, 2]]),
    "slice of an ensemble before": lambda n: Connection(n.a[1], n.relay[2]),
    "list of an ensemble before": lambda n: Connection(n.a[[1, 0]], n.relay[:2]),
    "repeated list of an ensemble before": lambda n: Connection(n.a[[1, 1, 0]], n.relay[:3]),
    "slice of an ensemble after": lambda n: Connection(n.stimulus[0], n.b[1]),
    "list of an ensemble after": lambda n: Connection(n.a, n.b[[1, 0]]),
    "repeated list of an ensemble after": lambda n: Connection(n.a, n.b[[1, 1]]),
    "slice of neurons before": lambda n: Connection(n.a.neurons[2:6], n.relay),
    "slice of neurons with step before": lambda n: Connection(n.a.neurons[1::3], n.relay[:3]),
    "list of neurons before": lambda n: Connection(n.a.neurons[[9, 0, 4]], n.relay[:3]),
    "slice of neurons after": lambda n: Connection(n.stimulus, n.b.neurons[3:5]),
    "slice of neurons with step after": lambda n: Connection(n.stimulus, n.b.neurons[9::-8]),
    "list of neurons after": lambda n: Connection(n.stimulus, n.b.neurons[[11, 2]]),
    "repeated list of neurons after": lambda n: Connection(n.stimulus, n.b.neurons[[5, 5]]),
    "number of a neuron after": lambda n: Connection(n.stimulus[0], n.b.neurons[-1]),
    "list of neurons after a matrix": lambda n: Connection(
        n.a, n.b.neurons[[7, 1, 3]], transform=times(3, 2)
    ),
    "slice of direct before": lambda n: Connection(n.direct[1], n.relay[0]),
    "list of direct before": lambda n: Connection(n.direct[[1, 0]], n.relay[:2]),
    "list of direct after": lambda n: Connection(n.stimulus, n.direct[[1, 0]]),
    "slices and a matrix": lambda n: Connection(
        n.image[4:7], n.relay[[2, 0]], transform=times(2, 3)
    ),
    # functions
    "function of a node": lambda n: Connection(n.stimulus, n.relay[:2], function=np.square),
    "function of a slice of a node": lambda n: Connection(
        n.image[::4], n.relay[0], function=np.sum
    ),
    "function of a node to another size": lambda n: Connection(
        n.stimulus, n.b, function=product, transform=[[1], [-1]]
    ),
    "function of an ensemble": lambda n: Connection(n.a, n.relay[0], function=product),
    "function of a slice of an ensemble": lambda n: Connection(n.a[0], n.b[1], function=np.square),
    "function of direct": lambda n: Connection(n.direct, n.b[0], function=product),
    "function of a slice of direct": lambda n: Connection(
        n.direct[::-1], n.relay[:2], function=np.square
    ),
    "function by points": lambda n: Connection(
        n.a, n.relay[0], eval_points=np.full((40, 2), 0.5), function=np.linspace([0], [1], 40)
    ),
    "own evaluation points": lambda n: Connection(n.a, n.b, eval_points=Uniform(-0.5, 0.5)),
    "own unscaled evaluation points": lambda n: Connection(
        n.b, n.a, eval_points=Uniform(-0.5, 0.5), scale_eval_points=False
    ),
    # transforms
    "scalar": lambda n: Connection(n.stimulus, n.b, transform=-2),
    "scalar after decoders": lambda n: Connection(n.a, n.b, transform=-2),
    "scalar between neurons": lambda n: Connection(n.a.neurons, n.b.neurons[2:], transform=0.01),
    "vector": lambda n: Connection(n.stimulus, n.b, transform=[1, -2]),
    "vector after decoders": lambda n: Connection(n.a, n.b, transform=[1, -2]),
    "matrix": lambda n: Connection(n.stimulus, n.b, transform=times(2, 2)),
    "matrix after decoders": lambda n: Connection(n.a, n.relay, transform=times(4, 2)),
    "matrix of one row": lambda n: Connection(n.stimulus, n.relay[0], transform=times(1, 2)),
    "matrix of one column": lambda n: Connection(n.stimulus[0], n.relay, transform=times(4, 1)),
    "distribution": lambda n: Connection(n.stimulus, n.relay, transform=Uniform(-1, 1)),
    "distribution after decoders": lambda n: Connection(n.a, n.b, transform=Uniform(-1, 1)),
    "dense": lambda n: Connection(
        n.stimulus, n.relay, transform=nengo.Dense((4, 2), init=times(4, 2))
    ),
    "dense scalar": lambda n: Connection(n.stimulus, n.b, transform=nengo.Dense((2, 2), init=3)),
    "dense distribution": lambda n: Connection(
        n.a, n.relay, transform=nengo.Dense((4, 2), init=Choice([[0.5, 1], [2, 3]]))
    ),
    "no transform": lambda n: Connection(n.stimulus, n.b, transform=None),
    "explicit no transform": lambda n: Connection(
        n.stimulus, n.b, transform=nengo.transforms.NoTransform(2)
    ),
    "no transform after decoders": lambda n: Connection(
        n.a, n.b, transform=nengo.transforms.NoTransform(2)
    ),
    "sparse": lambda n: Connection(n.image, n.relay, transform=sparse(4, 16)),
    "sparse from neurons": lambda n: Connection(n.a.neurons, n.relay, transform=sparse(4, 10)),
    "sparse to neurons": lambda n: Connection(n.stimulus, n.b.neurons, transform=sparse(12, 2)),
    "sparse to a list": lambda n: Connection(n.image, n.relay[[3, 1]], transform=sparse(2, 16)),
    "sparse from direct": lambda n: Connection(n.direct, n.relay, transform=sparse(4, 2)),
    "sparse distribution": lambda n: Connection(
        n.image,
        n.relay,
        transform=nengo.Sparse((4, 16), indices=[[0, 3], [2, 2], [2, 9]], init=Uniform(1, 2)),
    ),
    "sparse with repeated places": lambda n: Connection(
        n.image,
        n.relay,
        transform=nengo.Sparse((4, 16), indices=[[1, 3], [1, 3]], init=[1.0, 2.0]),
    ),
    "convolution": lambda n: Connection(
        n.image, n.relay, transform=convolution(1, (4, 4, 1), kernel_size=(3, 3))
    ),
    "convolution from neurons": lambda n: Connection(
        n.a.neurons, n.canvas, transform=convolution(2, (10, 1), kernel_size=(3,))
    ),
    "convolution to neurons": lambda n: Connection(
        n.image, n.b.neurons, transform=convolution(3, (4, 4, 1), kernel_size=(3, 3))
    ),
    "convolution of one dimension": lambda n: Connection(
        n.image, n.relay, transform=convolution(2, (8, 2), kernel_size=(3,), strides=(4,))
    ),
    "convolution with padding": lambda n: Connection(
        n.image,
        n.canvas,
        transform=convolution(1, (4, 4, 1), kernel_size=(2, 3), padding="same"),
    ),
    "convolution with strides and padding": lambda n: Connection(
        n.image,
        n.canvas[:8],
        transform=convolution(2, (4, 4, 1), kernel_size=(3, 3), strides=(2, 2), padding="same"),
    ),
    "convolution with channels first": lambda n: Connection(
        n.image,
        n.canvas,
        transform=convolution(4, (4, 2, 2), kernel_size=(1, 1), channels_last=False),
    ),
    "convolution in groups": lambda n: Connection(
        n.image,
        n.canvas,
        transform=convolution(4, (2, 2, 4), kernel_size=(2, 2), padding="same", groups=2),
    ),
    "transposed convolution": lambda n: Connection(
        n.stimulus[[0, 1, 1, 0]],
        n.canvas,
        transform=transposed(1, (2, 2, 1), kernel_size=(3, 3)),
    ),
    "transposed convolution with strides": lambda n: Connection(
        n.image[:4],
        n.canvas,
        transform=transposed(1, (2, 2, 1), kernel_size=(2, 2), strides=(2, 2)),
    ),
    "transposed convolution with padding": lambda n: Connection(
        n.image,
        n.canvas,
        transform=transposed(1, (4, 4, 1), kernel_size=(3, 2), padding="same"),
    ),
    "transposed convolution of one dimension": lambda n: Connection(
        n.image[:4], n.canvas[:12], transform=transposed(2, (4, 1), kernel_size=(3,))
    ),
    # synapses
    "no synapse": lambda n: Connection(n.stimulus, n.b, synapse=None),
    "no synapse after decoders": lambda n: Connection(n.a, n.b, synapse=None),
    "no synapse between neurons": lambda n: Connection(n.a.neurons, n.b.neurons[:10], synapse=None),
    "zero": lambda n: Connection(n.stimulus, n.b, synapse=0),
    "Lowpass(0)": lambda n: Connection(n.a, n.b, synapse=nengo.Lowpass(0)),
    "Lowpass": lambda n: Connection(n.a, n.b, synapse=nengo.Lowpass(0.02)),
    "Alpha": lambda n: Connection(n.a, n.b, synapse=nengo.Alpha(0.01)),
    "Triangle": lambda n: Connection(n.a, n.b, synapse=nengo.synapses.Triangle(0.008)),
    "LinearFilter": lambda n: Connection(
        n.a, n.b, synapse=nengo.LinearFilter([1, 0.5], [0.001, 0.1, 1])
    ),
    "synapse between neurons": lambda n: Connection(
        n.a.neurons, n.b.neurons[[1, 3]], transform=times(2, 10), synapse=nengo.Alpha(0.003)
    ),
    # solvers
    "weights": lambda n: Connection(n.a, n.b, solver=LstsqL2(weights=True)),
    "weights after a matrix": lambda n: Connection(
        n.a, n.b, solver=LstsqL2(weights=True), transform=times(2, 2)
    ),
    "weights to a slice": lambda n: Connection(n.a[0], n.b[1], solver=LstsqL2(weights=True)),
    "weights to a list": lambda n: Connection(
        n.a, n.b[[1, 0]], solver=LstsqL2(weights=True), function=np.square
    ),
    "weights of a function": lambda n: Connection(
        n.a, n.b[0], solver=LstsqL2(weights=True), function=product
    ),
    "weights that do not decompose": lambda n: Connection(
        n.a, n.b, solver=LstsqDrop(weights=True), transform=np.eye(2)
    ),
    "weights that do not decompose to a list": lambda n: Connection(
        n.a, n.b[[1, 0]], solver=LstsqDrop(weights=True), transform=Uniform(-1, 1)
    ),
    "noisy decoders before a distribution": lambda n: Connection(
        n.a, n.b, solver=LstsqNoise(), transform=Uniform(-1, 1)
    ),
    "given decoders": lambda n: Connection(n.a, n.b, solver=NoSolver(times(10, 2) / 50)),
    "given weights": lambda n: Connection(
        n.a, n.b, solver=NoSolver(times(10, 2) / 50, weights=True)
    ),
}
LEARNING = {
    "PES on decoders": lambda n: Connection(n.a, n.b, learning_rule_type=nengo.PES()),
    "PES on decoders to a node": lambda n: Connection(
        n.a, n.relay[:2], learning_rule_type=nengo.PES(1e-3)
    ),
    "PES on decoders of a slice": lambda n: Connection(
        n.a[0], n.relay[1:3], transform=[[1], [1]], learning_rule_type=nengo.PES(1e-3)
    ),
    "PES on decoders to a list": lambda n: Connection(
        n.a, n.b[[1, 0]], learning_rule_type=nengo.PES(1e-3)
    ),
    "PES on weights": lambda n: Connection(
        n.a, n.b, solver=LstsqL2(weights=True), learning_rule_type=nengo.PES(1e-3)
    ),
    "PES on weights to a slice": lambda n: Connection(
        n.a, n.b[::-1], solver=LstsqL2(weights=True), learning_rule_type=nengo.PES(1e-3)
    ),
    "PES from neurons": lambda n: Connection(
        n.a.neurons, n.b, transform=times(2, 10) / 100, learning_rule_type=nengo.PES(1e-3)
    ),
    "PES from a slice of neurons": lambda n: Connection(
        n.a.neurons[::3], n.b, transform=times(2, 4) / 10, learning_rule_type=nengo.PES(1e-3)
    ),
    "PES between neurons": lambda n: Connection(
        n.a.neurons,
        n.b.neurons,
        transform=times(12, 10) / 100,
        learning_rule_type=nengo.PES(1e-3),
    ),
    "PES to a slice of neurons": lambda n: Connection(
        n.a.neurons,
        n.b.neurons[2:9:3],
        transform=times(3, 10) / 10,
        learning_rule_type=nengo.PES(1e-3),
    ),
    "PES without filter": lambda n: Connection(
        n.a, n.b, learning_rule_type=nengo.PES(1e-3, pre_synapse=None)
    ),
    "RLS": lambda n: Connection(
        n.a, n.b, learning_rule_type=nengo.RLS(1e-2, pre_synapse=nengo.Alpha(0.005))
    ),
    "RLS without filter": lambda n: Connection(
        n.a, n.b, learning_rule_type=nengo.RLS(1e-2, pre_synapse=None)
    ),
    "BCM on weights": lambda n: Connection(
        n.a, n.b, solver=LstsqL2(weights=True), learning_rule_type=nengo.BCM(1e-8)
    ),
    "BCM between neurons": lambda n: Connection(
        n.a.neurons,
        n.b.neurons,
        transform=times(12, 10) / 100,
        learning_rule_type=nengo.BCM(1e-8, theta_synapse=0.1, post_synapse=None),
    ),
    "Oja on weights": lambda n: Connection(
        n.a, n.b, solver=LstsqL2(weights=True), learning_rule_type=nengo.Oja(1e-6)
    ),
    "Oja between neurons": lambda n: Connection(
        n.a.neurons,
        n.b.neurons,
        transform=times(12, 10) / 100,
        learning_rule_type=nengo.Oja(1e-6, beta=0.5, pre_synapse=None),
    ),
    "Voja from a node": lambda n: Connection(
        n.stimulus, n.b, learning_rule_type=nengo.Voja(learning_rate=0.05)
    ),
    "Voja on decoders": lambda n: Connection(
        n.a, n.b, learning_rule_type=nengo.Voja(learning_rate=0.05, post_synapse=None)
    ),
    "several rules": lambda n: Connection(
        n.a,
        n.b,
        solver=LstsqL2(weights=True),
        learning_rule_type=[nengo.BCM(1e-8), nengo.Oja(1e-6), nengo.PES(1e-3)],
    ),
    "rules for decoders and encoders": lambda n: Connection(
        n.a, n.b, learning_rule_type=[nengo.PES(1e-3), nengo.Voja(learning_rate=0.05)]
    ),
    "rules by name": lambda n: Connection(
        n.a, n.b, learning_rule_type={"one": nengo.PES(1e-3), "two": nengo.PES(1e-4)}
    ),
}
each_kind = pytest.mark.parametrize("kind", [*KINDS, *LEARNING])


def rules_of(conn):
    """The learning rules of a connection, whether one, several or none."""
    rules = conn.learning_rule
    if rules is None:
        return []
    if isinstance(rules, dict):
        return list(rules.values())
    return list(rules) if isinstance(rules, list) else [rules]


def make_network(kind):
    """A network with a connection of some kind, and probes of everything that it affects."""
    with nengo.Network(seed=12) as net:
        add_objects(net)
        net.conn = {**KINDS, **LEARNING}[kind](net)
        for rule in rules_of(net.conn):
            if rule.size_in == 2:
                Connection(net.stimulus, rule)
            elif rule.size_in == 1:
                Connection(net.stimulus[0], rule)
            if rule.modifies == "encoders":
                nengo.Probe(net.b, "scaled_encoders")
        nengo.Probe(net.conn, "input")
        nengo.Probe(net.conn, "output")
        if any(rule.modifies != "encoders" for rule in rules_of(net.conn)):
            nengo.Probe(net.conn, "weights")
        for target in (net.a.neurons, net.b.neurons, net.relay, net.canvas):
            nengo.Probe(target)
        nengo.Probe(net.b.neurons, "input")
        nengo.Probe(net.direct, "input")
    return net


def our_simulator(net, **arguments):
    return nengo_jit.Simulator(net, progress_bar=False, engine="reference", **arguments)


def dense(weights):
    return weights.toarray() if hasattr(weights, "toarray") else weights


# --- the table


@each_kind
def test_parameters_are_those_of_nengo(kind):
    net = make_network(kind)
    ours, nengos = simulators(net)
    with ours, nengos:
        built, expected = ours.data[net.conn], nengos.data[net.conn]
    assert isinstance(built, BuiltConnection)
    assert built._fields == expected._fields
    assert built.transform is expected.transform
    for field in ("eval_points", "weights"):
        ours_value, nengos_value = (dense(getattr(b, field)) for b in (built, expected))
        assert (ours_value is None) == (nengos_value is None)
        if nengos_value is not None:
            assert ours_value.dtype == nengos_value.dtype
            np.testing.assert_array_equal(ours_value, nengos_value)
    if expected.solver_info is None:
        assert built.solver_info is None
    else:
        assert list(built.solver_info) == list(expected.solver_info)


def shapes(op):
    """An operator's name and, by role, the shapes of its signals."""
    return type(op).__name__, *(
        [signal.shape for signal in getattr(op, role)]
        for role in ("sets", "incs", "reads", "updates")
    )


@each_kind
def test_operators_are_those_of_nengo_in_the_same_order(kind):
    net = make_network(kind)
    ours, nengos = simulators(net)
    with ours, nengos:
        assert [shapes(op) for op in ours.step_order] == [shapes(op) for op in nengos.step_order]


@each_kind
def test_operators_are_added_in_nengos_order(kind):
    net = make_network(kind)
    ours, nengos = Model(), nengo.builder.Model()
    for model in (ours, nengos):
        model.build(net)
    assert [shapes(op) for op in ours.operators] == [shapes(op) for op in nengos.operators]


@each_kind
def test_results_are_those_of_nengo(kind):
    net = make_network(kind)
    ours, nengos = simulators(net)
    with ours, nengos:
        ours.run_steps(N_STEPS)
        nengos.run_steps(N_STEPS)
    for probe in net.all_probes:
        assert len(ours.data[probe]) == N_STEPS
        np.testing.assert_array_equal(ours.data[probe], nengos.data[probe], err_msg=str(probe))


@pytest.mark.parametrize("kind", LEARNING)
def test_what_is_learned_changes(kind):
    net = make_network(kind)
    with our_simulator(net) as sim:
        sim.run_steps(N_STEPS)
        for probe in net.all_probes:
            if probe.attr in ("weights", "scaled_encoders"):
                assert not np.array_equal(sim.data[probe][0], sim.data[probe][-1])


# --- signals


def build(net):
    model = Model()
    model.build(net)
    return model


@pytest.mark.parametrize("kind", ["node to ensemble", "ensemble to ensemble", "neurons to node"])
def test_a_connection_begins_and_ends_in_the_signals_of_its_objects(kind):
    net = make_network(kind)
    model = build(net)
    conn = net.conn
    assert model.sig[conn]["in"] is model.sig[conn.pre_obj]["out"]
    assert model.sig[conn]["out"] is model.sig[conn.post_obj]["in"]


def test_weights_of_a_solver_end_in_the_neurons():
    net = make_network("weights")
    model = build(net)
    assert model.sig[net.conn]["out"] is model.sig[net.b.neurons]["in"]


def test_the_output_is_the_filtered_product_of_weights_and_input():
    net = make_network("matrix")
    model = build(net)
    (synapse_op,) = (op for op in model.operators if getattr(op, "input", None) is not None)
    assert model.sig[net.conn]["weighted"] is synapse_op.output
    assert synapse_op.mode == "update"


def test_without_synapse_the_output_is_the_product_itself():
    net = make_network("no synapse")
    model = build(net)
    assert model.sig[net.conn]["weighted"] is model.sig[net.stimulus]["out"]
    assert model.sig[net.conn]["weights"] is None


@pytest.mark.parametrize("kind", ["matrix", "ensemble to ensemble", "weights", "sparse"])
def test_weights_are_constants(kind):
    net = make_network(kind)
    assert build(net).sig[net.conn]["weights"].readonly


@pytest.mark.parametrize("kind", LEARNING)
def test_only_what_is_learned_can_be_written_to(kind):
    net = make_network(kind)
    model = build(net)
    learned = {rule.modifies for rule in rules_of(net.conn)}
    weights, encoders = model.sig[net.conn]["weights"], model.sig[net.b]["encoders"]
    if weights is not None:
        assert weights.readonly == (not learned & {"decoders", "weights"})
    assert encoders.readonly == ("encoders" not in learned)


def test_every_rule_has_a_delta_of_the_shape_of_what_it_changes():
    net = make_network("rules for decoders and encoders")
    model = build(net)
    pes, voja = net.conn.learning_rule
    assert model.sig[pes]["delta"].shape == model.sig[net.conn]["weights"].shape
    assert model.sig[voja]["delta"].shape == model.sig[net.b]["encoders"].shape
    assert model.params[pes] is model.params[voja] is None


def test_slicing_neighbours_makes_a_view():
    model = Model()
    signal = Signal(shape=5, name="s")
    sliced = slice_signal(model, signal, slice(1, 4))
    assert sliced.base is signal
    assert sliced.shape == (3,)
    assert len(model.operators) == 1


@pytest.mark.parametrize("sl", [slice(None, None, 2), slice(None, None, -1), [3, 0, 0]], ids=str)
def test_slicing_others_makes_a_copy(sl):
    model = Model()
    signal = Signal(shape=5, name="s")
    sliced = slice_signal(model, signal, sl)
    copy = model.operators[-1]
    assert type(copy) is Copy
    assert copy.dst is sliced
    assert not sliced.is_view
    assert sliced.shape == np.arange(5)[sl].shape


def test_repeated_indices_add_up():
    with nengo.Network() as net:
        relay = nengo.Node(size_in=3)
        Connection(nengo.Node([1, 10]), relay[[2, 2]], synapse=None)
        probe = nengo.Probe(relay)
    with our_simulator(net) as sim:
        sim.step()
    np.testing.assert_array_equal(sim.data[probe], [[0, 0, 11]])


@pytest.mark.parametrize(
    "transform",
    [
        nengo.transforms.NoTransform(4),
        2.0,
        np.ones((4, 4)),
        nengo.Sparse((4, 4), indices=[[0, 1]], init=[2.0]),
        nengo.Convolution(1, (4, 1), kernel_size=(1,), strides=(1,)),
    ],
)
def test_what_applies_weights_is_named_after_the_connection(transform):
    """Transforms and decoders of several connections print alike."""
    with nengo.Network() as net:
        pre, post = nengo.Node(np.ones(4), label="pre"), nengo.Node(size_in=4, label="post")
        conn = Connection(pre, post, transform=transform)
    model = Model()
    model.build(net)
    named = [op for op in model.operators if op.tag == f"{conn}.apply_weights"]
    written = {signal for op in named for signal in (*op.sets, *op.incs)}
    is_applied = not isinstance(transform, nengo.transforms.NoTransform)
    assert len(named) == (2 if is_applied else 0)
    assert len(written) == (1 if is_applied else 0)


def test_decoders_are_named_after_the_connection():
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(5, 1, label="pre"), nengo.Node(size_in=1, label="post")
        conns = [Connection(pre, post), Connection(pre, post, function=np.square)]
    model = Model()
    model.build(net)
    for conn in conns:
        (product,) = [op for op in model.operators if model.sig[conn]["weights"] in op.reads]
        assert product.tag == f"{conn}.apply_weights"
    assert len({str(conn) for conn in conns}) == 2


def test_connections_to_neurons_are_multiplied_by_their_gains():
    with nengo.Network() as net:
        ens = nengo.Ensemble(
            3, 1, gain=[1, 2, 3], bias=[2, 2, 2], neuron_type=nengo.RectifiedLinear()
        )
        Connection(nengo.Node(5), ens.neurons, transform=np.ones((3, 1)), synapse=None)
        probe = nengo.Probe(ens.neurons, "input")
    with our_simulator(net) as sim:
        sim.step()
    np.testing.assert_array_equal(sim.data[probe], [[7, 12, 17]])


# --- errors


def error_of(net, error_type=BuildError):
    """Build, and return the message of the error that this raises."""
    with pytest.raises(error_type) as caught:
        build(net)
    return str(caught.value)


@pytest.mark.parametrize("end", ["pre", "post"])
def test_an_object_that_is_not_in_the_model_is_an_error(end):
    with nengo.Network():
        outside = nengo.Node(size_in=1, label="stranger")
    with nengo.Network(seed=0) as net:
        inside = nengo.Node(size_in=1)
        Connection(*((outside, inside) if end == "pre" else (inside, outside)))
    message = error_of(net)
    assert f"'{end}' object" in message
    assert "stranger" in message
    assert "is not in the model" in message


@pytest.mark.parametrize("end", ["pre", "post"])
def test_an_object_without_output_or_input_is_an_error(end):
    with nengo.Network(seed=0) as net:
        ends = {"pre": nengo.Node(size_in=1), "post": nengo.Node(size_in=1)}
        Connection(ends["pre"], ends["post"])
        if end == "pre":  # around nengo's own validation
            nengo.Node.output.data[ends["pre"]] = lambda t, x: None
            nengo.Node.size_out.data[ends["pre"]] = 0
        else:
            nengo.Node.output.data[ends["post"]] = np.zeros(1)
    message = error_of(net)
    assert f"the '{end}' object" in message
    assert "size of zero" in message


def test_a_learning_rule_without_error_signal_cannot_be_connected_to():
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(5, 1)
        learned = Connection(a, a, learning_rule_type=nengo.PES())
        Connection(nengo.Node(0), learned.learning_rule)
    net.all_connections[0].learning_rule_type = None
    assert "'post' object" in error_of(net)


@pytest.mark.parametrize("pre", ["node", "direct"])
def test_function_points_need_decoders(pre):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1)
        net.conn = Connection(ens, ens, eval_points=[[0.0]], function=[[1.0]])
        if pre == "node":
            net.conn.eval_points = None
            nengo.Connection.pre.data[net.conn] = nengo.Node([0.0])
        else:
            ens.neuron_type = nengo.Direct()
    assert "Cannot use function points in direct connection" in error_of(net)


@pytest.mark.parametrize(
    ("transform", "word"),
    [
        (nengo.Sparse((2, 2), indices=[[0, 1]]), "sparse"),
        (convolution(1, (2, 1), kernel_size=(1,)), "convolution"),
        (transposed(1, (2, 1), kernel_size=(1,)), "convolution"),
    ],
    ids=["sparse", "convolution", "transposed convolution"],
)
def test_transforms_that_are_not_dense_do_not_go_with_decoders(transform, word):
    with nengo.Network(seed=0) as net:
        Connection(nengo.Ensemble(5, 2), nengo.Node(size_in=2), transform=transform)
    assert f"{word} transform to a decoded connection is not supported" in error_of(net)


@pytest.mark.parametrize("transform", [0.5, [0.5, 1.0]], ids=["scalar", "vector"])
def test_weights_that_are_not_a_matrix_cannot_be_learned(transform):
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(2, 1), nengo.Ensemble(2, 1)
        Connection(a.neurons, b.neurons, transform=transform, learning_rule_type=nengo.PES())
    assert "'transform' must be a 2-dimensional array for learning" in error_of(net)


@pytest.mark.parametrize(
    "transform",
    [
        nengo.Sparse((2, 2), indices=[[0, 1]]),
        convolution(1, (2, 1), kernel_size=(1,)),
        transposed(1, (2, 1), kernel_size=(1,)),
    ],
    ids=["sparse", "convolution", "transposed convolution"],
)
def test_transforms_that_are_not_dense_cannot_be_learned(transform):
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(2, 1)
        Connection(
            a.neurons, nengo.Node(size_in=2), transform=transform, learning_rule_type=nengo.PES()
        )
    message = error_of(net, NotImplementedError)
    assert type(transform).__name__ in message
    assert "is not supported" in message


def test_pes_cannot_encode_its_error_for_a_list_of_neurons():
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(4, 1), nengo.Ensemble(4, 1)
        Connection(
            a.neurons,
            b.neurons[[2, 0]],
            transform=np.ones((2, 4)),
            learning_rule_type=nengo.PES(),
        )
    assert "PES learning rule does not support advanced indexing" in error_of(net)


def test_a_rule_that_modifies_something_unknown_is_an_error():
    class Strange(nengo.PES):
        modifies = "mood"

    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(4, 1)
        conn = Connection(a, a, learning_rule_type=nengo.PES())
        nengo.Connection.learning_rule_type.data[conn] = Strange()
    assert "Unknown target 'mood'" in error_of(net)


def test_neurons_in_direct_mode_cannot_be_connected_to():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(2, 2, label="not neural")
        Connection(nengo.Node([0, 0]), ens.neurons)
        ens.neuron_type = nengo.Direct()
    message = error_of(net)
    assert "Direct mode" in message
    assert "not neural" in message


def test_convolution_of_three_dimensions_is_not_implemented():
    with nengo.Network(seed=0) as net:
        Connection(
            nengo.Node(np.zeros(8)),
            nengo.Node(size_in=1),
            transform=convolution(1, (2, 2, 2, 1), kernel_size=(2, 2, 2)),
        )
    with pytest.raises(NotImplementedError, match="Convolution > 2D not supported"):
        our_simulator(net)


def test_a_cycle_without_synapse_is_an_error():
    with nengo.Network(seed=0) as net:
        relay = nengo.Node(size_in=1)
        Connection(relay, relay, synapse=None)
    with pytest.raises(BuildError, match="cycles"):
        our_simulator(net)


SLICES = {
    "ellipsis": Ellipsis,
    "mask": [True, False, True],
    "array of booleans": np.array([True, False, True]),
    "array": np.array([2, 0]),
    "array of bytes": np.array([2, 0], np.uint8),
    "list": [1, 0],
    "twice the same": [1, 1],
    "number": np.int64(1),
    "from the end": -1,
    "backwards": slice(None, None, -1),
    "range": range(2),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("key", SLICES.values(), ids=SLICES)
def test_whatever_selects_dimensions_in_nengo_does_so_here(key, engine):
    with nengo.Network(seed=1) as net:
        stim = nengo.Node([0.1, 0.5, -0.3])
        ens = nengo.Ensemble(30, 3)
        nengo.Connection(stim, ens)
        n = ens[key].size_out
        decoded, computed = nengo.Node(size_in=n), nengo.Node(size_in=1)
        nengo.Connection(ens[key], decoded)
        nengo.Connection(ens[key], computed, function=np.sum)
        nengo.Connection(stim[key], decoded)
        other = nengo.Ensemble(3, 1)
        learned = nengo.Connection(ens[key], decoded, learning_rule_type=nengo.PES())
        nengo.Connection(decoded, learned.learning_rule)
        nengo.Connection(other.neurons[key], decoded)
        probes = [nengo.Probe(each) for each in (ens, decoded, computed, other.neurons)]
        probes += [nengo.Probe(ens[key]), nengo.Probe(stim[key]), nengo.Probe(other.neurons[key])]
        probes.append(nengo.Probe(learned, "weights"))
    with nengo.Simulator(net, optimize=False, progress_bar=False) as expected:
        expected.run_steps(30)
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
        sim.run_steps(30)
    for probe in probes:
        assert np.allclose(sim.data[probe], expected.data[probe], atol=1e-9), probe


@pytest.mark.parametrize("key", [(slice(0, 2),), (Ellipsis,), [[0, 1]]])
def test_selections_that_nengo_refuses_are_refused(key):
    with nengo.Network() as net:
        ens = nengo.Ensemble(30, 3)
        nengo.Connection(ens[key], nengo.Node(size_in=ens[key].size_out))
    with pytest.raises((IndexError, ValueError)):
        nengo_jit.Simulator(net, progress_bar=False)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("function", "solver"),
    [
        (lambda x: np.log(x), nengo.solvers.LstsqL2()),
        (lambda x: 1 / x.astype(int), nengo.solvers.Lstsq()),
        (lambda x: [0.0, np.inf], nengo.solvers.NnlsL2()),
        (np.log, nengo.solvers.LstsqL2(weights=True)),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_that_are_not_finite_are_named(engine, function, solver):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(30, 1, label="a")
        size = np.size(function(np.ones(1)))
        post = nengo.Ensemble(30, size, label="b")
        nengo.Connection(ens, post, function=function, solver=solver)
    name = re.escape(nengo.utils.functions.function_name(function))
    message = f"'a'.*'b'.*function {name} is not finite.*first of them is .*where it is "
    with pytest.raises(SignalError, match=message):
        nengo_jit.Simulator(net, engine=engine, progress_bar=False)


def test_solvers_of_others_get_what_is_not_finite():
    class Careful(nengo.solvers.LstsqL2):
        def __call__(self, A, Y, rng=None):
            return super().__call__(A, np.nan_to_num(Y, posinf=1, neginf=-1), rng=rng)

    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(30, 1)
        connection = nengo.Connection(
            ens, nengo.Node(size_in=1), function=lambda x: np.inf, solver=Careful()
        )
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        assert np.all(np.isfinite(sim.data[connection].weights))
