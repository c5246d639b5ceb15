import nengo
import numpy as np
import pytest
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from sharing import sharing

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.learning_rules import SimRLS
from nengo_jit.builder.operator import Copy
from nengo_jit.builder.signal import Signal

by_example = settings(max_examples=40, deadline=None, derandomize=True)


def learning(make, n_post, n_pre, is_symmetric=True):
    """A rule, and what adds its delta to weights."""
    root = make.array(n_pre, n_pre)
    inverse = np.eye(n_pre, dtype=root.dtype) + root.dot(root.T) / n_pre
    inverse += inverse.T  # to the bit
    if not is_symmetric:
        inverse += 0.1 * make.array(n_pre, n_pre)
    weights, delta = make.signal(n_post, n_pre), make.signal(n_post, n_pre)
    rule = SimRLS(make.signal(n_pre), make.signal(n_post), delta, Signal(inverse))
    return rule, Copy(delta, weights, inc=True)


@by_example
@given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([32, 64]),
    n_post=st.integers(1, 30),
    n_pre=st.one_of(st.integers(1, 40), st.integers(100, 300)),
    is_symmetric=st.booleans(),
)
def test_rls(check, maker, seed, bits, n_post, n_pre, is_symmetric):
    check(learning(maker(seed, bits), n_post, n_pre, is_symmetric), n_steps=2)


def run(model, runs, threads=1):
    engine = compiled(model, threads=threads)
    engine.reset(0)
    for n_steps in runs:
        engine.run(n_steps)
        engine.settle()
    return engine


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("is_symmetric", [True, False])
def test_bits_depend_neither_on_runs_nor_on_threads(maker, bits, is_symmetric):
    rule, inc = learning(maker(0, bits), 3, 270, is_symmetric)
    model = Model()
    for operator in (rule, inc):
        model.add_op(operator)
    whole = run(model, [40])
    others = [run(model, [1, 1, 20, 2, 16])]
    with sharing():
        others += [run(model, [40], threads) for threads in (2, 3)]
    for other in others:
        for signal in whole.signals:
            assert np.array_equal(whole.signals[signal], other.signals[signal]), signal
    assert whole.callbacks == []
    inverse = whole.signals[rule.inv_gamma]
    assert np.array_equal(inverse, inverse.T) is is_symmetric


@pytest.mark.parametrize("strange", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["pre_filtered", "error", "inv_gamma"])
@pytest.mark.parametrize("n_pre", [13, 64])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_not_finite_spreads_as_in_numpy(maker, where, strange, n_pre):
    rule, inc = learning(maker(0, 64), 2, n_pre)
    initial = getattr(rule, where).initial_value
    initial.flags.writeable = True
    initial.reshape(-1)[0] = strange
    model = Model()
    for operator in (rule, inc):
        model.add_op(operator)
    engine = run(model, [1])
    arrays = [each.initial_value for each in (rule.pre_filtered, rule.error, rule.inv_gamma)]
    expected = SimRLS.compute(np, *arrays)
    for signal, array in zip((rule.delta, rule.inv_gamma), expected):
        assert np.allclose(engine.signals[signal], array, equal_nan=True, rtol=1e-10)


# --- in networks, with all that users may do to P


def network(n=150, function=None):
    """Weights from rates that are learned by RLS, in a closed loop."""
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: np.sin(20 * t))
        pool = nengo.Ensemble(n, 1, neuron_type=nengo.LIFRate())
        out, error = nengo.Node(size_in=1), nengo.Node(size_in=1)
        nengo.Connection(stim, pool, synapse=None)
        rule = nengo.RLS(pre_synapse=0.005)
        net.learned = nengo.Connection(
            pool.neurons, out, transform=np.zeros((1, n)), learning_rule_type=rule, synapse=None
        )
        nengo.Connection(out, error, synapse=None)
        nengo.Connection(stim, error, transform=-1, synapse=None)
        nengo.Connection(error, net.learned.learning_rule, synapse=None)
        net.out = nengo.Probe(out)
        if function is not None:
            nengo.Node(function)
    return net


def simulators(net):
    return (
        nengo.Simulator(net, optimize=False, progress_bar=False),
        nengo_jit.Simulator(net, progress_bar=False),
    )


