"""Probes: of every attribute of every object, sliced, filtered and sampled."""

import types

import nengo
import numpy as np
import pytest
from comparing import simulators
from nengo.exceptions import BuildError
from nengo.solvers import LstsqL2, LstsqNoise, NoSolver

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.probe import build_probe
from nengo_jit.ir.operator import Copy, Reset
from nengo_jit.ir.probe import SimProbe

N_STEPS = 40

NEURON_TYPES = [
    nengo.LIF(),
    nengo.LIFRate(),
    nengo.AdaptiveLIF(),
    nengo.AdaptiveLIFRate(),
    nengo.Izhikevich(),
    nengo.RectifiedLinear(),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.AdaptiveLIFRate()),
    nengo.StochasticSpiking(nengo.LIFRate()),
]
LEARNING_RULES = [
    nengo.PES(1e-3),
    nengo.RLS(1e-2),
    nengo.BCM(1e-8),
    nengo.Oja(1e-6),
    nengo.Voja(learning_rate=0.05),
]
PROBEABLE = {
    nengo.Ensemble: ["ens", "direct"],
    nengo.Node: ["node", "constant", "relay"],
    nengo.Connection: ["from_node", "decoded", "solved", "between_neurons"],
}
OBJECTS = [
    (name, attr)
    for object_type, names in PROBEABLE.items()
    for name in names
    for attr in object_type.probeable
]


@pytest.fixture
def net():
    """A network with something of every kind to probe."""
    with nengo.Network(seed=5) as net:
        net.node = nengo.Node(lambda t: [np.sin(50 * t), np.cos(30 * t)])
        net.constant = nengo.Node([1, 2, 3])
        net.relay = nengo.Node(size_in=2)
        net.ens = nengo.Ensemble(10, 2, n_eval_points=40)
        net.post = nengo.Ensemble(10, 2, n_eval_points=40)
        net.direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct(), n_eval_points=4)
        net.from_node = nengo.Connection(net.node, net.ens, transform=[[1, 2], [0, 1]])
        net.decoded = nengo.Connection(net.ens, net.relay)
        net.solved = nengo.Connection(net.ens, net.post, solver=LstsqL2(weights=True))
        net.between_neurons = nengo.Connection(
            net.ens.neurons, net.post.neurons, transform=np.eye(10) / 100
        )
        nengo.Connection(net.node, net.direct)
    return net


def add_probe(net, *args, **kwargs):
    with net:
        return nengo.Probe(*args, **kwargs)


def run_both(net, n_steps=N_STEPS):
    """Run the network for some steps, with us and with nengo."""
    ours, nengos = simulators(net)
    for sim in (ours, nengos):
        with sim:
            sim.run_steps(n_steps)
    return ours, nengos


def data_of(net, probe):
    """Our data for a probe, after comparing it to that of nengo."""
    ours, nengos = run_both(net)
    np.testing.assert_array_equal(ours.data[probe], nengos.data[probe])
    assert ours.data[probe].dtype == nengos.data[probe].dtype
    return ours.data[probe]


def build(net):
    model = Model()
    model.build(net)
    return model


# --- every object, every attribute


@pytest.mark.parametrize("synapse", [None, 0.01], ids=["plain", "filtered"])
@pytest.mark.parametrize(("name", "attr"), OBJECTS)
def test_objects_have_the_data_of_nengo(net, name, attr, synapse):
    probe = add_probe(net, getattr(net, name), attr, synapse=synapse)
    assert len(data_of(net, probe)) == N_STEPS


