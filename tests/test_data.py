"""Probe data as nengo shows it, also to whoever looks, or changes it, while a simulation runs."""

import nengo
import numpy as np
import pytest
import scipy.sparse

import nengo_jit
from nengo_jit.data import SimulationData
from nengo_jit.engines import ENGINES, recording


def test_simulation_data_shows_lists_as_readonly_arrays():
    data = SimulationData({"list": [1, 2], "number": 5, "nothing": None})
    assert isinstance(data["list"], np.ndarray)
    assert (data["number"], data["nothing"]) == (5, None)
    with pytest.raises(ValueError, match="read-only"):
        data["list"][0] = 3
    assert list(data) == ["list", "number", "nothing"]
    assert len(data) == 3
    assert str(data) == repr(data) == str(data.raw)


def test_simulation_data_keeps_arrays_until_lists_change():
    raw = {"list": [np.zeros(1), np.ones(1)]}
    data = SimulationData(raw)
    first = data["list"]
    assert data["list"] is first
    raw["list"].append(np.ones(1))
    assert data["list"].shape == (3, 1)
    replaced = data["list"]
    raw["list"][:] = [np.full(1, 7.0) for _ in range(3)]
    assert data["list"] is not replaced
    assert data["list"][0] == 7
    data.reset()
    assert data["list"] is not replaced


# --- within a run

LAST = 700  # steps, which make several chunks and, for the probes, several blocks


def delete(sim, p, step, log):
    raw = sim.data.raw[p]
    if step == 20:
        del raw[:]
    elif step == 30:
        del raw[2:5]
    elif step == 40:
        raw[:] = raw[-4:]
    elif step == 600:
        del raw[1::2]
    elif step == 610:
        log += [raw.pop(), raw.pop(0)]
        raw.insert(1, np.array([0.5]))


def clear(sim, p, step, log):
    if step in (1, 2, 50, 650):
        log.append(sim.data[p])
        sim.clear_probes()


def replace(sim, p, step, log):
    if step in (5, 6, 300):
        log.append(sim.data.raw[p])
        sim.data.raw[p] = []


def keep(sim, p, step, log):
    """A list of the user's, which is looked at as it is."""
    if step == 5:
        log.append([])
        sim.data.raw[p] = log[-1]
    elif step > 5:
        log.append(len(log[4]))
        if step == 300:
            del log[4][3:]


def put_back(sim, p, step, log):
    if step == 10:
        log.append(sim.data.raw[p])
        sim.data.raw[p] = []
    elif step == 15:
        sim.data.raw[p] = log[-1]


def reset(sim, p, step, log):
    if step == 30 and not log:
        log.append(1)
        sim.reset()


def look(sim, p, step, log):
    data = sim.data[p]
    log += [len(data), *data[-1:], *sim.data.raw[p][-3:], sim.n_steps, sim.time]


def run_script(simulator, script, **options):
    """All that a script sees and leaves; the probes record the time."""
    box, log = [], []

    def act(t):
        if box:
            if script is keep and len(log) < 4:
                log.append(len(box[0].data[probe]))
            script(box[0], probe, round(t * 1000), log)

    with nengo.Network(seed=0) as net:
        clock = nengo.Node(lambda t: t)
        probe, coarse = nengo.Probe(clock), nengo.Probe(clock, sample_every=0.0025)
        nengo.Node(act, size_out=0)
    with simulator(net, **options) as sim:
        box.append(sim)
        sim.run_steps(LAST - 3)
        for _ in range(3):
            sim.step()
    log += [sim.n_steps, sim.time, sim.data[probe], sim.data[coarse]]
    return [np.array(each).tolist() for each in log]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script", [look, delete, clear, replace, keep, put_back, reset])
