"""Every benchmark model: nengo's parameters and, with the same decoders, nengo's probe data."""

import sys
from pathlib import Path

import nengo
import numpy as np
import pytest
from comparing import simulators

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from models import MODELS

N_STEPS = 1000


def decoding(data, probe):
    """The connection by which a probe decodes a value; None if it does not."""
    connections = (obj for obj in data if isinstance(obj, nengo.Connection))
    return next((conn for conn in connections if conn.post_obj is probe), None)


def assert_same_parameters(sim, network, reference, reference_network):
    """Check every array of every object."""
    ours, nengos = (
        [*net.all_objects, *(decoding(data, probe) for probe in net.all_probes)]
        for net, data in ((network, sim.data), (reference_network, reference.data))
    )
    for obj, other in zip(ours, nengos):
        if obj is None or other is None:
            assert obj is other
            continue
        mine, theirs = sim.data[obj], reference.data[other]
        if isinstance(obj, nengo.Probe) or theirs is None:
            continue
        assert type(mine).__name__ == type(theirs).__name__
        for field in theirs._fields:
            if isinstance(getattr(theirs, field), np.ndarray):
                assert np.array_equal(getattr(mine, field), getattr(theirs, field)), (obj, field)


@pytest.mark.parametrize("name", MODELS)
def test_model_is_nengos(name):
    # A network of its own for each simulator, since node functions may keep state.
    network, reference_network = MODELS[name](), MODELS[name]()
    sim, reference = simulators(network, reference_network)
    with sim, reference:
        assert_same_parameters(sim, network, reference, reference_network)
        sim.run_steps(N_STEPS)
        reference.run_steps(N_STEPS)
        for mine, other in zip(network.all_probes, reference_network.all_probes):
            assert np.array_equal(sim.data[mine], reference.data[other])
