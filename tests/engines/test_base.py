"""What holds for every engine, whatever it runs on."""

from itertools import pairwise

import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.exceptions import ValidationError

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.engines import ENGINES, backend_class, base
from nengo_jit.engines.reference import ReferenceEngine


@pytest.fixture(params=ENGINES)
def make_engine(request):
    def make(network, seed=1):
        model = Model()
        model.build(network)
        engine = compiled(model, request.param)
        engine.reset(seed)
        return engine

    return make


@pytest.fixture
def network():
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(nengo.processes.WhiteNoise(), label="noise")
        ens = nengo.Ensemble(20, 1)
        nengo.Connection(stim, ens)
        nengo.Connection(ens, ens, synapse=0.1)
        net.probe = nengo.Probe(ens, synapse=0.01)
        net.coarse = nengo.Probe(ens, sample_every=0.003)
    return net


def samples(engine, probe):
    return np.array(engine.samples[probe])


def test_two_runs_equal_one_longer(make_engine, network):
    whole, parts = make_engine(network), make_engine(network)
    whole.run(20)
    parts.run(7)
    parts.run(13)
    assert np.array_equal(samples(whole, network.probe), samples(parts, network.probe))
    assert (whole.n_steps, whole.time) == (parts.n_steps, parts.time) == (20, 0.02)


def test_reset_repeats_exactly(make_engine, network):
    engine = make_engine(network, seed=3)
    engine.run(20)
    first = samples(engine, network.probe)
    engine.reset(3)
    assert (engine.n_steps, engine.time) == (0, 0.0)
    assert samples(engine, network.probe).size == 0
    engine.run(20)
    assert np.array_equal(samples(engine, network.probe), first)


def test_reset_with_another_seed_changes_noise(make_engine, network):
    engine = make_engine(network, seed=3)
    engine.run(20)
    first = samples(engine, network.probe)
    engine.reset(4)
    engine.run(20)
    assert not np.array_equal(samples(engine, network.probe), first)


def test_samples_are_taken_as_often_as_asked(make_engine, network):
    engine = make_engine(network)
    engine.run(10)
    assert len(engine.samples[network.probe]) == 10
    assert len(engine.samples[network.coarse]) == 3


def test_cleared_samples_leave_old_lists_alone(make_engine, network):
    engine = make_engine(network)
    engine.run(2)
    before = engine.samples[network.probe]
    engine.clear_samples()
    engine.run(1)
    assert (len(before), len(engine.samples[network.probe])) == (2, 1)


def test_writing_to_signals_changes_the_next_step(make_engine):
    with nengo.Network() as net:
        stim = nengo.Node([1.0])
        probe = nengo.Probe(stim)
    engine = make_engine(net)
    engine.run(1)
    (planned,) = engine.plan.probes
    engine.signals[planned.signal] = 5.0
    engine.run(1)
    assert samples(engine, probe).ravel().tolist() == [1.0, 5.0]


def test_a_step_that_raises_is_undone(make_engine):
    failures = [0.004]

    def fail(t):
        if t in failures:
            failures.remove(t)
            raise ValueError("no more")
        return t

    with nengo.Network(seed=0) as net:
        clock = nengo.Node(lambda t: t)
        failing = nengo.Node(fail, label="failing")
        probe, other = nengo.Probe(failing), nengo.Probe(clock, synapse=0.01)
    engine = make_engine(net)
    engine.run(3)
    before = {signal: np.copy(array) for signal, array in engine.signals.items()}
    with pytest.raises(ValueError, match="no more"):
        engine.run(1)
    assert (engine.n_steps, len(engine.samples[probe]), len(engine.samples[other])) == (3, 3, 3)
    for signal, array in engine.signals.items():
        assert np.array_equal(array, before[signal])
    engine.run(2)  # and it can go on from there
    assert np.allclose(samples(engine, probe).ravel(), [0.001, 0.002, 0.003, 0.004, 0.005])


def test_an_interrupt_keeps_whole_steps(make_engine):
    def interrupt(t):
        if t > 0.0025:
            raise KeyboardInterrupt
        return t

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(interrupt))
    engine = make_engine(net)
    with pytest.raises(KeyboardInterrupt):
        engine.run(10)
    assert (engine.n_steps, len(engine.samples[probe])) == (2, 2)


def test_invalid_arithmetic_raises_and_division_by_zero_does_not(make_engine):
    with nengo.Network() as net:
        nengo.Node(lambda t: [np.divide(1.0, 0.0) > 0])
    make_engine(net).run(1)
    with nengo.Network() as net:
        nengo.Node(lambda t: [np.subtract(np.inf, np.inf) > 0])
    with pytest.raises(FloatingPointError, match="invalid"):
        make_engine(net).run(1)


def test_settings_for_errors_of_numpy_are_put_back(make_engine):
    with nengo.Network() as inner:
        nengo.Node(lambda t: float(str(t)))
    engines = [make_engine(inner)]

    def run_another(t):
        engines[0].run(2)
        return np.geterr()["invalid"] == "raise" and t < 0.0035

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(run_another, size_out=1))
        nengo.Node(lambda t: 1 / (t < 0.0035))
    before = np.geterr()
    engine = make_engine(net)
    with pytest.raises(ZeroDivisionError):
        engine.run(5)
    assert np.geterr() == before
    assert samples(engine, probe).ravel().tolist() == [1.0, 1.0, 1.0]


def test_pieces_of_a_run_add_up_to_it(make_engine, network, monkeypatch):
    whole, parts = make_engine(network), make_engine(network)
    whole.run(200)
    pieces = list(parts.pieces(200))
    assert sum(pieces) == parts.n_steps == 200
    assert pieces[0] == 1
    assert all(later <= 10 * earlier for earlier, later in pairwise(pieces))
    assert np.array_equal(samples(whole, network.probe), samples(parts, network.probe))
    monkeypatch.setattr(base, "PIECE_SECONDS", 0.0)  # as short as can be
    assert list(parts.pieces(5)) == [1] * 5
    assert list(parts.pieces(0)) == []


def test_a_paused_run_goes_on_with_the_next_piece(make_engine):
    def pause(t):
        if round(1000 * t) in (3, 5):
            engine.pause()
        return t

    with nengo.Network() as net:
        nengo.Node(pause, size_out=1)
    engine = make_engine(net)
    assert engine.run(4) == 3
    assert list(engine.pieces(4)) == [1, 1, 2]


def test_an_engine_cuts_runs_as_it_likes(monkeypatch):
    taken = []

    def pieces(engine, n_steps):
        while n_steps > 0:
            taken.append(engine.run(min(7, n_steps)))
            n_steps -= taken[-1]
            yield taken[-1]

    monkeypatch.setattr(ReferenceEngine, "pieces", pieces)
    with nengo_jit.Simulator(nengo.Network(), engine="reference") as sim:
        sim.run_steps(20)
        assert sim.n_steps == 20
    assert taken == [7, 7, 6]


def test_engines_are_found_by_name():
    assert [backend_class(name).name for name in ENGINES] == list(ENGINES)
    assert backend_class().name == next(iter(ENGINES))


def test_an_unknown_engine_lists_the_known():
    with pytest.raises(ValidationError, match=r"'warp'.*'reference'"):
        backend_class("warp")
