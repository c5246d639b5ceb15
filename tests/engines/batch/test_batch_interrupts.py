"""All members of a batch are after the same step, whatever interrupts them at whatever bytecode."""

import sys
from pathlib import Path

import nengo
import numpy as np
import pytest
from nengo.processes import WhiteNoise

import nengo_jit
from nengo_jit.engines.batch import engine as batch_engine

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_interrupts import interrupted

FOLDER = Path(batch_engine.__file__).parent
FILES = {str(path) for path in FOLDER.glob("*.py")} | {str(FOLDER.parent / "recorder.py")}
EVERY = 7  # bytecodes


class Count:
    """A function with a state."""

    def __init__(self):
        self.count = 0

    def __call__(self, t):
        self.count += 1
        return self.count


def build():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        nengo.Connection(nengo.Node(WhiteNoise()), ens)
        nengo.Probe(nengo.Node(Count(), size_out=1))
        nengo.Probe(ens.neurons, sample_every=0.002)
        nengo.Probe(ens)
    return net


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("has_long_chunks", [True, False], ids=["long chunks", "single steps"])
def test_a_run(engine, has_long_chunks, monkeypatch):
    for name in ("CHUNK_SECONDS", "WORTH_IT", "LEAST_WORTH_IT", "LONGEST"):
        monkeypatch.setattr(batch_engine, name, float(has_long_chunks))
    options = {"batch": 2, "seeds": [1, 2], "engine": engine, "threads": 1}
    with nengo_jit.Simulator(build(), **options) as sim:
        n = 1
        while interrupted(lambda: sim.run_steps(2), n, FILES):
            n += EVERY
        assert n > 200
        sim.run_steps(3)
        n_steps = sim.n_steps
        found = [np.array(sim.data[probe]) for probe in sim.model.probes]
    with nengo_jit.Simulator(build(), **options) as undisturbed:
        undisturbed.run_steps(n_steps)
        for array, probe in zip(found, undisturbed.model.probes, strict=True):
            np.testing.assert_array_equal(array, undisturbed.data[probe])
