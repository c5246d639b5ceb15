"""Populations of one user's type with equal parameters, which run as one tape."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.builder.neurons import SimNeurons


class Leaky(nengo.neurons.NeuronType):
    """With a state, a mask, and an attribute that is no parameter."""

    state = {"voltage": nengo.dists.Uniform(0, 1)}

    def __init__(self, tau=0.02):
        super().__init__()
        self.tau = tau

    def gain_bias(self, max_rates, intercepts):
        return np.ones_like(max_rates), np.linspace(-1, 1, len(max_rates))

    def max_rates_intercepts(self, gain, bias):
        return np.ones_like(gain), np.zeros_like(gain)

    def step(self, dt, J, output, voltage):
        voltage += dt / self.tau * (J - voltage)
        high = voltage > 0.5
        voltage[high] = np.exp(-voltage[high])
        output[...] = np.tanh(voltage) * 3


class Centred(Leaky):
    """Depends on all neurons."""

    def step(self, dt, J, output, voltage):
        super().step(dt, J, output, voltage)
        output -= output.mean()


class Shared(Leaky):
    """Depends on how many neurons there are."""

    def step(self, dt, J, output, voltage):
        super().step(dt, J, output, voltage)
        output /= len(J)


class Numbered(Leaky):
    """Depends on the index of the neuron."""

    def step(self, dt, J, output, voltage):
        super().step(dt, J, output, voltage)
        output *= np.arange(len(J))


class Raising(Leaky):
    """Overflows in Python, which is an error in a step."""

    def step(self, dt, J, output, voltage):
        voltage += J
        output[...] = np.sqrt(voltage)


def network(kinds, sizes=None, between=None):
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: np.sin(30 * t))
        for i, kind in enumerate(kinds):
            ens = nengo.Ensemble(sizes[i] if sizes else 20, 1, neuron_type=kind)
            nengo.Connection(stim, ens, synapse=None)
            nengo.Probe(ens.neurons)
            nengo.Probe(ens.neurons, "voltage")
        if between is not None:
            nengo.Node(between)
    return net


def data_of(net, change=None, **options):
    with nengo_jit.Simulator(net, progress_bar=False, **options) as sim:
        for i in range(3):
            if change is not None:
                change(i)
            sim.run_steps(150)
        leaders = [each for each in sim._engine.callbacks if len(each.members) > 1]
        assert not any(each.wrong for each in sim._engine.callbacks)
        return [sim.data[probe].tobytes() for probe in net.all_probes], leaders


def check(make, n_led, change=lambda net: None):
    """Check that data are those of Python, and how many populations one tape computes."""
    net = make()
    ours, leaders = data_of(net, change(net))
    assert [len(each.members) for each in leaders] == n_led
    net = make()
    theirs, _ = data_of(net, change(net), compile_python=False)
    assert ours == theirs


@pytest.mark.parametrize("bits", ["64", "32"])
def test_equal_populations_run_as_one(bits):
    before = nengo.rc.get("precision", "bits")
    nengo.rc.set("precision", "bits", bits)
    try:
        check(lambda: network([Leaky() for _ in range(6)]), [6])
    finally:
        nengo.rc.set("precision", "bits", before)


def test_they_may_share_the_type_and_have_other_sizes():
    kind = Leaky()
    check(lambda: network([kind] * 4, [20, 20, 3, 1]), [4])


def test_other_parameters_run_apart():
    check(lambda: network([Leaky(), Leaky(), Leaky(0.1), Leaky(0.1)]), [2, 2])


@pytest.mark.parametrize("kind", [Centred, Shared, Numbered])
def test_neurons_that_depend_on_others_run_apart(kind):
    check(lambda: network([kind() for _ in range(3)]), [])


def test_an_attribute_of_one_is_changed_between_runs():
    def change(net):
        def between(i):
            if i == 1:
                net.ensembles[2].neuron_type.__dict__["tau"] = 0.5

        return between

    check(lambda: network([Leaky() for _ in range(3)]), [2], change)


def test_an_attribute_of_one_is_changed_in_a_run():
    def make():
        kinds = [Leaky() for _ in range(3)]

        def between(t):
            kinds[1].__dict__["tau"] = 0.5 if t > 0.2 else 0.02
            str(t)

        return network(kinds, between=between)

    net = make()
    ours, _ = data_of(net)
    theirs, _ = data_of(make(), compile_python=False)
    assert ours == theirs


@pytest.mark.parametrize("which", [0, 1])
def test_the_type_of_one_is_replaced(which):
    def run(**options):
        net = network([Leaky() for _ in range(3)])
        with nengo_jit.Simulator(net, progress_bar=False, **options) as sim:
            sim.run_steps(150)
            operators = [each for each in sim.model.operators if isinstance(each, SimNeurons)]
            operators[which].neurons = Leaky(0.1)
            for _ in range(3):
                sim.run_steps(50)
            return [sim.data[probe].tobytes() for probe in net.all_probes]

    assert run() == run(compile_python=False)


def test_a_reset_begins_anew():
    net = network([Leaky() for _ in range(3)])
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(200)
        first = [sim.data[probe].copy() for probe in net.all_probes]
        sim.reset()
        sim.run_steps(200)
        for before, probe in zip(first, net.all_probes):
            assert before.tobytes() == sim.data[probe].tobytes()


@pytest.mark.filterwarnings("ignore")
def test_an_error_names_the_population():
    def message(**options):
        net = network([Raising() for _ in range(3)])
        net.ensembles[1].bias = np.full(20, -1e-2)
        for each in (net.ensembles[0], net.ensembles[2]):
            each.bias = np.full(20, 2.0)
        for each in net.ensembles:
            each.gain = np.full(20, 1e-3)
        with nengo_jit.Simulator(net, progress_bar=False, **options) as sim:
            with pytest.raises(Exception) as caught:
                sim.run_steps(150)
            names = [
                f"{i}" for i, each in enumerate(net.ensembles) if str(each) in str(notes(caught))
            ]
            return type(caught.value), sim.n_steps, names

    def notes(caught):
        return [str(caught.value), *getattr(caught.value, "__notes__", [])]

    assert message() == message(compile_python=False)
