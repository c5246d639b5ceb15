import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder import Model
from nengo_jit.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.builder.operator import Copy
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.engine import CpuEngine

by_example = settings(max_examples=40, deadline=None, derandomize=True)
cases = given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([32, 64]),
    n_post=st.integers(1, 30),
    n_pre=st.integers(1, 40),
)


def test_every_rule_is_lowered(maker):
    for operator_type in (SimBCM, SimOja, SimPES, SimRLS, SimVoja):
        assert not CpuEngine.runs_python(operator_type.__new__(operator_type))


@by_example
@cases
def test_pes(check, maker, seed, bits, n_post, n_pre):
    make = maker(seed, bits)
    weights, delta = make.signal(n_post, n_pre), make.signal(n_post, n_pre)
    rule = SimPES(make.signal(n_pre), make.signal(n_post), delta, 1e-2)
    check([rule, Copy(delta, weights, inc=True)])


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
        make.rng.uniform(0.5, 2, n_pre),
        make.signal(1),
        10.0,
    )
    check([rule, Copy(delta, encoders, inc=True)])


@by_example
@cases
def test_rls(check, maker, seed, bits, n_post, n_pre):
    make = maker(seed, bits)
    weights, delta = make.signal(n_post, n_pre), make.signal(n_post, n_pre)
    root = make.array(n_pre, n_pre)
    inverse = Signal(np.eye(n_pre, dtype=root.dtype) + root.dot(root.T) / n_pre)
    rule = SimRLS(make.signal(n_pre), make.signal(n_post), delta, inverse)
    check([rule, Copy(delta, weights, inc=True)])


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
