"""Runs of a step or two, one after the other, as robots and user interfaces have them."""

import math

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu.python import short_runs, tapes_in_use


class TestShortRuns:
    def runs(self, in_python, with_tapes, n_runs):
        """Which of a number of runs have used tapes, if runs take as long as given."""
        now = [0.0]
        decided, ways = short_runs.ShortRuns(lambda: now[0]), []
        for _ in range(n_runs):
            ways.append(decided.begin())
            now[0] += with_tapes if ways[-1] else in_python
            decided.end()
        return ways

    def test_what_is_quicker_is_used(self):
        n = short_runs.N_TRIALS
        trials = [False] * n + [True] * n
        assert self.runs(2.0, 1.0, 3 * n) == [*trials, *[True] * n]
        assert self.runs(1.0, 2.0, 3 * n) == [*trials, *[False] * n]

    def test_it_is_tried_again(self):
        n = short_runs.N_RUNS
        ways = self.runs(1.0, 2.0, 2 * n)
        assert ways[:n] == ways[n:]


@pytest.mark.parametrize("quicker", [False, True])
def test_single_steps_use_tapes_where_that_is_quicker(monkeypatch, quicker):
    monkeypatch.setattr(short_runs.ShortRuns, "begin", lambda runs: quicker)
    box = [2.0]

    def function(t):
        return math.sin(t) * box[0]

    with nengo.Network() as net:
        node = nengo.Node(function)
        nengo.Node(lambda t: box[0])
        probe = nengo.Probe(node)
    with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
        sim.run_steps(200)
        for _ in range(30):
            sim.step()
        box[0] = 3.0
        for _ in range(30):
            sim.step()
        data = sim.data[probe][:, 0]
    times = 0.001 * np.arange(1, 261)
    expected = [math.sin(t) * (2.0 if i < 230 else 3.0) for i, t in enumerate(times)]
    assert np.array_equal(data, expected)


def test_what_has_no_kernel_is_told_once_in_a_process(caplog, monkeypatch):
    monkeypatch.setattr(tapes_in_use, "LOGGED", set())

    class Mine(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            kept = []
            return lambda t: kept.append(t) or [0.0]

    with nengo.Network() as net:
        nengo.Node(Mine(default_size_in=0, default_size_out=1))
    for _ in range(2):
        with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
            sim.run_steps(200)
    message = "SimProcess Mine set has no compiled kernel and runs in Python"
    assert [record.getMessage() for record in caplog.records] == [message]

    Mine = type("Mine", (Mine,), {})
    with nengo.Network() as net:
        nengo.Node(Mine(default_size_in=0, default_size_out=1))
    for _ in range(2):
        with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
            sim.run_steps(200)
    assert [record.getMessage() for record in caplog.records] == [message] * 2
