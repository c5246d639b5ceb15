"""Nodes: the signals and operators of each kind of output, and what they compute."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.ir.operator import Reset
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.python import SimPyFunc

N_STEPS = 20


class Sum(nengo.Process):
    """Adds up its inputs, or counts the steps if there are none."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"total": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        total = state["total"]

        def step_sum(t, x=1.0):
            total[...] += np.sum(x)
            return total

        return step_sum


class Sink(nengo.Process):
    """Notes what it is given and has no output."""

    def __init__(self, log, size_in):
        super().__init__(default_size_in=size_in, default_size_out=0)
        self.log = log

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        self.log.append((shape_in, shape_out))

        def step_sink(t, *x):
            self.log.append((t, *(float(value[0]) for value in x)))

        return step_sink


def swap(t, x):
    return x[::-1] + t


# name: (node's arguments, shape of its input or None, shape of its output or None, operators)
KINDS = {
    "array": ({"output": [1, 2]}, None, (2,), []),
    "scalar": ({"output": 0.5}, None, (1,), []),
    "passthrough": ({"size_in": 2}, (2,), (2,), [Reset]),
    "empty passthrough": ({}, None, None, []),
    "function of t": ({"output": lambda t: [t, -t, 1]}, None, (3,), [SimPyFunc]),
    "function of t and x": ({"output": swap, "size_in": 2}, (2,), (2,), [Reset, SimPyFunc]),
    "function to another size": (
        {"output": lambda t, x: x[0] * x[1], "size_in": 2},
        (2,),
        (1,),
        [Reset, SimPyFunc],
    ),
    "function that broadcasts": (
        {"output": lambda t: t, "size_out": 3},
        None,
        (3,),
        [SimPyFunc],
    ),
    "function without result": ({"output": lambda t: None}, None, None, [SimPyFunc]),
    "function of x without result": (
        {"output": lambda t, x: None, "size_in": 2},
        (2,),
        None,
        [Reset, SimPyFunc],
    ),
    "process": (
        {"output": nengo.processes.WhiteSignal(1, high=30, seed=2), "size_out": 2},
        None,
        (2,),
        [SimProcess],
    ),
    "unseeded process": (
        {"output": nengo.processes.WhiteNoise(), "size_out": 2},
        None,
        (2,),
        [SimProcess],
    ),
    "presented inputs": (
        {"output": nengo.processes.PresentInput([[1, 2], [3, 4]], 0.003)},
        None,
        (2,),
        [SimProcess],
    ),
    "process with input": (
        {"output": nengo.Lowpass(0.01), "size_in": 2, "size_out": 2},
        (2,),
        (2,),
        [Reset, SimProcess],
    ),
    "process to another size": (
        {"output": Sum(), "size_in": 2, "size_out": 3},
        (2,),
        (3,),
        [Reset, SimProcess],
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_network(kind):
    """A network with a node of some kind, a stimulus if it takes one, a probe if it has output."""
    arguments, shape_in, shape_out, _ = KINDS[kind]
    with nengo.Network(seed=4) as net:
        net.node = nengo.Node(**arguments)
        if shape_in is not None:
            stimulus = nengo.Node(lambda t: [100 * t, 1])
            nengo.Connection(stimulus, net.node, synapse=None)
        net.probe = None if shape_out is None else nengo.Probe(net.node)
    return net


def build_node(node):
    """Build nothing but a node; return the model and the operators that were added."""
    model = Model()
    model.build(node)
    return model, model.operators[1:]


def run(net, n_steps=N_STEPS):
    with nengo_jit.Simulator(net, progress_bar=False, engine="reference") as sim:
        sim.run_steps(n_steps)
    return sim


# --- signals and operators


@each_kind
def test_signals_have_the_sizes_of_input_and_output(kind):
    arguments, shape_in, shape_out, _ = KINDS[kind]
    with nengo.Network():
        node = nengo.Node(**arguments)
    model, _ = build_node(node)
    for key, shape in (("in", shape_in), ("out", shape_out)):
        signal = model.sig[node][key]
        assert (None if signal is None else signal.shape) == shape


@each_kind
def test_operators_are_those_of_the_kind(kind):
    arguments, _, _, operator_types = KINDS[kind]
    with nengo.Network():
        node = nengo.Node(**arguments)
    _, operators = build_node(node)
    assert [type(op) for op in operators] == operator_types


@each_kind
def test_operators_are_those_of_nengo(kind):
    net = make_network(kind)
    names = []
    for model in (Model(), nengo.builder.Model()):
        model.build(net)
        names.append([type(op).__name__ for op in model.operators])
    assert names[0] == names[1]


@each_kind
def test_nodes_have_no_parameters(kind):
    net = make_network(kind)
    model = Model()
    model.build(net)
    assert model.params[net.node] is None


def test_an_array_is_the_initial_value_of_a_constant_signal():
    with nengo.Network():
        node = nengo.Node([1, 2])
    model, _ = build_node(node)
    np.testing.assert_array_equal(model.sig[node]["out"].initial_value, [1, 2])


@pytest.mark.parametrize("bits", [32, 64])
def test_an_array_has_the_configured_precision(bits):
    with nengo.Network():
        node = nengo.Node([1, 2])
    nengo.rc.set("precision", "bits", str(bits))
    model, _ = build_node(node)
    assert model.sig[node]["out"].dtype == np.dtype(f"float{bits}")


def test_a_passthrough_has_one_signal_for_input_and_output():
    with nengo.Network():
        node = nengo.Node(size_in=2)
    model, (reset,) = build_node(node)
    assert model.sig[node]["out"] is model.sig[node]["in"] is reset.dst


def test_the_function_reads_time_and_input_and_sets_the_output():
    with nengo.Network():
        node = nengo.Node(swap, size_in=2)
    model, (reset, operator) = build_node(node)
    assert reset.dst is operator.x is model.sig[node]["in"]
    assert operator.t is model.time
    assert operator.output is model.sig[node]["out"]
    assert operator.fn is swap


@pytest.mark.parametrize("size_in", [0, 2])
def test_a_function_of_time_alone_gets_no_input(size_in):
    with nengo.Network():
        node = nengo.Node(lambda *arguments: 0, size_in=size_in, size_out=1)
    model, operators = build_node(node)
    assert (operators[-1].x is None) == (size_in == 0)
    assert operators[-1].t is model.time


def test_a_process_sets_its_output_without_delay():
    with nengo.Network():
        node = nengo.Node(Sum(), size_in=2, size_out=3)
    model, (_, operator) = build_node(node)
    assert operator.mode == "set"
    assert operator.input is model.sig[node]["in"]
    assert operator.output is model.sig[node]["out"]


@pytest.mark.parametrize("output", ["text", object(), {1: 2}], ids=["str", "object", "dict"])
def test_an_output_of_no_known_kind_is_an_error_that_names_type_and_node(output):
    with nengo.Network():
        node = nengo.Node(1, label="odd one")
    nengo.Node.output.data[node] = output  # around nengo's own validation
    with pytest.raises(BuildError, match=f"Invalid node output type '{type(output).__name__}'"):
        Model().build(node)
    with pytest.raises(BuildError, match="odd one"):
        Model().build(node)


# --- results


@each_kind
def test_results_are_those_of_nengo(kind):
    net = make_network(kind)
    ours = run(net)
    with nengo.Simulator(net, progress_bar=False, optimize=False) as nengos:
        nengos.run_steps(N_STEPS)
    if net.probe is not None:
        assert len(ours.data[net.probe]) == N_STEPS
        np.testing.assert_array_equal(ours.data[net.probe], nengos.data[net.probe])


def test_the_first_time_is_dt_and_a_python_float():
    times = []
    with nengo.Network() as net:
        nengo.Node(lambda t: times.append(t), size_out=0)
    with nengo_jit.Simulator(net, dt=0.25, progress_bar=False, engine="reference") as sim:
        sim.run_steps(3)
    assert times == [0.25, 0.5, 0.75]
    assert {type(t) for t in times} == {float}


def test_a_passthrough_adds_up_what_is_connected_to_it():
    with nengo.Network() as net:
        relay = nengo.Node(size_in=2)
        nengo.Connection(nengo.Node([1, 2]), relay, synapse=None)
        nengo.Connection(nengo.Node(10), relay[1], synapse=None)
        probe = nengo.Probe(relay)
    np.testing.assert_array_equal(run(net, 2).data[probe], [[1, 12], [1, 12]])


def test_input_and_output_belong_to_the_same_step():
    with nengo.Network() as net:
        node = nengo.Node(lambda t, x: 2 * x, size_in=1)
        nengo.Connection(nengo.Node(lambda t: t), node, synapse=None)
        probe = nengo.Probe(node)
    np.testing.assert_allclose(run(net, 3).data[probe][:, 0], [0.002, 0.004, 0.006])


# --- calls of the user's function


def counting_network(size_in, size_out):
    calls = []

    def function(t, *x):
        calls.append(t)
        return np.zeros(size_out) if size_out else None

    with nengo.Network(seed=0) as net:
        node = nengo.Node(function, size_in=size_in, size_out=size_out)
        if size_in:
            nengo.Connection(nengo.Node(np.ones(size_in)), node)
    return net, calls


@pytest.mark.parametrize("size_out", [0, 2])
@pytest.mark.parametrize("size_in", [0, 2])
def test_a_function_is_not_called_while_building(size_in, size_out):
    net, calls = counting_network(size_in, size_out)
    with nengo_jit.Simulator(net, progress_bar=False, engine="reference"):
        assert calls == []


@pytest.mark.parametrize("size_out", [0, 2])
@pytest.mark.parametrize("size_in", [0, 2])
def test_a_function_is_called_once_in_every_step(size_in, size_out):
    net, calls = counting_network(size_in, size_out)
    run(net, 5)
    np.testing.assert_allclose(calls, [0.001, 0.002, 0.003, 0.004, 0.005])


def test_a_function_that_is_called_from_two_nodes_is_called_for_each():
    calls = []

    def note(t):
        calls.append(t)

    with nengo.Network() as net:
        nengo.Node(note, size_out=0)
        nengo.Node(note, size_out=0)
    run(net, 2)
    assert calls == [0.001, 0.001, 0.002, 0.002]


def test_a_function_may_keep_its_input():
    kept = []
    with nengo.Network() as net:
        keeper = nengo.Node(lambda t, x: kept.append(x), size_in=2, size_out=0)
        nengo.Connection(nengo.Node(lambda t: [t, -t]), keeper, synapse=None)
    run(net, 3)
    times = np.array([0.001, 0.002, 0.003])
    np.testing.assert_allclose(kept, np.stack([times, -times], axis=1))


def test_a_function_may_change_its_input():
    def clear(t, x):
        x[...] = 0
        return 0

    with nengo.Network() as net:
        relay = nengo.Node(size_in=1)
        node = nengo.Node(clear, size_in=1, size_out=1)
        nengo.Connection(nengo.Node(7), relay, synapse=None)
        nengo.Connection(relay, node, synapse=None)
        probe = nengo.Probe(relay)
    np.testing.assert_array_equal(run(net, 3).data[probe], [[7], [7], [7]])


def test_an_array_that_the_function_changes_after_returning_it_is_not_shared():
    output = np.zeros(1)

    def count(t):
        output[...] += 1
        return output

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(count, size_out=1))
    np.testing.assert_array_equal(run(net, 3).data[probe], [[1], [2], [3]])


@pytest.mark.parametrize("size_in", [0, 1])
def test_a_process_without_output_is_run_for_its_effects(size_in):
    log = []
    with nengo.Network(seed=0) as net:
        sink = nengo.Node(Sink(log, size_in))
        if size_in:
            nengo.Connection(nengo.Node(5), sink, synapse=None)
    run(net, 2)
    x = (5.0,) * size_in
    assert log == [((size_in,), (0,)), (0.001, *x), (0.002, *x)]
