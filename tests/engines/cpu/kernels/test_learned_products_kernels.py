"""Weights that are changed and used by one kernel, with the results of one after the other."""

import nengo
import numpy as np
import pytest
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from sharing import sharing

from nengo_jit.builder import Model
from nengo_jit.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.builder.operator import Copy, DotInc, Reset
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.program import learned
from nengo_jit.engines.cpu.program.fusion import Part

RULES = ("pes", "bcm", "oja", "voja", "rls")
by_example = settings(max_examples=60, deadline=None, derandomize=True)


def rule_for(make, kind, weights, pre, post):
    """A rule that changes weights by activities on either side; post is also the error."""
    n_post, n_pre = weights.shape
    delta = make.signal(n_post, n_pre)
    if kind == "pes":
        return SimPES(pre, post, delta, 1e-2)
    if kind == "bcm":
        return SimBCM(pre, post, make.signal(n_post), delta, 1e-2)
    if kind == "oja":
        return SimOja(pre, post, weights, delta, 10.0, 1.5)
    if kind == "rls":
        root = make.array(n_pre, n_pre)
        inverse = Signal(np.eye(n_pre, dtype=root.dtype) + root.dot(root.T) / n_pre)
        return SimRLS(pre, post, delta, inverse)
    scale = make.rng.uniform(0.5, 2, n_post)
    return SimVoja(pre, post, weights, delta, scale, make.signal(1), 10.0)


def learned_product(make, kind, n_post, n_pre, post=None):
    """Operators that multiply by weights, and change those by what comes out."""
    weights, y = make.signal(n_post, n_pre), make.signal(n_post)
    post = make.signal(n_post) if post is None else post
    rule = rule_for(make, kind, weights, make.signal(n_pre), post)
    return [
        Copy(rule.delta, weights, inc=True),
        Reset(y),
        DotInc(weights, make.signal(n_pre), y),
        Copy(y, post, inc=True),
        rule,
    ]


@by_example
@given(
    kind=st.sampled_from(RULES),
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([32, 64]),
    n_post=st.integers(1, 30),
    n_pre=st.integers(1, 40),
)
def test_weights_that_are_changed_when_they_are_used(check, maker, kind, seed, bits, n_post, n_pre):
    check(learned_product(maker(seed, bits), kind, n_post, n_pre))


@pytest.mark.parametrize("kind", RULES)
def test_one_kernel_changes_weights_and_uses_them(check, maker, kernels_of, kind):
    check(learned_product(maker(0, 64), kind, 5, 6))
    assert [code.when for code in kernels_of("dot_learned_rows")] == ["first", "later"]
    assert kernels_of("outer_inc") == kernels_of("outer_with_loss_inc") == []


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("kind", ["pes", "voja", "oja"])
@pytest.mark.parametrize("strange", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["weights", "pre", "x"])
def test_rows_of_silent_neurons_that_are_not_finite(maker, monkeypatch, bits, kind, strange, where):
    """Zero times infinity is NaN, though without spikes the change of a row is zero."""
    make = maker(1, bits)
    inc, reset, product, _, rule = learned_product(make, kind, 7, 9)
    post = rule.error if kind == "pes" else rule.post_filtered
    post.initial_value.flags.writeable = True
    post.initial_value[::2] = 0
    pre = rule.pre_decoded if kind == "voja" else rule.pre_filtered
    changed = {"weights": inc.dst, "pre": pre, "x": product.X}[where].initial_value
    changed.flags.writeable = True
    changed.reshape(-1)[4] = strange
    rule.delta.initial_value.flags.writeable = True
    rule.delta.initial_value[...] = 0
    model = Model()
    back = Copy(product.Y[1:2], post[1:2], inc=True)  # so that the rule comes after the product
    for operator in (inc, reset, product, back, rule):
        model.add_op(operator)
    fused = compiled(model)
    assert any(each.part is Part.UPDATE for each in fused._lowering.fusion.fused_into.values())
    monkeypatch.setattr(learned, "_product_with", lambda *_: None)
    engines = fused, compiled(model)
    for engine in engines:
        engine.reset(0)
        engine.run(3)
    for signal in fused.signals:
        actual, expected = (np.array(engine.signals[signal]) for engine in engines)
        assert np.allclose(actual, expected, rtol=1e-4, equal_nan=True), signal
    assert not np.isfinite(fused.signals[product.Y]).all()


