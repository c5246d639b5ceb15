"""Every benchmark model: the same parameters and the same probe data as nengo's, bit for bit."""

import sys
from pathlib import Path

import nengo
import numpy as np
import pytest

import nengo_jit

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from models import MODELS

N_STEPS = 1000


def relative_error(ours, theirs) -> float:
    scale = np.abs(theirs).max(initial=0)
    return np.abs(ours - theirs).max(initial=0) / (scale or 1)


def decoding(data, probe):
    """The connection by which a probe decodes a value; None if it does not."""
    connections = (obj for obj in data if isinstance(obj, nengo.Connection))
    return next((conn for conn in connections if conn.post_obj is probe), None)


def assert_same_parameters(sim, network, reference, reference_network) -> bool:
    """Check every array of every object; tell whether all of them are bit-equal."""
    exact = True
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
            a, b = getattr(mine, field), getattr(theirs, field)
            if not isinstance(b, np.ndarray):
                continue
            if field == "weights":  # the only ones that are solved for, not drawn
                assert relative_error(a, b) <= 1e-9, (obj, field)
                exact = exact and np.array_equal(a, b)
            else:
                assert np.array_equal(a, b), (obj, field)
    return exact


@pytest.mark.parametrize("name", MODELS)
def test_model_is_nengos(name):
    # A network of its own for each simulator, since node functions may keep state.
    network, reference_network = MODELS[name](), MODELS[name]()
    with (
        nengo_jit.Simulator(network, engine="reference") as sim,
        nengo.Simulator(reference_network, optimize=False) as reference,
    ):
        exact = assert_same_parameters(sim, network, reference, reference_network)
        sim.run_steps(N_STEPS)
        reference.run_steps(N_STEPS)
        for mine, other in zip(network.all_probes, reference_network.all_probes):
            a, b = sim.data[mine], reference.data[other]
            assert a.shape == b.shape
            if exact:
                assert np.array_equal(a, b)
            else:  # solved parameters that differ by rounding part the spikes in the end
                assert relative_error(a[:10], b[:10]) < 1e-6
