"""Kernels record what a plan says, where there is always room for it."""

from unittest import mock

import nengo
import numpy as np
import pytest
from compiling import compiled
from sharing import sharing

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.recorder import LEAST


def engine_for(net, **options):
    model = Model()
    model.build(net)
    engine = compiled(model, **options)
    engine.reset(0)
    return engine


def clock(t):
    return [1000 * t, -1000 * t, 0.5]


@pytest.mark.parametrize("bits", ["32", "64"])
@pytest.mark.parametrize("sample_every", [None, 0.0005, 0.001, 0.0015, 0.002, 0.0073])
def test_samples_are_taken_when_nengo_takes_them(bits, sample_every):
    nengo.rc.set("precision", "bits", bits)
    with nengo.Network() as net:
        node = nengo.Node(clock, size_out=3)
        probes = [nengo.Probe(part, sample_every=sample_every) for part in (node, node[::-2])]
    engine = engine_for(net)
    for n_steps in (1, 2, 700, 1, 96):  # in several blocks
        engine.run(n_steps)
    with nengo.Simulator(net, optimize=False, progress_bar=False) as reference:
        reference.run_steps(800)
    for probe in probes:
        samples = engine.samples[probe].array
        assert samples.dtype == f"float{bits}"
        np.testing.assert_allclose(samples, reference.data[probe], rtol=1e-6)


def test_a_signal_whose_elements_do_not_follow_each_other():
    model = Model()
    with nengo.Network() as net:
        weights = nengo.Connection(
            nengo.Ensemble(4, 1, seed=1),
            nengo.Node(size_in=2),
            transform=[[1.0], [2.0]],
            learning_rule_type=nengo.PES(),
        )
        probe = nengo.Probe(weights, "weights", sample_every=0.002)
    model.build(net)
    plan = CpuBackend().plan(model)
    engine = CpuEngine(plan)
    engine.reset(0)
    engine.run(5)
    (planned,) = plan.probes
    assert len(engine.samples[probe]) == 2
    assert np.array_equal(engine.samples[probe][-1], engine.signals[planned.signal])


def test_room_is_made_seldom():
    with nengo.Network() as net:
        probes = [nengo.Probe(nengo.Node([1.0]), sample_every=every) for every in (None, 0.003)]
    engine = engine_for(net)
    with mock.patch.object(
        engine._recorders, "_make_room", wraps=engine._recorders._make_room
    ) as make_room:
        for _ in range(8 * LEAST // 8):
            engine.run(1)
    assert make_room.call_count < 12
    assert [len(engine.samples[probe]) for probe in probes] == [LEAST, LEAST // 3]


def test_there_is_room_for_runs_within_runs():
    found, sizes = [], [1000, 3000, 1, 5000]

    def act(t):
        if found and sizes and found[0].n_steps % 10 == 5:
            found[0].run(sizes.pop())
        return 1000 * t

    with nengo.Network() as net:
        probes = [nengo.Probe(nengo.Node(act), sample_every=every) for every in (None, 0.003)]
    engine = engine_for(net)
    found.append(engine)
    engine.run(50)
    assert not sizes
    assert engine.n_steps == len(engine.samples[probes[0]]) == 9051
    for probe in probes:
        recorder = engine.recording.recorders[probe]
        assert recorder.count() - recorder.block.first <= len(recorder.block.rows)
    engine.run(1)
    assert engine._recorders._promised == engine.recording.clock.ticks


@pytest.mark.parametrize("is_listed", [False, True])
def test_threads_record_the_same(is_listed):
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(40, 12)
        nengo.Connection(nengo.Node(np.linspace(-1, 1, 12)), array.input)
        probes = [nengo.Probe(array.output), nengo.Probe(array.ensembles[3].neurons, "voltage")]
        probes.append(nengo.Probe(array.output, sample_every=0.004))
    alone = engine_for(net, threads=1)
    alone.run(300)
    with sharing():
        engine = engine_for(net, threads=3)
        if is_listed:
            for probe in probes:
                engine.recording.redirect(probe, [])
        engine.run(299)
        engine.run(1)
    assert engine.n_steps == 300
    for probe in probes:
        assert np.array_equal(np.array(engine.samples[probe]), alone.samples[probe].array)


def test_a_list_is_filled_in_single_precision():
    nengo.rc.set("precision", "bits", "32")
    tiny = []

    class Computing(list):
        def append(self, value):
            tiny.append(float(value[0]) * 1e-310 > 0.0)  # subnormal numbers are computed in Python
            super().append(value)

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node([1.0]))
    engine = engine_for(net)
    engine.recording.redirect(probe, Computing())
    engine.run(5)
    assert tiny == [True] * 5
    assert [value.tolist() for value in engine.samples[probe]] == [[1.0]] * 5
    assert engine.samples[probe][0].dtype == np.float32
