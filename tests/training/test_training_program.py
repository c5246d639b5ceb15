import jax
import jax.numpy as jnp
import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError, ValidationError

import nengo_jit
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.training.program import Program, chunk_size
from nengo_jit.training.surrogates import fast_sigmoid
from tests.training.networks import N_STEPS, of_all_kinds

X = np.random.RandomState(0).uniform(-1, 1, (N_STEPS, 2))


def run(program, params, remat=None):
    inputs = {name: program.tabulated(name, N_STEPS) for name in program.nodes} | {"given": X}

    def outputs(params):
        return program.run(params, program.initial_state(params), inputs, remat)[1]

    with as_given():
        found = jax.jit(outputs)(program.stacks.stacked(params, np))
    return {probe: np.asarray(found[name]) for name, probe in program.probes.items()}


def assert_equal_runs(sim, probes, expected):
    """Compare a simulation with a program, in which rounding shifts no spike."""
    sim.run_steps(N_STEPS)
    for probe in probes:
        np.testing.assert_allclose(sim.data[probe], expected[probe], rtol=1e-9, atol=1e-9)


SIMULATORS = [
    lambda net: nengo_jit.Simulator(net, progress_bar=False),
    lambda net: nengo_jit.Simulator(net, progress_bar=False, engine="reference"),
    lambda net: nengo.Simulator(net, progress_bar=False),
]


@pytest.mark.parametrize("neuron_type", [nengo.LIF(), nengo.AdaptiveLIF(), nengo.LIFRate()])
def test_the_function_is_the_simulation_before_and_after_freezing(neuron_type):
    net, given, probes = of_all_kinds(neuron_type)
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid)
        params = program.parameters.initial
    given.output = nengo.processes.PresentInput(X, 0.001)
    with SIMULATORS[0](net) as sim:
        assert_equal_runs(sim, probes, run(program, params))
    rng = np.random.RandomState(1)
    changed = {
        name: each * rng.uniform(0.9, 1.1, each.shape)
        for name, each in program.parameters.initial.items()
    }
    expected = run(program, changed)
    program.parameters.freeze(changed)
    for simulator in SIMULATORS:
        with simulator(net) as sim:
            assert_equal_runs(sim, probes, expected)


def test_a_network_without_a_seed_is_frozen_with_its_initial_voltages():
    net, given, probes = of_all_kinds()
    net.seed = None
    with as_given():
        program = Program(net, 0.001, 5, fast_sigmoid)
        params = program.parameters.initial
    assert net.seed is None
    given.output = nengo.processes.PresentInput(X, 0.001)
    program.parameters.freeze(params)
    with SIMULATORS[0](net) as sim:
        assert_equal_runs(sim, probes, run(program, params))


def test_names_are_those_of_objects_and_attributes():
    net, _, _ = of_all_kinds()
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid)
    initial = program.parameters.initial
    assert set(program.nodes) == {"given", "by time"}
    assert initial["first.encoders"].shape == (20, 2)
    assert initial["second.gain"].shape == initial["second.bias"].shape == (15,)
    assert initial["first → second.decoders"].shape == (1, 20)
    assert initial["first.neurons → second.neurons.transform"].shape == (2, 2, 1, 2)
    assert initial["second decoded_output.decoders"].shape == (1, 15)
    assert "given → first.transform" not in initial


def everything(obj, attribute):
    return True


def of_shared_parts():
    """Return a network whose connections share transforms and synapses; and its parts."""
    shared, synapse = nengo.Dense((3, 2), init=[[0.5, 1], [0.2, -1], [1, 1]]), nengo.Lowpass(0.01)
    places = [(0, 0), (2, 1), (2, 5), (1, 3)]
    sparse = nengo.Sparse((3, 6), indices=places, init=[0.4, -0.2, 0.3, 0.1])
    options = {"neuron_type": nengo.RectifiedLinear()}
    with nengo.Network(seed=2) as net:
        given = nengo.Node(np.zeros(2), label="given")
        ends = [nengo.Ensemble(6, 3, label=each, **options) for each in "abc"]
        for end in ends[:2]:
            nengo.Connection(given, end, transform=shared, synapse=synapse)
        nengo.Connection(ends[0].neurons, ends[2], transform=sparse, synapse=nengo.Alpha(0.005))
        nengo.Connection(ends[1], ends[2])
        nengo.Connection(ends[1][0], ends[2][1])
        probes = [nengo.Probe(ends[2]), nengo.Probe(ends[0], synapse=0.02)]
        probes.append(nengo.Probe(ends[1].neurons))
    return net, given, probes


def test_shared_and_sparse_transforms_and_time_constants_are_frozen():
    net, given, probes = of_shared_parts()
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid, everything)
    names = set(program.parameters.initial)
    assert {name for name in names if name.startswith("given")} == {
        "given → a.transform",
        "given → a.log_tau",
    }
    assert {"b → c.log_tau", "b → c (2).log_tau", "a decoded_output.log_tau"} < names
    assert program.parameters.initial["a.neurons → c.transform"].shape == (4,)
    rng = np.random.RandomState(1)
    changed = {
        name: each + rng.uniform(0.1, 0.3, each.shape)
        for name, each in program.parameters.initial.items()
    }
    expected = run(program, changed)
    program.parameters.freeze(changed)
    given.output = nengo.processes.PresentInput(X, 0.001)
    first, second, sparse, default, other = net.connections
    assert first.transform is second.transform and first.synapse is second.synapse
    assert first.synapse.tau == pytest.approx(np.exp(changed["given → a.log_tau"]))
    assert isinstance(sparse.synapse, nengo.Alpha) and sparse.synapse.tau > 0.0055
    assert default.synapse is not other.synapse
    for simulator in SIMULATORS:
        with simulator(net) as sim:
            assert_equal_runs(sim, probes, expected)