@pytest.mark.parametrize(("name", "attr"), OBJECTS)
def test_objects_have_the_operators_of_nengo(net, name, attr):
    add_probe(net, getattr(net, name), attr, synapse=0.01)
    names = []
    for model in (Model(), nengo.builder.Model()):
        model.build(net)
        names.append([type(op).__name__ for op in model.operators])
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("neuron_type", "attr"),
    [(nt, attr) for nt in NEURON_TYPES for attr in (*nt.probeable, "input")],
    ids=str,
)
def test_neurons_have_the_data_of_nengo(neuron_type, attr):
    arguments = {}
    if isinstance(neuron_type, (nengo.Sigmoid, nengo.Tanh)):
        arguments = {"max_rates": [300] * 6, "intercepts": [-0.7] * 6}
    with nengo.Network(seed=5) as net:
        ens = nengo.Ensemble(6, 1, neuron_type=neuron_type, n_eval_points=4, **arguments)
        nengo.Connection(nengo.Node(lambda t: np.sin(60 * t)), ens)
        probe = nengo.Probe(ens.neurons, attr)
    assert data_of(net, probe).shape == (N_STEPS, 6)


@pytest.mark.parametrize("attr", ["spikes", "rates"])
def test_spikes_and_rates_are_other_names_of_the_output(net, attr):
    probe = add_probe(net, net.ens.neurons)
    nengo.Probe.attr.data[probe] = attr  # today's nengo only accepts "output"
    model = build(net)
    assert model.sig[probe]["in"] is model.sig[net.ens.neurons]["out"]


@pytest.mark.parametrize("synapse", [None, 0.01], ids=["plain", "filtered"])
@pytest.mark.parametrize(
    ("rule_type", "attr"), [(rule, attr) for rule in LEARNING_RULES for attr in rule.probeable]
)
def test_learning_rules_have_the_data_of_nengo(rule_type, attr, synapse):
    with nengo.Network(seed=5) as net:
        stimulus = nengo.Node(lambda t: [np.sin(50 * t), np.cos(30 * t)])
        a = nengo.Ensemble(10, 2, n_eval_points=40)
        b = nengo.Ensemble(9, 2, n_eval_points=40)
        nengo.Connection(stimulus, a)
        solver = LstsqL2(weights=rule_type.modifies == "weights")
        conn = nengo.Connection(a, b, solver=solver, learning_rule_type=rule_type)
        if conn.learning_rule.size_in == 2:
            nengo.Connection(stimulus, conn.learning_rule)
        probe = nengo.Probe(conn.learning_rule, attr, synapse=synapse)
    assert np.any(data_of(net, probe))


def test_weights_that_are_sparse_have_the_data_of_nengo():
    with nengo.Network(seed=0) as net:
        conn = nengo.Connection(
            nengo.Node([1, 2]),
            nengo.Node(size_in=2),
            transform=nengo.Sparse((2, 2), indices=[[0, 1], [1, 0]], init=[3, 4]),
        )
        probe = nengo.Probe(conn, "weights")
    ours, nengos = run_both(net, 3)
    for our_sample, nengos_sample in zip(ours.data.raw[probe], nengos.data.raw[probe]):
        np.testing.assert_array_equal(our_sample.toarray(), nengos_sample.toarray())


# --- slices


@pytest.mark.parametrize("synapse", [None, 0.01], ids=["plain", "filtered"])
@pytest.mark.parametrize(
    "sl", [1, -1, slice(1, None), slice(None, None, -1), [1, 0], [1, 1, 0]], ids=str
)
@pytest.mark.parametrize(
    ("name", "attr"), [("ens", "decoded_output"), ("ens", "input"), ("node", None)]
)
def test_slices_have_the_data_of_nengo(net, name, attr, sl, synapse):
    probe = add_probe(net, getattr(net, name)[sl], attr, synapse=synapse)
    data = data_of(net, probe)
    assert data.shape == (N_STEPS, np.atleast_1d(np.arange(2)[sl]).size)


@pytest.mark.parametrize("sl", [3, slice(2, 9, 3), [9, 0, 4]], ids=str)
@pytest.mark.parametrize("attr", ["output", "voltage", "input"])
def test_slices_of_neurons_have_the_data_of_nengo(net, attr, sl):
    probe = add_probe(net, net.ens.neurons[sl], attr)
    assert data_of(net, probe).shape == (N_STEPS, np.atleast_1d(np.arange(10)[sl]).size)


