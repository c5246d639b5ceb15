"""Constant folding: nothing is left out that could change a later step."""

import nengo
import numpy as np
import pytest
from compiling import compiled

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.reference import ReferenceBackend
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.planner import make_plan
from nengo_jit.planner.graph import dependency_graph, operators_before, topological_order
from nengo_jit.planner.invariant import invariant
from nengo_jit.planner.passes import find_invariant


def found(*operators):
    graph = dependency_graph(operators)
    return invariant(graph, operators_before(graph), topological_order(graph))


def signals(n, shape=3):
    return [Signal(np.ones(shape), name=f"{i}") for i in range(n)]


def test_what_reads_constants_only_is_invariant():
    a, b, c, d = signals(4)
    ops = Copy(a, b), Reset(c), ElementwiseInc(a, b, c), Copy(c, d)
    assert found(*ops) == set(ops)


def test_parts_of_what_is_set_as_a_whole_are_steady():
    a, c = signals(2)
    ops = Reset(c), Copy(a[:1], c[1:2], inc=True), Copy(a[:2], c[:2], inc=True)
    assert found(*ops) == set(ops)


def test_sums_without_a_beginning_are_not_steady():
    a, b = signals(2)
    assert found(Copy(a, b, inc=True)) == set()
    assert found(Reset(b[:2]), Copy(a, b, inc=True)) == set()
    assert found(Reset(b[::2]), Copy(a, b, inc=True)) == set()
    assert found(Copy(a, b, [0, 2], [0, 2]), Copy(a, b, inc=True)) == set()


def test_one_changing_term_makes_the_whole_sum_change():
    a, b, c, state = signals(4)
    changing = nengo_update(state)
    ops = Reset(c), Copy(a, c, inc=True), Copy(state, c, inc=True), Copy(c, b)
    assert found(*ops, changing) == set()


def nengo_update(signal):
    """Something that updates a signal at the end of each step."""
    op = Copy(signal, Signal(np.zeros(signal.shape)))
    op.sets, op.reads, op.updates = [], [], [signal]
    op.__class__ = type("Update", (Copy,), {})
    return op


def test_products_with_weights_that_learn_are_not_steady():
    x, y, delta = signals(3)
    weights = Signal(np.ones((3, 3)))
    ops = Reset(y), DotInc(weights, x, y), Copy(x, delta)
    assert found(*ops) == set(ops)
    learning = Reset(y), DotInc(weights, x, y), nengo_update(weights)
    assert found(*learning) == set()


@pytest.fixture
def model():
    with nengo.Network(seed=0) as net:
        net.constant = nengo.Node([0.5, -0.25])
        middle = nengo.Node(size_in=2)
        ens = nengo.Ensemble(30, 2)
        nengo.Connection(net.constant, middle, synapse=None, transform=2)
        nengo.Connection(middle, ens, synapse=None)
        nengo.Connection(nengo.Node(np.sin), ens[0], synapse=None)
        net.probes_ = [nengo.Probe(middle), nengo.Probe(ens, synapse=0.01)]
    model = Model()
    model.build(net)
    model.constant, model.probes_ = net.constant, net.probes_
    return model


def test_constant_nodes_are_folded_as_far_as_nothing_else_comes_in(model):
    plan = make_plan(model, [find_invariant])
    written = {signal for op in plan.invariant for signal in (*op.sets, *op.incs)}
    assert len(written) == 2  # what is weighted, and the node
    (ens,) = (each for each in model.params if isinstance(each, nengo.Ensemble))
    assert model.sig[ens]["in"] not in written


def test_results_are_the_same_and_live_writes_count(model):
    engines = []
    for engine_class in (CpuBackend, ReferenceBackend):
        engine = compiled(model, engine_class)
        engine.reset(0)
        engine.run(5)
        engine.signals[model.sig[model.constant]["out"]] = [1.0, 2.0]
        engine.run(5)
        engines.append(engine)
    for probe in model.probes_:
        one, other = (np.array(engine.samples[probe]) for engine in engines)
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert np.array(engines[0].samples[model.probes_[0]])[:, 0].tolist() == [1.0] * 5 + [2.0] * 5
