"""Lowering: products that several operators make are made once, in whatever order."""

import nengo
import numpy as np
import pytest
from circuits import lowering_for

import nengo_jit
from nengo_jit.builder import Model, Signal
from nengo_jit.builder.processes import SimProcess
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.program.fusion import Part
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.options import Options


@pytest.fixture
def net():
    """An ensemble that is decoded four times in one way, and in three others."""
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: [np.sin(30 * t), 1])
        ensemble = nengo.Ensemble(60, 2)
        nengo.Connection(stim, ensemble)
        targets = [nengo.Ensemble(20, 2) for _ in range(3)]
        nengo.Connection(ensemble, targets[0])
        nengo.Connection(ensemble, targets[1], synapse=0.02)
        nengo.Connection(ensemble, targets[2], function=np.square)
        nengo.Connection(ensemble[0], targets[2][1])
        nengo.Connection(ensemble, targets[2], transform=2)
        nengo.Connection(ensemble, nengo.Node(size_in=2), synapse=None)
        nengo.Probe(ensemble, synapse=None)
    return net


def compare(net, run_both, n_steps=50, threads=1):
    """Check that everything is the same on both engines."""
    model = Model()
    model.build(net)
    cpu, reference = run_both(model, n_steps, threads)
    for signal in reference.signals:
        actual, expected = cpu.signals[signal], reference.signals[signal]
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9, err_msg=str(signal))
    for probe in net.all_probes:
        np.testing.assert_allclose(cpu.samples[probe], reference.samples[probe], rtol=1e-9)


def number_of_copies(kernels_of):
    return sum(code.stage == 1 for code in kernels_of("copy"))


@pytest.mark.parametrize("threads", [1, 3])
def test_equal_products_are_made_once(net, run_both, kernels_of, threads):
    compare(net, run_both, threads=threads)
    # the probe's, those of two ensembles, and one that nothing reads: made when a run has ended
    assert number_of_copies(kernels_of) == 2
    assert len(kernels_of("dot_events")) == 5


def test_products_that_are_added_to_others_are_made(run_both, kernels_of):
    """Two connections to one place, without a synapse: neither sets what it adds to."""
    with nengo.Network(seed=0) as net:
        ensemble, out = nengo.Ensemble(30, 1), nengo.Node(size_in=1)
        for _ in range(2):
            weights = np.full((1, 30), 0.01)
            nengo.Connection(ensemble.neurons, out, transform=weights, synapse=None)
        nengo.Probe(out)
    compare(net, run_both)


def test_learned_weights_make_products_of_their_own(run_both):
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(30, 1)
        targets = [nengo.Ensemble(20, 1) for _ in range(3)]
        conns = [nengo.Connection(ensemble, target) for target in targets]
        for conn in conns[:2]:
            conn.learning_rule_type = nengo.PES(1e-3)
            nengo.Connection(nengo.Node(0.3), conn.learning_rule)
    compare(net, run_both)


def test_what_is_no_process_fails_where_its_step_is_made():
    model = Model()
    model.add_op(SimProcess(object(), None, Signal(shape=1), model.time))
    with pytest.raises(AttributeError, match="make_step") as info:
        nengo_jit.Simulator(None, model=model)
    assert "while the step of SimProcess" in info.value.__notes__[0]


def assert_same_rows(one, other):
    """Check that rows are the same but for where buffers and constants lie.

    Memory that is one and the same for two columns of one side is so on the other side, too.
    """
    there, back = {}, {}
    for operator, rows in one.items():
        if rows is None or other[operator] is None:
            assert rows is other[operator]
            continue
        for row, twin in zip(rows, other[operator], strict=True):
            assert row.kernel is twin.kernel
            for value, its_twin in zip(row.values, twin.values, strict=True):
                is_address = min(value, its_twin) > 1 << 20
                assert is_address or value == its_twin, (row, twin)
                assert there.setdefault(value, its_twin) == its_twin, (row, twin)
                assert back.setdefault(its_twin, value) == value, (row, twin)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("exposed", [False, True])
def test_the_order_of_lowering_does_not_matter(net, seed, exposed):
    with net:
        learned = [
            nengo.Connection(ens, ens, solver=nengo.solvers.LstsqL2(weights=rule is not nengo.PES))
            for ens, rule in zip(net.ensembles[1:], (nengo.PES, nengo.Oja, nengo.BCM))
        ]
        for conn, rule in zip(learned, (nengo.PES(), nengo.Oja(), nengo.BCM())):
            conn.learning_rule_type = rule
        nengo.Connection(nengo.Node([0.5, 1]), learned[0].learning_rule)
        noisy = nengo.Ensemble(5, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        nengo.Connection(net.ensembles[0], noisy, synapse=nengo.Alpha(0.1), transform=[[1, 1]])
        nengo.Connection(nengo.Node(nengo.processes.WhiteSignal(1.0, 5)), noisy)
        nengo.Connection(noisy, net.ensembles[0][0], function=np.square)
        wide = nengo.Ensemble(600, 1).neurons
        nengo.Connection(wide, wide, transform=1e-3)
    model = Model()
    model.build(net)
    bases = [model.sig[ens.neurons]["out"] for ens in net.ensembles[:2]] if exposed else []
    one, other = lowering_for(model, bases), lowering_for(model, bases)
    assert {each.part for each in one.fusion.fused_into.values()} == set(Part)
    assert bool(one.fusion.searched) is exposed
    order = list(model.operators)
    np.random.RandomState(seed).shuffle(order)
    one.lower_all()
    for operator in order:
        other.lower(operator)
    assert_same_rows(one.rows, other.rows)


def test_what_was_lowered_in_another_order_computes_the_same(net, monkeypatch):
    def memory():
        model = Model()
        model.build(net)
        engine = CpuBackend(Options(threads=1)).compile(CpuBackend().plan(model))
        engine.reset(0)
        engine.run(40)
        engine.settle()
        return [array.tobytes() for array in engine.signals.values()]

    def lower_backwards(lowering, progress=None):
        for group in reversed(lowering._groups):
            for operator in reversed(group.members):
                lowering.lower(operator)

    expected = memory()
    monkeypatch.setattr(Lowering, "lower_all", lower_backwards)
    assert memory() == expected
