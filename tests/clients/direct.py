"""What clients do with simulators and their own tests do not cover, or not with values.

Run by ``run_clients.py`` on either simulator; results must be those of nengo's.
"""

from collections.abc import Callable
from unittest import mock

import nengo
import nengo_loihi
import numpy as np
import pytest
from nengo_extras.simulators import RealTimeSimulator
from nengolib.neurons import init_lif


@pytest.fixture
def network():
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: np.sin(6 * t))
        net.ens = nengo.Ensemble(30, 1)
        net.out = nengo.Node(size_in=1)
        nengo.Connection(stim, net.ens)
        nengo.Connection(net.ens, net.out)
        net.probe = nengo.Probe(net.out, synapse=0.01)
        net.spikes = nengo.Probe(net.ens.neurons)
    return net


def assert_same_on_nengo(run: Callable[[], np.ndarray]) -> None:
    """The simulator under test and nengo's give the same, and not nothing."""
    result = run()
    with mock.patch.object(nengo, "Simulator", nengo.simulator.Simulator):
        expected = run()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(result, expected, atol=1e-9)


@pytest.mark.parametrize("rng", [None, 3])
def test_init_lif(network, rng):
    def run():
        with nengo.Simulator(network, seed=4, optimize=False, progress_bar=False) as sim:
            generator = None if rng is None else np.random.RandomState(rng)
            init_lif(sim, network.ens, x0=[0.3], rng=generator)
            sim.run(0.1)
            return sim.data[network.spikes]

    assert_same_on_nengo(run)


@pytest.mark.filterwarnings("ignore:RealTimeSimulator is running slower")
def test_real_time_simulator(network):
    with RealTimeSimulator(network, optimize=False, progress_bar=False) as sim:
        assert isinstance(sim, nengo.Simulator)
        assert sim.start_time is None
        sim.run(0.05)
        assert sim.start_time is not None
        in_real_time = sim.data[network.probe]
        sim.reset()
        assert sim.start_time is None
    with nengo.Simulator(network, optimize=False, progress_bar=False) as sim:
        sim.run(0.05)
        assert np.array_equal(in_real_time, sim.data[network.probe])


@pytest.mark.parametrize("precompute", [False, True])
def test_host_of_loihi(network, precompute):
    def run():
        with nengo_loihi.Simulator(network, target="sim", precompute=precompute, seed=2) as sim:
            hosts = [host for host in sim.sims.values() if isinstance(host, nengo.Simulator)]
            assert len(hosts) == 1 + precompute
            sim.run(0.1)
            assert all(host.n_steps == 100 for host in hosts)
            return sim.data[network.probe]

    assert_same_on_nengo(run)