@pytest.mark.parametrize("sl", [0, [2, 0]], ids=str)
def test_slices_select_elements(net, sl):
    whole = add_probe(net, net.constant)
    part = add_probe(net, net.constant[sl])
    ours, _ = run_both(net, 2)
    selected = ours.data[whole][:, [sl] if isinstance(sl, int) else sl]
    np.testing.assert_array_equal(ours.data[part], selected)


# --- synapses


def test_a_plain_probe_records_the_signal_itself(net):
    probe = add_probe(net, net.node)
    model = build(net)
    assert model.sig[probe]["in"] is model.sig[net.node]["out"]


def test_a_filtered_probe_records_a_copy_of_what_the_synapse_had_a_step_ago(net):
    probe = add_probe(net, net.node, synapse=nengo.Lowpass(0))
    plain = add_probe(net, net.node)
    model = build(net)
    assert model.sig[probe]["filtered"] is not model.sig[probe]["in"]
    ours, _ = run_both(net, 5)
    np.testing.assert_array_equal(ours.data[probe][0], 0)
    np.testing.assert_array_equal(ours.data[probe][1:], ours.data[plain][:-1])


@pytest.mark.parametrize(
    "synapse",
    [nengo.Lowpass(0), nengo.Alpha(0.01), nengo.synapses.Triangle(0.005)],
    ids=str,
)
@pytest.mark.parametrize("attr", ["decoded_output", "input"])
def test_filters_of_every_kind_have_the_data_of_nengo(net, attr, synapse):
    probe = add_probe(net, net.ens, attr, synapse=synapse)
    assert np.any(data_of(net, probe))


# --- sampling


@pytest.mark.parametrize("sample_every", [0.001, 0.002, 0.005, 0.0025, 0.0033, 0.1])
def test_samples_are_taken_when_nengo_takes_them(net, sample_every):
    probe = add_probe(net, net.node, sample_every=sample_every)
    data_of(net, probe)


def test_a_sample_every_few_steps(net):
    every = add_probe(net, net.node)
    third = add_probe(net, net.node, sample_every=0.003)
    ours, _ = run_both(net, 10)
    np.testing.assert_array_equal(ours.data[third], ours.data[every][2::3])


def test_a_period_shorter_than_a_step_means_every_step(net):
    probe = add_probe(net, net.node, sample_every=0.0001)
    ours, _ = run_both(net, 7)
    assert len(ours.data[probe]) == 7


@pytest.mark.parametrize("dt", [0.0005, 0.002])
def test_the_sampling_period_is_in_seconds(net, dt):
    probe = add_probe(net, net.node, sample_every=0.004)
    with nengo_jit.Simulator(net, dt=dt, progress_bar=False, engine="reference") as sim:
        sim.run_steps(16)
    assert len(sim.data[probe]) == round(16 * dt / 0.004)


# --- decoded output


def hidden_connection(model, probe):
    """The connection that was made for a probe."""
    (conn,) = (
        obj for obj in model.seeds if isinstance(obj, nengo.Connection) and obj.post_obj is probe
    )
    return conn


def test_a_decoded_probe_is_a_connection_of_the_probes_own(net):
    synapse, solver = nengo.Alpha(0.02), LstsqL2(reg=0.3)
    probe = add_probe(net, net.ens[1], synapse=synapse, solver=solver)
    model = build(net)
    conn = hidden_connection(model, probe)
    assert conn.pre_obj is net.ens
    assert conn.size_in == 1
    assert conn.synapse == synapse
    assert conn.solver == solver
    assert conn not in net.all_connections
    assert model.has_built(conn)


@pytest.mark.parametrize("seed", [None, 99])
def test_the_connection_has_the_probes_seed(net, seed):
    probe = add_probe(net, net.ens, seed=seed)
    model = build(net)
    conn = hidden_connection(model, probe)
    assert model.seeds[conn] == model.seeds[probe]
    if seed is not None:
        assert model.seeds[conn] == seed


@pytest.mark.parametrize(
    ("net_seed", "probe_seed", "seeded"), [(1, None, True), (None, 2, True), (None, None, False)]
)
def test_the_connection_is_as_seeded_as_the_probe(net, net_seed, probe_seed, seeded):
    net.seed = net_seed
    probe = add_probe(net, net.ens, seed=probe_seed)
    model = build(net)
    assert model.seeded[hidden_connection(model, probe)] == model.seeded[probe] == seeded