def test_a_node_sees_and_changes_what_it_does_in_nengo(engine, script):
    expected = run_script(nengo.Simulator, script, optimize=False)
    assert run_script(nengo_jit.Simulator, script, engine=engine) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_deleted_list_is_missed_in_the_next_step_as_in_nengo(engine):
    with nengo.Network() as net:
        probe, other = nengo.Probe(nengo.Node([1.0])), nengo.Probe(nengo.Node([2.0]))
    with (
        nengo_jit.Simulator(net, engine=engine) as sim,
        nengo.Simulator(net, optimize=False) as reference,
    ):
        for each in (sim, reference):
            each.run_steps(3)
            n_objects = len(each.data.raw)
            del each.data.raw[probe]
            assert probe not in each.data
            assert len(each.data.raw) == len(list(each.data.raw)) == n_objects - 1
            for lookup in (each.data.raw.__getitem__, each.data.raw.__delitem__):
                with pytest.raises(KeyError):
                    lookup(probe)
            with pytest.raises(KeyError):
                each.step()
            assert each.n_steps == 4
            each.clear_probes()
            each.step()
            assert each.data[probe].tolist() == [[1.0]]
            assert each.data[other].tolist() == [[2.0]]


@pytest.mark.parametrize("engine", ENGINES)
def test_sparse_samples_are_there_while_it_runs(engine):
    weights = scipy.sparse.csr_matrix([[0.5, 0.0], [0.0, -1.0]])
    box, seen = [], []
    with nengo.Network(seed=0) as net:
        nengo.Node(lambda t: seen.append(len(box[0].data[probe])) if box else None, size_out=0)
        a, b = nengo.Node([1.0, 2.0]), nengo.Node(size_in=2)
        connection = nengo.Connection(a, b, transform=nengo.Sparse((2, 2), init=weights))
        probe = nengo.Probe(connection, "weights")
    with nengo_jit.Simulator(net, engine=engine) as sim:
        box.append(sim)
        sim.run_steps(120)
        assert seen[-120:] == list(range(120))
        assert len(sim.data[probe]) == 120
        assert sim.data[probe][-1].toarray().tolist() == weights.toarray().tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_of_a_users_list_ends_the_run_after_that_step(engine):
    class Short(list):
        def append(self, value):
            if len(self) == 3:
                raise OverflowError("enough")
            super().append(value)

    with nengo.Network() as net:
        clock = nengo.Node(lambda t: t)
        probe, other = nengo.Probe(clock), nengo.Probe(clock, synapse=0.01)
    with nengo_jit.Simulator(net, engine=engine) as sim:
        sim.data.raw[probe] = Short()
        with pytest.raises(OverflowError, match="enough"):
            sim.run_steps(100)
        assert (sim.n_steps, len(sim.data[probe]), len(sim.data[other])) == (4, 3, 4)
        sim.data.raw[probe] = []
        sim.run_steps(6)
        assert np.allclose(np.ravel(sim.data[probe]), np.arange(5, 11) * 0.001)
        with nengo_jit.Simulator(net, engine=engine) as undisturbed:
            undisturbed.run_steps(10)
        assert np.array_equal(sim.data[other], undisturbed.data[other])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_window_of_the_latest_samples_can_be_kept(engine):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
        for cut in (lambda raw: raw[-3:], lambda raw: np.array(raw[-3:]), lambda raw: raw):
            sim.run_steps(10)
            sim.data.raw[probe] = cut(sim.data.raw[probe])
            sim.run_steps(1)
            assert len(sim.data[probe]) == (4 if sim.n_steps < 33 else 15)
            assert sim.data[probe][-1, 0] == sim.time


@pytest.mark.parametrize("engine", ENGINES)
def test_a_probe_that_never_samples_has_no_data(engine):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t), sample_every=float("inf"))
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
        sim.run_steps(50)
        assert sim.data[probe].shape == (0,)


@pytest.mark.parametrize("engine", ENGINES)
def test_lists_that_get_no_samples_are_forgotten(engine):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
        for _ in range(3000):
            sim.data.raw[probe] = []
        assert len(list(sim._engine.recording._chain(probe))) < 3
        sim.run_steps(2)
        assert len(sim.data[probe]) == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_what_two_interrupts_have_kept_from_a_list_is_there_when_it_is_read(engine, monkeypatch):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
        sim.data.raw[probe] = []
        sim.run_steps(5)
        with monkeypatch.context() as patch:

            def interrupt(target):
                if recording._next_of(target) < target.span.end():
                    raise KeyboardInterrupt

            patch.setattr("nengo_jit.engines.recording._append_to", interrupt)
            with pytest.raises(KeyboardInterrupt):
                sim.step()
        assert len(sim.data[probe]) == sim.n_steps == 6