def inverse_of(sim, net):
    return sim.signals[sim.model.sig[net.learned.learning_rule]["inv_gamma"]]


def assert_near(actual, expected, rtol=1e-12):
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max()


def test_the_upper_triangle_alone_is_as_exact():
    net = network()
    theirs, ours = simulators(net)
    for n_steps in (1, 100, 2000):
        for sim in (theirs, ours):
            sim.run_steps(n_steps, progress_bar=False)
        assert_near(inverse_of(ours, net), inverse_of(theirs, net))
        assert np.array_equal(inverse_of(ours, net), inverse_of(ours, net).T)
        assert_near(ours.data[net.out], theirs.data[net.out], 1e-9)


def test_to_look_changes_nothing():
    net = network()
    watched, alone = (nengo_jit.Simulator(net, progress_bar=False) for _ in range(2))
    alone.run_steps(60, progress_bar=False)
    for _ in range(6):
        watched.run_steps(10, progress_bar=False)
        assert np.isfinite(inverse_of(watched, net)).all()
    assert np.array_equal(inverse_of(watched, net), inverse_of(alone, net))
    assert np.array_equal(watched.data[net.out], alone.data[net.out])


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_what_users_write_to_p_between_runs_counts(is_symmetric):
    net = network()
    sims = simulators(net)
    change = np.random.RandomState(0).rand(150, 150) * 0.1
    change = change + change.T if is_symmetric else change
    for sim in sims:
        sim.run_steps(20, progress_bar=False)
        inverse_of(sim, net)[...] += change
        for n_steps in (1, 30):
            sim.run_steps(n_steps, progress_bar=False)
    theirs, ours = (np.array(inverse_of(sim, net)) for sim in sims)
    assert_near(ours, theirs, 1e-9)
    assert np.abs(theirs - theirs.T).max() < 1e-9 if is_symmetric else True
    if not is_symmetric:
        assert np.abs(theirs - theirs.T).max() > 1e-3
        assert_near(ours - ours.T, theirs - theirs.T, 1e-9)


def test_a_node_sees_p_and_changes_it_in_mid_run():
    seen = []

    def look(t):
        step = round(t * 1000)
        if step in (15, 16, 40):
            inverse = inverse_of(look.sim, net)
            seen.append(np.array(inverse))
            if step == 16:
                inverse[3, :5] += 0.25

    net = network(function=look)
    found = []
    for sim in simulators(net):
        look.sim = sim
        sim.run_steps(50, progress_bar=False)
        found.append([*seen, np.array(inverse_of(sim, net)), sim.data[net.out]])
        seen.clear()
    for theirs, ours in zip(*found, strict=True):
        assert_near(ours, theirs, 1e-9)


def test_a_reset_within_a_run_forgets_the_update_that_waits(maker):
    rule, inc = learning(maker(0, 64), 3, 150)
    model = Model()
    for operator in (rule, inc):
        model.add_op(operator)
    engine, fresh = compiled(model), compiled(model)
    for each in (engine, fresh):
        each.reset(0)
        each.is_asked = True
    engine.run(5)
    engine.rewind()  # what `reset` does in a run, which goes on with the same program
    engine.begin(np.random.RandomState(0))
    engine._has_begun = True
    for each in (engine, fresh):
        each.run(1)
        each.settle()
    assert np.array_equal(engine.signals[rule.inv_gamma], fresh.signals[rule.inv_gamma])


def test_a_probe_of_p_records_each_update():
    net = network(n=40)
    with net:
        probe = nengo.Probe(net.learned.learning_rule, "inv_gamma")
    theirs, ours = simulators(net)
    for sim in (theirs, ours):
        sim.run_steps(30, progress_bar=False)
    assert_near(ours.data[probe], theirs.data[probe])


def test_a_state_has_the_update_that_waits():
    net = network()
    first, second = (nengo_jit.Simulator(net, progress_bar=False) for _ in range(2))
    first.run_steps(25, progress_bar=False)
    second.load_state(first.state())
    for sim in (first, second):
        sim.run_steps(25, progress_bar=False)
    assert np.array_equal(inverse_of(first, net), inverse_of(second, net))