def test_random_solvers_are_seeded_by_the_probe(net):
    probe = add_probe(net, net.ens, solver=LstsqNoise(), seed=31)
    with net:
        conn = nengo.Connection(net.ens, net.relay, solver=LstsqNoise(), seed=31)
    model = build(net)
    np.testing.assert_array_equal(
        model.params[hidden_connection(model, probe)].weights, model.params[conn].weights
    )


def test_a_decoded_probe_can_bring_its_decoders(net):
    probe = add_probe(net, net.ens, solver=NoSolver(np.ones((10, 2))))
    spikes = add_probe(net, net.ens.neurons)
    ours, _ = run_both(net)
    total = ours.data[spikes].sum(axis=1)
    np.testing.assert_allclose(ours.data[probe], np.stack([total, total], axis=1))


def test_the_decoded_value_is_recorded_from_a_signal_of_its_own(net):
    probe = add_probe(net, net.ens)
    model = build(net)
    signal = model.sig[probe]["in"]
    resets = [op for op in model.operators if isinstance(op, Reset) and op.dst is signal]
    copies = [op for op in model.operators if isinstance(op, Copy) and op.incs == [signal]]
    assert len(resets) == len(copies) == 1


# --- what a probe leaves in the model


@pytest.mark.parametrize("attr", ["decoded_output", "input"])
def test_a_probe_is_listed_marked_and_has_room_for_its_samples(net, attr):
    probe = add_probe(net, net.ens, attr)
    model = build(net)
    assert model.probes == [probe]
    assert model.params[probe] == []
    marks = [op for op in model.operators if isinstance(op, SimProbe)]
    assert [mark.signal for mark in marks] == [model.sig[probe]["in"]]


def test_probes_are_listed_in_order(net):
    probes = [add_probe(net, target) for target in (net.node, net.ens, net.relay)]
    assert build(net).probes == probes


def test_a_probe_changes_no_other_data(net):
    probe = add_probe(net, net.ens.neurons)
    alone, _ = run_both(net)
    add_probe(net, net.ens, synapse=0.01)
    add_probe(net, net.post, "input")
    together, _ = run_both(net)
    np.testing.assert_array_equal(alone.data[probe], together.data[probe])


# --- errors


def test_a_signal_that_is_not_there_is_an_error_that_names_it(net):
    probe = add_probe(net, net.node)
    nengo.Probe.attr.data[probe] = "colour"  # around nengo's own validation
    with pytest.raises(BuildError, match="Attribute 'colour' is not probeable on <Node"):
        build(net)


def test_weights_that_are_none_are_an_error():
    with nengo.Network(seed=0) as net:
        relay = nengo.Node(size_in=1)
        nengo.Probe(nengo.Connection(nengo.Node(1), relay), "weights")
    with pytest.raises(BuildError, match=r"Attribute 'weights' on .* is None, cannot be probed"):
        build(net)


def test_a_state_that_neurons_do_not_have_is_an_error(net):
    add_probe(net, net.ens.neurons, "voltage")
    net.ens.neuron_type = nengo.LIFRate()
    with pytest.raises(BuildError, match="Attribute 'voltage' is not probeable"):
        build(net)


@pytest.mark.parametrize("sl", [0, slice(None, None, -1), [1, 0]], ids=str)
def test_a_slice_of_a_matrix_is_refused_as_nengo_does(net, sl):
    """The slice is one of dimensions, of which an encoder matrix has columns, not rows."""
    add_probe(net, net.ens[sl], "scaled_encoders")
    with pytest.raises(AssertionError):
        nengo.builder.Model().build(net)
    with pytest.raises((AssertionError, BuildError)):
        build(net)


def test_an_object_of_a_type_that_cannot_be_probed_is_an_error_that_names_the_type():
    probe = types.SimpleNamespace(obj=object(), attr="output")
    with pytest.raises(BuildError, match="Type 'object' is not probeable"):
        build_probe(Model(), probe)
