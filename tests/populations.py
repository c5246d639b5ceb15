"""Types of neurons, and what populations of them are given and begin with."""

import nengo
import numpy as np

DT = 0.002
N_NEURONS = 20
N_STEPS = 60
SEED = 12

DIRECT_TYPES = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.05, tau_ref=0.004, min_voltage=-1, amplitude=0.5),
    nengo.LIFRate(amplitude=2),
    nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.05),
    nengo.AdaptiveLIFRate(tau_n=0.1, inc_n=0.05),
    nengo.Izhikevich(),
    nengo.RectifiedLinear(amplitude=0.1),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(tau_ref=0.005),
    nengo.Tanh(tau_ref=0.005),
]


def type_name(neuron_type):
    return type(neuron_type).__name__


def random_currents():
    """Currents for each step, some below and some above the threshold."""
    return np.random.RandomState(1).uniform(-2, 20, (N_STEPS, N_NEURONS))


def fresh_state(neuron_type):
    """The initial state as it is drawn for a population whose seed is SEED."""
    rng = np.random.RandomState(SEED + 1)
    return neuron_type.make_state(N_NEURONS, rng=rng, dtype=nengo.rc.float_dtype)
