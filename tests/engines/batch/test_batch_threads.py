"""Threads that run members at the same time do not wait for each other."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.batch import engine as batch_engine
from nengo_jit.engines.cpu.program.program import Executable


@pytest.mark.parametrize("uses_threads", [True, False])
def test_short_runs_keep_the_gil_unless_there_are_threads(uses_threads, monkeypatch):
    kept, run = [], Executable.run

    def recording(self, n_steps, keeps_gil=False, patience=0):
        kept.append(keeps_gil)
        return run(self, n_steps, keeps_gil, patience)

    monkeypatch.setattr(Executable, "run", recording)
    monkeypatch.setattr(batch_engine, "WORTH_THREADS", -1.0 if uses_threads else np.inf)
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(10, 1))
    with nengo_jit.Simulator(net, batch=4, threads=2, progress_bar=False) as sim:
        sim.run_steps(2)
        kept.clear()
        sim.run_steps(5)
    assert kept == [not uses_threads] * len(kept)
    assert len(kept) >= 4
