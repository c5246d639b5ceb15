import nengo
import numpy as np
import pytest
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder import Model
from nengo_jit.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.builder.operator import Copy, Reset
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.reference import ReferenceBackend

by_example = settings(max_examples=40, deadline=None, derandomize=True)
cases = given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([16, 32, 64]),
    n_post=st.integers(1, 30),
    n_pre=st.integers(1, 40),
)


def test_every_rule_is_lowered(maker):
    for operator_type in (SimBCM, SimOja, SimPES, SimRLS, SimVoja):
        assert not CpuBackend().calls_python(operator_type.__new__(operator_type))


@by_example
@cases
def test_pes(check, maker, seed, bits, n_post, n_pre):
    make = maker(seed, bits)
    weights, delta = make.signal(n_post, n_pre), make.signal(n_post, n_pre)
    rule = SimPES(make.signal(n_pre), make.signal(n_post), delta, 1e-2)
    check([rule, Copy(delta, weights, inc=True)])


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[:1], np.s_[1:2]])
def test_a_delta_that_is_added_in_another_way(check, maker, view):
    make = maker(0, 64)
    weights, delta = make.signal(4, 5), make.signal(4, 5)
    rule = SimPES(make.signal(5), make.signal(4), delta, 1e-2)
    check([rule, Copy(delta[view], weights, inc=True)])


def test_a_delta_that_is_set_before_it_is_added(check, maker):
    make = maker(0, 64)
    weights, delta = make.signal(4, 5), make.signal(4, 5)
    rule = SimPES(make.signal(5), make.signal(4), delta, 1e-2)
    check([Reset(delta, 0.5), rule, Copy(delta, weights, inc=True)])


@by_example
@cases
def test_bcm(check, maker, seed, bits, n_post, n_pre):
    make = maker(seed, bits)
    weights, delta = make.signal(n_post, n_pre), make.signal(n_post, n_pre)
    rule = SimBCM(make.signal(n_pre), make.signal(n_post), make.signal(n_post), delta, 1e-2)
    check([rule, Copy(delta, weights, inc=True)])


@by_example
@cases
def test_oja(check, maker, seed, bits, n_post, n_pre):
    make = maker(seed, bits)
    weights, delta = make.signal(n_post, n_pre), make.signal(n_post, n_pre)
    rule = SimOja(make.signal(n_pre), make.signal(n_post), weights, delta, 10.0, 1.5)
    check([rule, Copy(delta, weights, inc=True)])


@by_example
@cases
def test_voja(check, maker, seed, bits, n_post, n_pre):
    make = maker(seed, bits)
    encoders, delta = make.signal(n_pre, n_post), make.signal(n_pre, n_post)
    rule = SimVoja(
        make.signal(n_post),
        make.signal(n_pre),
        encoders,
        delta,
        make.rng.uniform(0.5, 2, n_pre).astype(delta.dtype),
        make.signal(1),
        10.0,
    )
    check([rule, Copy(delta, encoders, inc=True)])


def test_rules_of_one_group_do_not_mix(check, maker):
    make = maker(0, 64)
    operators = []
    for n_post, n_pre in ((3, 20), (2, 5), (7, 7)):
        delta, inverse = make.signal(n_post, n_pre), Signal(np.eye(n_pre))
        operators.append(SimPES(make.signal(n_pre), make.signal(n_post), delta, 0.1))
        delta = make.signal(n_post, n_pre)
        operators.append(SimRLS(make.signal(n_pre), make.signal(n_post), delta, inverse))
    check(operators)


def test_activities_with_gaps_run_in_python(run_both, maker):
    make = maker(0, 64)
    delta = make.signal(2, 5)
    model = Model()
    model.add_op(SimPES(make.signal(10)[::2], make.signal(2), delta, 0.1))
    cpu, reference = run_both(model, 2)
    assert len(cpu.callbacks) == 1
    assert np.array_equal(cpu.signals[delta], reference.signals[delta])


# --- deltas that are only written at the end of a run


@pytest.fixture
def learning():
    """A network with all rules that change weights by factors, and a node that can fail."""
    failures = []

    def fail(t):
        if any(abs(t - failure) < 1e-9 for failure in failures):
            failures.clear()
            raise ValueError("no more")
        return np.sin(30 * t)

    with nengo.Network(seed=3) as net:
        stim = nengo.Node(fail)
        ensembles = [nengo.Ensemble(25, 1) for _ in range(5)]
        pre = ensembles[0]
        nengo.Connection(stim, pre)
        solver = nengo.solvers.LstsqL2(weights=True)
        pes = nengo.Connection(pre, ensembles[1], learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(stim, pes.learning_rule)
        rules = nengo.BCM(1e-8), nengo.Oja(1e-5), [nengo.BCM(1e-9), nengo.Oja(1e-6)]
        for post, rule in zip(ensembles[2:], rules):
            nengo.Connection(pre, post, solver=solver, learning_rule_type=rule)
        voja = nengo.Connection(pre, ensembles[1], learning_rule_type=nengo.Voja(1e-2))
        nengo.Probe(voja.learning_rule, "scaled_encoders")
    model = Model()
    model.build(net)
    model.failures = failures
    model.pes_delta = model.sig[pes.learning_rule]["delta"]
    return model


def engine_for(model, engine_class=CpuBackend):
    engine = compiled(model, engine_class)
    engine.reset(0)
    return engine


def assert_equal_states(one, other, rtol=0):
    for signal, array in one.signals.items():
        expected = other.signals[signal]
        atol = rtol * np.abs(expected).max(initial=1e-30)
        np.testing.assert_allclose(array, expected, rtol=rtol, atol=atol, err_msg=str(signal))


def test_deltas_are_what_they_would_be_if_they_were_always_written(learning):
    engine, reference = engine_for(learning), engine_for(learning, ReferenceBackend)
    assert any(code.when == "later" for code in kernels_of(engine))
    for n_steps in (1, 2, 30):
        engine.run(n_steps)
        reference.run(n_steps)
        assert_equal_states(engine, reference, rtol=1e-8)


def kernels_of(engine):
    programs = (engine._programs.first, engine._programs.later, engine._programs.deferred)
    return [piece.code for p in programs if p for level in p._levels for piece in level]


def test_runs_in_parts_equal_one_run_bit_for_bit(learning):
    whole, parts = engine_for(learning), engine_for(learning)
    whole.run(40)
    for n_steps in (1, 1, 2, 5, 1, 30):
        parts.run(n_steps)
    assert_equal_states(whole, parts)


def test_a_failure_leaves_the_deltas_of_the_last_whole_step(learning):
    whole, failing = engine_for(learning), engine_for(learning)
    whole.run(20)
    learning.failures.append(0.021)
    with pytest.raises(ValueError, match="no more"):
        failing.run(40)
    assert failing.n_steps == 20
    assert_equal_states(whole, failing)
    whole.run(10)
    failing.run(10)
    assert_equal_states(whole, failing)


def test_a_delta_that_is_written_between_runs_counts(learning):
    engine, reference = engine_for(learning), engine_for(learning, ReferenceBackend)
    for each in (engine, reference):
        each.run(5)
        each.signals[learning.pes_delta] = 1e-3
        each.run(5)
    assert_equal_states(engine, reference, rtol=1e-8)
