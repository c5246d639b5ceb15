import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoWarning, ValidationError

from nengo_jit import Simulator
from nengo_jit.training import to_spikes


def outputs(net, probe, n_steps=400):
    with Simulator(net, progress_bar=False) as sim:
        sim.run_steps(n_steps)
    return sim.data[probe]


def network(neuron_type):
    with nengo.Network(seed=0) as net:
        source = nengo.Node([0.7, -0.2])
        first = nengo.Ensemble(
            20, 2, neuron_type=neuron_type, gain=np.full(20, 50.0), bias=np.full(20, 20.0)
        )
        nengo.Connection(source, first)
        probe = nengo.Probe(first.neurons, synapse=0.05)
    return net, first, probe


def test_rate_neurons_get_their_spiking_counterpart_with_all_parameters():
    types = [
        nengo.LIFRate(tau_rc=0.03, tau_ref=0.001, amplitude=0.5),
        nengo.AdaptiveLIFRate(tau_n=0.2, inc_n=0.02, tau_rc=0.03, tau_ref=0.001, amplitude=2),
        nengo.RectifiedLinear(0.3),
        nengo.Tanh(0.01),
        nengo.LIF(),
    ]
    with nengo.Network() as net:
        ensembles = [nengo.Ensemble(4, 1, neuron_type=each) for each in types]
    to_spikes(net)
    found = [each.neuron_type for each in ensembles]
    assert found == [
        nengo.LIF(tau_rc=0.03, tau_ref=0.001, amplitude=0.5),
        nengo.AdaptiveLIF(tau_n=0.2, inc_n=0.02, tau_rc=0.03, tau_ref=0.001, amplitude=2),
        nengo.SpikingRectifiedLinear(0.3),
        nengo.RegularSpiking(nengo.Tanh(0.01)),
        nengo.LIF(),
    ]


def test_the_user_chooses_types():
    net, first, _ = network(nengo.LIFRate())
    to_spikes(net, {nengo.LIFRate: nengo.PoissonSpiking(nengo.LIFRate())})
    assert first.neuron_type == nengo.PoissonSpiking(nengo.LIFRate())
    to_spikes(net, {})
    assert first.neuron_type == nengo.PoissonSpiking(nengo.LIFRate())


def test_more_spikes_of_less_height_have_the_same_mean_and_less_noise():
    net, first, probe = network(nengo.RectifiedLinear(0.1))
    expected = outputs(net, probe)
    errors = []
    for scale in (1, 20):
        net, first, probe = network(nengo.RectifiedLinear(0.1))
        to_spikes(net, scale_firing_rates=scale)
        assert first.neuron_type == nengo.SpikingRectifiedLinear(0.1 / scale)
        errors.append(abs(outputs(net, probe) - expected)[200:].max())
    assert errors[1] < errors[0] / 5
    assert errors[1] < 0.05 * expected.max()


def test_what_cannot_be_scaled_is_named():
    with nengo.Network() as net:
        nengo.Ensemble(4, 1, neuron_type=nengo.RectifiedLinear(), label="unknown")
    with pytest.raises(ValidationError, match=r"gain of .*unknown.* is not known"):
        to_spikes(net, scale_firing_rates=2)
    with pytest.raises(ValidationError, match="positive"):
        to_spikes(net, scale_firing_rates=0)
    net, first, _ = network(nengo.LIFRate())
    with pytest.warns(NengoWarning, match="not proportional"):
        to_spikes(net, scale_firing_rates=2)
    assert first.neuron_type == nengo.LIF(amplitude=0.5)
