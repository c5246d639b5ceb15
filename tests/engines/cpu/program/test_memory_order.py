"""Large weights of spikes are built column by column, as kernels read them: there is one copy."""

import pickle

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.builder import transforms
from nengo_jit.engines.cpu.program import arena

N = 60


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(transforms, "LEAST_BY_COLUMN", 1)
    monkeypatch.setattr(arena, "CHUNK", 64)


def network(change=None, **options):
    """Spiking neurons with a weight matrix."""
    rng = np.random.RandomState(1)
    weights = rng.normal(scale=0.02, size=(N, N))
    with nengo.Network(seed=1) as net:
        net.pool = nengo.Ensemble(N, 1, gain=np.ones(N), bias=rng.uniform(0.9, 3, N))
        net.conn = nengo.Connection(
            net.pool.neurons, net.pool.neurons, transform=weights, synapse=0.01, **options
        )
        net.probe = nengo.Probe(net.pool.neurons)
        if change is not None:
            nengo.Node(change)
    return net


def weights_of(sim):
    return sim.signals[sim.model.sig[sim.model.toplevel.conn]["weights"]]


@pytest.mark.parametrize("bits", [32, 64])
def test_constant_weights_of_spikes_are_not_copied(monkeypatch, bits):
    nengo.rc.set("precision", "bits", str(bits))
    sizes, allocate = [], arena.aligned_block
    monkeypatch.setattr(arena, "aligned_block", lambda size: sizes.append(size) or allocate(size))
    net = network()
    with nengo_jit.Simulator(net) as sim:
        built, live = sim.data[net.conn].weights, weights_of(sim)
        np.testing.assert_array_equal(live, net.conn.transform.init.astype(built.dtype))
        assert built.flags.f_contiguous
        assert np.shares_memory(built, live)
    assert max(sizes) < built.nbytes


@pytest.mark.parametrize(
    "other",
    [
        {"learning_rule_type": nengo.PES(), "solver": nengo.solvers.LstsqL2(weights=True)},
        {"learning_rule_type": {}},
        {"synapse": None},
    ],
    ids=["learned", "no rules", "decoded"],
)
def test_other_weights(other):
    with nengo.Network(seed=0) as net:
        pool, rates = nengo.Ensemble(N, 1), nengo.Ensemble(N, 1, neuron_type=nengo.LIFRate())
        post = nengo.Ensemble(N, 1)
        conn = nengo.Connection(pool, post, **other)
        if other.get("learning_rule_type"):
            nengo.Connection(post, conn.learning_rule)
        of_rates = nengo.Connection(rates.neurons, post.neurons, transform=np.ones((N, N)))
        of_some = nengo.Connection(pool.neurons[:9], post.neurons, transform=np.ones((N, 9)))
        kernel = nengo.Convolution(3, (N // 4, 4, 1))
        of_windows = nengo.Connection(pool.neurons, nengo.Node(size_in=78), transform=kernel)
        probe = nengo.Probe(post)
    results = []
    for engine in ("cpu", "reference"):
        with nengo_jit.Simulator(net, engine=engine) as sim:
            sim.run_steps(50)
            results.append(sim.data[probe])
            for each in (of_rates, of_some, of_windows):
                assert sim.data[each].weights.flags.c_contiguous
            is_learned = bool(other.get("learning_rule_type"))
            assert sim.data[conn].weights.flags.c_contiguous or not is_learned
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)


def test_the_reference_engine_has_them_row_by_row_as_nengo_has():
    net = network()
    with nengo_jit.Simulator(net, engine="reference") as sim:
        assert sim.data[net.conn].weights.flags.c_contiguous


@pytest.mark.parametrize("threads", [1, 3])
def test_changes_of_weights_are_seen(threads):
    net, results = network(), []
    for options in ({"engine": "reference"}, {"threads": threads}):
        with nengo_jit.Simulator(net, **options) as sim:
            sim.run_steps(20)
            weights = weights_of(sim)
            weights.setflags(write=True)
            weights[3] = 0.3
            sim.run_steps(20)
            weights[:, 5] -= 0.1
            sim.run_steps(20)
            results.append(sim.data[net.probe])
    np.testing.assert_array_equal(*results)


def test_changes_within_a_step_are_seen():
    found, sims = {}, []

    def change(t):
        if "array" not in found and sims:
            found["array"] = weights_of(sims[0])
            found["array"].setflags(write=True)
        if t > 0.02 and found:
            found["array"][4] = 0.2

    net, results = network(change), []
    for engine in ("reference", "cpu"):
        found.clear()
        with nengo_jit.Simulator(net, engine=engine) as sim:
            sims.append(sim)
            sim.run_steps(60)
            results.append(sim.data[net.probe])
            sims.clear()
    np.testing.assert_array_equal(*results)


def test_a_view_of_weights():
    net = network()
    with nengo_jit.Simulator(net) as sim:
        signal = sim.model.sig[net.conn]["weights"]
        part = sim.signals[signal[2:5, 7]]
        np.testing.assert_array_equal(part, net.conn.transform.init[2:5, 7])


def test_states_go_from_engine_to_engine():
    net = network()
    with nengo_jit.Simulator(net, engine="reference") as sim:
        sim.run_steps(30)
        state = sim.state()
        sim.run_steps(30)
        expected = sim.data[net.probe][30:]
    with nengo_jit.Simulator(net) as sim:
        sim.load_state(state)
        sim.run_steps(30)
        np.testing.assert_array_equal(sim.data[net.probe], expected)


def test_pickled_simulators_have_one_copy():
    net = network()
    with nengo_jit.Simulator(net) as sim:
        sim.run_steps(30)
        with pickle.loads(pickle.dumps(sim)) as other:
            for each in (sim, other):
                each.run_steps(30)
            samples = [each.data[each.model.toplevel.probes[0]][-30:] for each in (sim, other)]
            assert weights_of(other).flags.f_contiguous
    np.testing.assert_array_equal(*samples)
