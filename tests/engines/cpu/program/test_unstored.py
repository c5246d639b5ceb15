"""Currents and outputs that are not stored are right whenever somebody looks."""

from dataclasses import replace

import nengo
import numpy as np
import pytest
from circuits import lowering_for
from compiling import compiled

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.program import unstored
from nengo_jit.engines.cpu.program.verify import verify_fusion
from nengo_jit.planner.verify import PlanError


@pytest.fixture
def without(monkeypatch):
    """Nothing is stored that need not be, in small models, too."""
    monkeypatch.setattr(unstored, "MANY", 0)


def network(**options):
    """Two populations, of which one is inhibited: its currents have a term."""
    with nengo.Network(seed=0) as net:
        net.a = nengo.Ensemble(70, 2, label="a", **options)
        net.b = nengo.Ensemble(70, 2, label="b", **options)
        nengo.Connection(net.a, net.b, function=np.square)
        nengo.Connection(net.b, net.a, synapse=0.01)
        nengo.Connection(net.a[0], net.b.neurons, transform=-0.2 * np.ones((70, 1)))
        net.probe = nengo.Probe(net.b, synapse=0.01)
    return net


def neurons_of(sim):
    return [op for op in sim.model.operators if isinstance(op, SimNeurons)]


def seen(sim):
    """Currents and outputs of all neurons."""
    arrays = [sim.signals[each] for op in neurons_of(sim) for each in (op.J, op.output)]
    return [array.copy() for array in arrays]


def engine_of(net, **options):
    model = Model()
    model.build(net)
    return compiled(model, **options)


def test_what_is_not_stored(without):
    fusion = engine_of(network())._lowering.fusion
    (without_currents,) = fusion.without_currents
    assert without_currents not in fusion.terms
    assert len(fusion.without_output) == 2


def test_small_models_store_everything():
    fusion = engine_of(network())._lowering.fusion
    assert not fusion.without_currents
    assert not fusion.without_output


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2])
def test_signals_and_probes_are_the_same(threads, dtype, monkeypatch, always_shared):
    nengo.rc.set("precision", "bits", "32" if dtype is np.float32 else "64")
    found = []
    try:
        for many in (10**9, 0):
            monkeypatch.setattr(unstored, "MANY", many)
            with nengo_jit.Simulator(network(), progress_bar=False, threads=threads) as sim:
                sim.run_steps(30)
                found.append([*seen(sim), sim.data[sim.model.probes[0]].copy()])
                sim.run_steps(7)
                found[-1] += seen(sim)
    finally:
        nengo.rc.set("precision", "bits", "64")
    assert any(array.any() for array in found[0])
    for stored, computed in zip(*found):
        assert (stored == computed).all()


def test_nodes_see_the_values_of_the_step_before(monkeypatch):
    """A node that fetches signals within a step, first in the middle of a run."""
    found = []
    for many in (10**9, 0):
        monkeypatch.setattr(unstored, "MANY", many)
        looked, sims = [], []

        def look(t, sims=sims, looked=looked):
            if t > 0.0105:
                looked.append(seen(sims[0]))

        net = network()
        with net:
            nengo.Node(look)
        with nengo_jit.Simulator(net, progress_bar=False) as sim:
            sims.append(sim)
            sim.run_steps(14)
        found.append(looked)
    assert len(found[0]) == 4
    for stored, computed in zip(*found):
        for one, other in zip(stored, computed):
            assert (one == other).all()


def test_probed_neurons_are_stored(without):
    net = network()
    with net:
        nengo.Probe(net.a.neurons)
        nengo.Probe(net.a.neurons, "input")
    fusion = engine_of(net)._lowering.fusion
    assert len(fusion.without_output) == 1
    assert not fusion.without_currents


def test_neurons_that_nodes_depend_on_are_stored(without):
    net = network()
    with net:
        node = nengo.Node(lambda t, x: x, size_in=2)
        nengo.Connection(net.a, node, synapse=None)
    fusion = engine_of(net)._lowering.fusion
    assert len(fusion.without_output) == 1
    assert not fusion.without_currents


def test_other_neurons_are_stored(without):
    fusion = engine_of(network(neuron_type=nengo.AdaptiveLIF()))._lowering.fusion
    assert not fusion.without_currents
    assert not fusion.without_output


def test_wrong_results_of_the_pass_are_found(without):
    """Neurons of which a term, or a probe, needs what is not stored."""
    net = network()
    with net:
        nengo.Probe(net.b.neurons)
    model = Model()
    model.build(net)
    plan, lowering = CpuBackend().plan(model), lowering_for(model)
    b = next(op for op in plan.operators if op in lowering.fusion.terms)
    verify_fusion(plan, lowering.facts, lowering.fusion)
    for wrong, message in (
        ({"without_currents": frozenset([b])}, "after the step"),
        ({"without_output": {b.output: b}}, "somebody reads"),
    ):
        with pytest.raises(PlanError, match=message):
            verify_fusion(plan, lowering.facts, replace(lowering.fusion, **wrong))