def test_time_constants_are_chosen_by_functions_only_and_left_alone_otherwise():
    net, _, _ = of_shared_parts()
    synapse, second = net.connections[0].synapse, net.connections[1]
    with as_given():
        by_type = Program(net, 0.001, None, fast_sigmoid, nengo.Connection)
        of_one = Program(
            net, 0.001, None, fast_sigmoid, lambda obj, name: obj is second and name == "log_tau"
        )
    assert not any(name.endswith("log_tau") for name in by_type.parameters.initial)
    assert of_one.trained == {"given → a.log_tau"}  # which shares the synapse
    by_type.parameters.freeze(by_type.parameters.initial)
    assert net.connections[0].synapse is synapse


@pytest.mark.parametrize("n_steps, remat, size", [(100, "auto", 100), (400, "auto", 20)])
def test_long_runs_are_divided_into_chunks(n_steps, remat, size):
    assert chunk_size(n_steps, remat) == size
    assert chunk_size(n_steps, None) == n_steps
    assert chunk_size(n_steps, 30) == 30


def test_chunks_and_a_remainder_are_the_same_run():
    net, _, probes = of_all_kinds()
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid)
        params = program.parameters.initial
    whole, divided = run(program, params), run(program, params, remat=7)
    for probe in probes:
        np.testing.assert_allclose(divided[probe], whole[probe], rtol=1e-12)


def test_what_cannot_be_trained_is_named():
    with nengo.Network() as net:
        node = nengo.Node(lambda t, x: x + t, size_in=1, size_out=1, label="doubting")
        nengo.Connection(nengo.Node(1.0), node)
    with pytest.raises(BuildError, match=r"doubting.*cannot be trained: it calls Python"):
        Program(net, 0.001, None, fast_sigmoid)
    with nengo.Network() as net:
        nengo.Ensemble(5, 1, noise=nengo.processes.WhiteNoise(), label="noisy")
    with pytest.raises(BuildError, match="it is random"):
        Program(net, 0.001, None, fast_sigmoid)
    with nengo.Network() as net:
        ens = nengo.Ensemble(5, 1, label="full")
        nengo.Connection(ens, ens, solver=nengo.solvers.LstsqL2(weights=True))
    with pytest.raises(BuildError, match=r"full.*weights between neurons"):
        Program(net, 0.001, None, fast_sigmoid)


def test_processes_of_nodes_are_those_of_the_seed():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(nengo.processes.WhiteSignal(1.0, high=20), label="noise")
        nengo.Connection(node, nengo.Ensemble(5, 1))
    with as_given():
        tables = [Program(net, 0.001, None, fast_sigmoid).tabulated("noise", 20) for _ in range(2)]
    np.testing.assert_array_equal(*tables)
    assert tables[0].shape == (20, 1) and np.ptp(tables[0]) > 0


def test_encoders_that_a_rule_changes_and_constants_beside_parameters():
    with nengo.Network(seed=0) as net:
        given = nengo.Node(np.zeros(2), label="given")
        first = nengo.Ensemble(10, 2, label="first")
        second = nengo.Ensemble(8, 2, label="second")
        nengo.Connection(given, first, transform=[0.5, 2.0], synapse=None)
        voja = nengo.Voja(learning_rate=1e-2, post_synapse=0.01)
        conn = nengo.Connection(first, second, learning_rule_type=voja, synapse=0.01)
        nengo.Connection(second.neurons, second.neurons, transform=0.01, synapse=0)
        nengo.Connection(second.neurons[0], second.neurons[3:5], transform=[[1], [2]])
        probes = [nengo.Probe(second.neurons), nengo.Probe(conn.learning_rule, "scaled_encoders")]
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid)
        params = program.parameters.initial
    given.output = nengo.processes.PresentInput(X, 0.001)
    changed = {name: each * 1.1 for name, each in params.items()}
    changed["second.gain"] = params["second.gain"]
    with pytest.raises(ValidationError, match=r"gains of .*second.* cannot be trained"):
        program.parameters.selected(lambda obj, name: name == "gain")
    expected = run(program, changed)
    program.parameters.freeze(changed)
    with SIMULATORS[0](net) as sim:
        assert_equal_runs(sim, probes, expected)


def test_chunks_take_less_memory():
    with nengo.Network(seed=0) as net:
        neurons = nengo.SpikingRectifiedLinear()
        first = nengo.Ensemble(200, 1, neuron_type=neurons, label="first")
        nengo.Connection(nengo.Node(1.0, label="given"), first.neurons, transform=np.ones((200, 1)))
        nengo.Probe(first, synapse=0.01, label="seen")
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid)
        params = program.stacks.stacked(program.parameters.initial, np)
        inputs = {"given": jnp.ones((900, 1))}

        def loss(params, remat):
            state = program.initial_state(params)
            return jnp.sum(program.run(params, state, inputs, remat)[1]["seen"] ** 2)

        sizes = []
        for remat in (None, "auto"):
            compiled = (
                jax.jit(jax.grad(lambda each, r=remat: loss(each, r))).lower(params).compile()
            )
            sizes.append(compiled.memory_analysis().temp_size_in_bytes)
    assert sizes[1] < sizes[0] / 5
