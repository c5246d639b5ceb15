import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.converters import Leaky


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_the_voltage_follows_its_equation_on_all_simulators(reset):
    rng = np.random.RandomState(0)
    currents = rng.uniform(-0.5, 1.2, (40, 6))
    with nengo.Network(seed=0) as net:
        given = nengo.Node(nengo.processes.PresentInput(currents, 0.001))
        neuron_type = Leaky(beta=0.8, threshold=1.5, reset=reset)
        ensemble = nengo.Ensemble(
            6, 1, neuron_type=neuron_type, gain=np.ones(6), bias=np.full(6, 0.1)
        )
        nengo.Connection(given, ensemble.neurons, synapse=None)
        probes = [nengo.Probe(ensemble.neurons), nengo.Probe(ensemble.neurons, "voltage")]
    voltage, expected = np.zeros(6), []
    for current in currents:
        spiked = voltage > 1.5
        voltage = 0.8 * np.where(spiked & (reset == "zero"), 0.0, voltage) + current + 0.1
        voltage = voltage - np.where(spiked & (reset == "subtract"), 1.5, 0.0)
        expected.append([voltage > 1.5, voltage])
    spikes, voltages = (np.array(each, float) for each in zip(*expected))
    assert 0.05 < spikes.mean() < 0.95
    for simulator in (
        nengo.Simulator(net),
        nengo_jit.Simulator(net),
        nengo_jit.Simulator(net, engine="reference"),
    ):
        with simulator:
            simulator.run_steps(40)
            np.testing.assert_array_equal(simulator.data[probes[0]], spikes)
            np.testing.assert_allclose(simulator.data[probes[1]], voltages, rtol=1e-12, atol=1e-14)
