"""What `freeze_params` and `to_spikes` refuse leaves networks as they were."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_jit.training import Trainer, to_spikes


def network(n_neurons=10, transform=None, neuron_type=None):
    with nengo.Network(seed=0) as net:
        given = nengo.Node(np.zeros(2), label="given")
        neuron_type = nengo.RectifiedLinear() if neuron_type is None else neuron_type
        first = nengo.Ensemble(5, 2, label="first", neuron_type=neuron_type)
        ensemble = nengo.Ensemble(n_neurons, 2, label="second", neuron_type=neuron_type)
        options = {} if transform is None else {"transform": transform}
        nengo.Connection(given, first)
        nengo.Connection(given, ensemble, **options)
    return net


@pytest.mark.parametrize(
    "other, message",
    [
        (network(n_neurons=11), "'second'.* in place of .*'second'"),
        (network(transform=np.eye(2)), "given.* in place of .*given"),
        (nengo.Network(), "None in place of .*'first'"),
        (3, "Must be a nengo"),
    ],
)
def test_a_network_of_other_objects_is_not_changed(other, message):
    trainer = Trainer(network())
    with pytest.raises(ValidationError, match=message):
        trainer.freeze_params(other)
    for ensemble in getattr(other, "ensembles", ()):
        assert ensemble.seed is None
        assert not isinstance(ensemble.gain, np.ndarray)


def test_a_network_that_has_changed_since_is_not_frozen():
    net = network()
    trainer = Trainer(net)
    with net:
        nengo.Ensemble(5, 1, label="new")
    with pytest.raises(ValidationError, match=r"'new'.* in place of .*given"):
        trainer.freeze_params()
    assert all(ensemble.seed is None for ensemble in net.ensembles)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"swap": {nengo.RectifiedLinear: nengo.LIF}}, "swap: .*LIF.* are no neurons"),
        ({"swap": {nengo.RectifiedLinear(): nengo.LIF()}}, "swap: .* is no type of neurons"),
        ({"swap": {int: nengo.LIF()}}, "swap: .*int.* is no type of neurons"),
        ({"scale_firing_rates": np.nan}, "Must be positive and finite"),
        ({"scale_firing_rates": 10.0}, "gain of .*'second'.* is not known"),
    ],
)
def test_neurons_that_cannot_be_swapped_are_left_alone(options, message):
    net = network()
    net.ensembles[0].gain, net.ensembles[0].bias = np.ones(5), np.zeros(5)
    with pytest.raises(ValidationError, match=message):
        to_spikes(net, **options)
    for ensemble in net.ensembles:
        assert type(ensemble.neuron_type) is nengo.RectifiedLinear
    assert (net.ensembles[0].gain == 1).all()


def test_a_frozen_network_can_be_trained_and_frozen_again():
    net = network()
    first, second = net.ensembles
    with net:
        nengo.Connection(first, second, transform=-0.5)
        nengo.Connection(first, second, transform=[[0.5, 1.0], [0.0, 2.0]])
        nengo.Connection(first, second)
        nengo.Probe(second, synapse=0.01, label="result")
    trainer = Trainer(net)
    expected = trainer.params
    for _ in range(2):
        trainer.freeze_params()
        trainer = Trainer(net)
        assert trainer.params.keys() == expected.keys()
        for name, each in trainer.params.items():
            np.testing.assert_allclose(each, expected[name], rtol=1e-9, atol=1e-12)
    nengo.Simulator(net, progress_bar=False).close()
