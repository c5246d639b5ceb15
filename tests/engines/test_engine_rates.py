"""Steady rates on an engine: those that nengo finds, whatever the number of threads."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines import ENGINES, backend_class
from nengo_jit.engines.rates import OnEngine
from nengo_jit.neurons.rates import RateBackend, rates
from nengo_jit.options import Options
from nengo_jit.settings import settings_held

NEURONS = [
    nengo.Izhikevich(),
    nengo.Izhikevich(tau_recovery=0.1, coupling=0.26, reset_voltage=-50, reset_recovery=2),
    nengo.Izhikevich(tau_recovery=0.02, coupling=0.25, reset_recovery=2),
]
BY_FORMULA = [
    nengo.LIF(tau_rc=0.03),
    nengo.LIFRate(tau_ref=0.001, amplitude=0.3),
    nengo.AdaptiveLIF(),
    nengo.AdaptiveLIFRate(inc_n=0.02),
    nengo.RectifiedLinear(amplitude=2),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.PoissonSpiking(nengo.LIFRate()),
]


@pytest.mark.parametrize("neurons", NEURONS, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_rates_are_nengos(engine, neurons):
    rng = np.random.RandomState(0)
    x, gain, bias = rng.randn(30, 20), 20 * rng.rand(20), 10 * rng.randn(20)
    method = OnEngine(backend_class(engine)(Options(threads=1)).builder)
    expected = neurons.rates(x, gain, bias)
    np.testing.assert_array_equal(rates(neurons, x, gain, bias, method), expected)


@pytest.mark.parametrize("neurons", BY_FORMULA, ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_rates_by_formula(engine, neurons):
    rng = np.random.RandomState(0)
    x, gain, bias = rng.uniform(-1, 1, (300, 40)), 3 * rng.rand(40), 2 * rng.randn(40)
    x[0], gain[0], bias[0] = 0.0, 1.0, 1.0  # at the threshold
    with np.errstate(all="ignore"):
        expected = neurons.rates(x, gain, bias)
    method = OnEngine(backend_class(engine)(Options(threads=2)).builder)
    ours = rates(neurons, x, gain, bias, method)
    np.testing.assert_allclose(ours, expected, rtol=1e-13)
    assert np.count_nonzero(ours) > 1000
    assert rates(neurons, x, gain, bias, method, in_place=True) is x
    np.testing.assert_array_equal(x, ours)


def test_neurons_settle_in_any_number():
    method = OnEngine(backend_class()(Options()))
    for n in (1, 7, 256, 300, 513):
        J = np.linspace(-40, 40, n)[:, np.newaxis]
        ours = rates(nengo.Izhikevich(), J, np.ones(1), np.zeros(1), method)
        expected = nengo.Izhikevich().rates(J, np.ones(1), np.zeros(1))
        np.testing.assert_array_equal(ours, expected)


def test_neurons_settle_on_the_engine_whatever_the_precision_of_the_model(monkeypatch):
    monkeypatch.setattr(RateBackend, "compute", None)
    J, neurons = np.linspace(-40, 40, 30)[:, np.newaxis], nengo.Izhikevich()
    method = OnEngine(backend_class()(Options(threads=1)))
    with settings_held(np.dtype("float32")):
        ours = rates(neurons, J, np.ones(1), np.zeros(1), method)
    np.testing.assert_array_equal(ours, neurons.rates(J, np.ones(1), np.zeros(1)))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("bits", [32, 64])
def test_decoders_of_a_simulator_are_nengos(bits, threads):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(20, 1, neuron_type=nengo.Izhikevich(), max_rates=[80] * 20)
        conn = nengo.Connection(ens, ens)
    before = nengo.rc.get("precision", "bits")
    nengo.rc.set("precision", "bits", str(bits))
    try:
        model = nengo.builder.Model()
        model.build(net)
        with nengo_jit.Simulator(net, progress_bar=False, threads=threads) as sim:
            ours, nengos = sim.data[conn].weights, model.params[conn].weights
            np.testing.assert_allclose(ours, nengos, rtol=1e-9 if bits == 64 else 1e-5)
            np.testing.assert_array_equal(sim.data[ens].gain, model.params[ens].gain)
    finally:
        nengo.rc.set("precision", "bits", before)