def several_rules(make, kinds, n_post, n_pre, n_products=1):
    """Operators with several rules that change the same weights, and products with these."""
    weights, post = make.signal(n_post, n_pre), make.signal(n_post)
    rules = [rule_for(make, kind, weights, make.signal(n_pre), post) for kind in kinds]
    found = [Copy(rule.delta, weights, inc=True) for rule in rules]
    for _ in range(n_products):
        y = make.signal(n_post)
        found += [Reset(y), DotInc(weights, make.signal(n_pre), y), Copy(y, post, inc=True)]
    return [*found, *rules]


SEVERAL = [("pes", "bcm"), ("pes", "pes"), ("oja", "pes"), ("bcm", "voja", "pes"), ("pes", "rls")]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("kinds", [*SEVERAL, ("oja", "voja")], ids="+".join)
@pytest.mark.parametrize("n_products", [0, 1, 2])
def test_several_rules_change_the_same_weights(check, maker, kinds, bits, n_products):
    check(several_rules(maker(3, bits), kinds, 9, 14, n_products))


@pytest.mark.parametrize("kinds", SEVERAL, ids="+".join)
def test_no_delta_of_several_rules_is_stored(check, maker, kernels_of, kinds):
    check(several_rules(maker(3, 64), kinds, 9, 14))
    assert [code.when for code in kernels_of("copy_inc")] != []
    assert all(code.when == "first" for code in kernels_of("copy_inc")[: len(kinds)])
    assert len(kernels_of("dot_learned_rows")) == 2


def test_of_two_rules_that_decay_weights_each_stores_its_delta(check, maker, kernels_of):
    check(several_rules(maker(3, 64), ("oja", "voja"), 9, 14))
    assert kernels_of("outer_with_loss_inc") == kernels_of("dot_learned_rows") == []


def network(rule, n_pre=300, n=60, pre_synapse=0.005):
    """An ensemble whose weights, decoders or encoders a rule changes."""
    with nengo.Network(seed=2) as net:
        stim = nengo.Node(lambda t: [np.sin(20 * t), np.cos(13 * t)])
        pre, post = nengo.Ensemble(n_pre, 2), nengo.Ensemble(n, 2)
        nengo.Connection(stim, pre)
        rules = rule if isinstance(rule, list) else [rule]
        if any(isinstance(each, (nengo.BCM, nengo.Oja)) for each in rules):
            solver = nengo.solvers.LstsqL2(weights=True)
            learned = nengo.Connection(pre, post, solver=solver, learning_rule_type=rule)
        else:
            learned = nengo.Connection(pre, post, learning_rule_type=rule)
        of_rules = learned.learning_rule if isinstance(rule, list) else [learned.learning_rule]
        for each, of_rule in zip(rules, of_rules):
            if isinstance(each, (nengo.PES, nengo.RLS)):
                nengo.Connection(post if of_rule.size_in == 2 else post.neurons, of_rule)
                nengo.Connection(stim, of_rule, transform=-np.ones((of_rule.size_in, 2)))
        nengo.Probe(learned, "weights", sample_every=0.01)
        nengo.Probe(post, synapse=0.01)
        net.learned = learned
    return net


LEARNING = [nengo.PES(1e-3), nengo.Voja(1e-2), nengo.Voja(1e-2, post_synapse=None)]
LEARNING += [nengo.BCM(1e-9), nengo.Oja(1e-6), nengo.RLS(1e-3)]
LEARNING += [[nengo.PES(1e-3), nengo.PES(1e-4)], [nengo.BCM(1e-9), nengo.Oja(1e-6)]]
LEARNING += [[nengo.PES(1e-6), nengo.BCM(1e-9), nengo.Oja(1e-6)]]


def run(model, runs, backend="cpu", threads=1):
    """Values of all signals after some runs, by signal."""
    engine = compiled(model, backend, threads=threads)
    engine.reset(0)
    for n_steps in runs:
        engine.run(n_steps)
    return {signal: np.array(engine.signals[signal]) for signal in engine.signals}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("rule", LEARNING, ids=str)
def test_learning_in_networks(rule, bits, kernels_of):
    nengo.rc.set("precision", "bits", str(bits))
    model = Model()
    model.build(network(rule))
    whole = run(model, [60])
    assert kernels_of("dot_learned_rows_events") + kernels_of("dot_learned_rows")
    with sharing():
        others = [run(model, [60], threads=threads) for threads in (2, 3)]
    others.append(run(model, [1, 1, 30, 2, 26]))
    for other in others:
        assert all(np.array_equal(whole[signal], other[signal]) for signal in whole)
    expected, tolerance = run(model, [60], "reference"), 1e-9 if bits == 64 else 1e-3
    for signal, array in expected.items():
        atol = tolerance * np.abs(array).max(initial=1e-30)
        np.testing.assert_allclose(whole[signal], array, rtol=0, atol=atol, err_msg=str(signal))
