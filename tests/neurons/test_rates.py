"""Steady rates: nengo's, to the bit, for the types that have formulas, and by nengo for others."""

import nengo
import numpy as np
import pytest
from nengo.neurons import LIFRate, NeuronType

from nengo_jit.neurons import Formula, register
from nengo_jit.neurons.rates import (
    RateBackend,
    gain_bias,
    known_rates,
    max_rates_intercepts,
    rates,
)

SETTLING = [
    nengo.Izhikevich(),
    nengo.Izhikevich(tau_recovery=0.1, coupling=0.26, reset_voltage=-50, reset_recovery=2),
]
NEURONS = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.05, tau_ref=0, min_voltage=-1, amplitude=0.3),
    nengo.LIFRate(amplitude=0.3),
    nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.1, tau_rc=0.05, amplitude=0.3),
    nengo.AdaptiveLIFRate(tau_n=0.1, tau_ref=0.001, amplitude=0.3),
    nengo.RectifiedLinear(amplitude=0.3),
    nengo.SpikingRectifiedLinear(amplitude=0.3),
    nengo.Sigmoid(tau_ref=0.01),
    nengo.Tanh(tau_ref=0.01),
    nengo.RegularSpiking(nengo.Tanh(), amplitude=0.3),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.RectifiedLinear()),
    *SETTLING,
]

all_neurons = pytest.mark.parametrize("neurons", NEURONS, ids=str)


class MyRate(nengo.RectifiedLinear):
    """Not exactly nengo's."""


class MyLIF(nengo.LIF):
    """Fires at a rate of its own."""

    def rates(self, x, gain, bias):
        return np.full(x.shape, 7.0)


def tuning(n_points, n_neurons, scale=1.0, seed=0):
    rng = np.random.RandomState(seed)
    x = rng.uniform(-2, 2, (n_points, n_neurons))
    x[0] = 0.0
    return x, scale * rng.uniform(0.5, 20, n_neurons), scale * rng.uniform(-10, 10, n_neurons)


@all_neurons
def test_rates_are_nengos(neurons):
    assert known_rates(neurons) is not None
    x, gain, bias = tuning(40, 30)
    np.testing.assert_array_equal(rates(neurons, x, gain, bias), neurons.rates(x, gain, bias))


def test_rates_of_many_neurons_are_nengos():
    x, gain, bias = tuning(3000, 400)
    expected = nengo.LIF().rates(x, gain, bias)
    np.testing.assert_array_equal(rates(nengo.LIF(), x, gain, bias), expected)


def test_rates_at_the_threshold():
    x = np.array([[0.0], [1.0], [np.nextafter(1, 2)], [np.nextafter(1, 0)], [1e300], [-1e300]])
    one, zero = np.ones(1), np.zeros(1)
    expected = nengo.LIF().rates(x, one, zero)
    np.testing.assert_array_equal(rates(nengo.LIF(), x, one, zero), expected)


def test_single_precision_is_taken_as_nengo_takes_it():
    x, gain, bias = (array.astype(np.float32) for array in tuning(20, 10))
    ours = rates(nengo.LIF(), x, gain, bias)
    assert ours.dtype == np.float64
    np.testing.assert_array_equal(ours, nengo.LIF().rates(x, gain, bias))


def test_what_is_not_known_exactly_is_asked(monkeypatch):
    x, gain, bias = tuning(4, 3)
    assert known_rates(MyLIF()) is None
    assert np.all(rates(MyLIF(), x, gain, bias) == 7.0)
    assert known_rates(nengo.RegularSpiking(MyRate())) is None
    monkeypatch.setattr(LIFRate, "step", lambda self, dt, J, output: output.fill(9.0))
    assert known_rates(nengo.LIF()) is None  # its rates call LIFRate.step
    assert np.all(rates(nengo.LIF(), x, gain, bias) == 9.0)


def test_rates_of_a_formula_without_them_are_nengos():
    class Doubled(NeuronType):
        def step(self, dt, J, output):
            output[...] = 2 * J

    register(Formula(name="doubled", neuron_type=Doubled, step=lambda J, dt: (2.0 * J,)))
    x, gain, bias = tuning(4, 3)
    assert known_rates(Doubled()) is None
    np.testing.assert_array_equal(rates(Doubled(), x, gain, bias), Doubled().rates(x, gain, bias))


@all_neurons
def test_gains_and_biases_are_nengos(neurons):
    rng = np.random.RandomState(0)
    max_rates, intercepts = rng.uniform(60, 90, 20), rng.uniform(-0.4, 0.4, 20)
    ours, nengos = (
        find(max_rates, intercepts)
        for find in (lambda *args: gain_bias(neurons, *args), neurons.gain_bias)
    )
    np.testing.assert_array_equal(ours, nengos)
    np.testing.assert_array_equal(
        max_rates_intercepts(neurons, *ours), neurons.max_rates_intercepts(*nengos)
    )


@all_neurons
def test_rates_are_computed_by_who_is_asked_to(neurons):
    shapes = []

    class Counting(RateBackend):
        def compute(self, *args):
            shapes.append(args[-1].shape)
            return super().compute(*args)

    x, gain, bias = tuning(5, 4)
    expected = rates(neurons, x, gain, bias)
    np.testing.assert_array_equal(rates(neurons, x, gain, bias, Counting()), expected)
    assert shapes == [(5, 4)]


@all_neurons
def test_rates_in_place_have_the_same_bits(neurons):
    rng = np.random.RandomState(0)
    x, gain, bias = rng.uniform(-1, 1, (70, 50)), rng.uniform(1, 5, 50), rng.uniform(-1, 5, 50)
    expected, place = rates(neurons, x, gain, bias), x.copy()
    assert rates(neurons, place, gain, bias, in_place=True) is place
    np.testing.assert_array_equal(place, expected)
