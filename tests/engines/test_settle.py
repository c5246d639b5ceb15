"""Settling on an engine: the very rates that nengo finds, whatever the number of threads."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines import ENGINES, engine_class
from nengo_jit.engines.settle import POPULATION, settle_on
from nengo_jit.neurons.rates import rates

NEURONS = [
    nengo.Izhikevich(),
    nengo.Izhikevich(tau_recovery=0.1, coupling=0.26, reset_voltage=-50, reset_recovery=2),
    nengo.Izhikevich(tau_recovery=0.02, coupling=0.25, reset_recovery=2),
]


@pytest.mark.parametrize("neurons", NEURONS, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_rates_are_nengos(engine, neurons):
    rng = np.random.RandomState(0)
    x, gain, bias = rng.randn(30, 20), 20 * rng.rand(20), 10 * rng.randn(20)
    settle = settle_on(engine_class(engine), threads=1)
    expected = neurons.rates(x, gain, bias)
    np.testing.assert_array_equal(rates(neurons, x, gain, bias, settle), expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_neurons(threads):
    J = np.linspace(-40, 40, 2 * POPULATION + 10)[:, np.newaxis]
    settle = settle_on(engine_class(None), threads)
    ours = rates(nengo.Izhikevich(), J, np.ones(1), np.zeros(1), settle)
    chosen = slice(None, None, 97)
    expected = nengo.Izhikevich().rates(J[chosen], np.ones(1), np.zeros(1))
    np.testing.assert_array_equal(ours[chosen], expected)


@pytest.mark.parametrize("bits", [32, 64])
def test_decoders_of_a_simulator_are_nengos(bits):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(20, 1, neuron_type=nengo.Izhikevich(), max_rates=[80] * 20)
        conn = nengo.Connection(ens, ens)
    before = nengo.rc.get("precision", "bits")
    nengo.rc.set("precision", "bits", str(bits))
    try:
        model = nengo.builder.Model()
        model.build(net)
        with nengo_jit.Simulator(net, progress_bar=False) as sim:
            ours, nengos = sim.data[conn].weights, model.params[conn].weights
            np.testing.assert_allclose(ours, nengos, rtol=1e-9 if bits == 64 else 1e-5)
            np.testing.assert_array_equal(sim.data[ens].gain, model.params[ens].gain)
    finally:
        nengo.rc.set("precision", "bits", before)
