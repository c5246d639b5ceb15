"""LIF neurons as a kernel: its series, and what becomes of the product that makes currents."""

import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.dists import Choice, Uniform

from nengo_jit.builder import Model
from nengo_jit.builder.operator import ElementwiseInc
from nengo_jit.engines.cpu.kernels.lif import FINE, NEAR, TOGETHER, expm1_near_zero, log_near_one


def ulps(actual, expected):
    return np.abs(actual - expected) / np.spacing(np.abs(expected))


def test_series_are_as_good_as_the_functions():
    x = np.random.RandomState(0).uniform(-FINE, 0, 100_000)
    assert ulps(expm1_near_zero(x), np.expm1(x)).max() <= 4
    s = np.random.RandomState(1).uniform(-NEAR, NEAR, 100_000)
    assert ulps(log_near_one(s), np.log1p(2 * s / (1 - s))).max() <= 4


def test_steps_that_are_fine_do_not_overstep_the_series():
    """What is above the threshold at the end of a step has been below at its beginning."""
    drive = np.geomspace(1e-9, 1e9, 1000)
    above = drive * -np.expm1(-FINE)  # after a whole step from the threshold
    assert np.abs(above / (2 * drive - above)).max() < NEAR * 1.06


def build(net):
    model = Model()
    model.build(net)
    return model


def driven(**arguments):
    """Ensembles that are driven through a synapse, some of them larger than what is worked on."""
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: [np.sin(30 * t), 1])
        for n in (1, 50, 50, 9, TOGETHER + 100, 30):
            ensemble = nengo.Ensemble(n, 2, intercepts=Uniform(-1, 0.9), **arguments)
            nengo.Connection(stim, ensemble, synapse=0.01)
    return net


def compare(run_both, net, n_steps=60, threads=1):
    """Check that neurons are in the same state on both engines."""
    model = build(net)
    cpu, reference = run_both(model, n_steps, threads)
    for ensemble in net.ensembles:
        signals = model.sig[ensemble.neurons]
        for name in ("in", "out", "voltage", "refractory_time"):
            actual, expected = cpu.signals[signals[name]], reference.signals[signals[name]]
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("threads", [1, 3])
def test_currents_are_made_where_they_are_used(run_both, kernels_of, threads):
    compare(run_both, driven(), threads=threads)
    assert len(kernels_of("lif")) == 6
    assert not kernels_of("dot_columns")


@pytest.mark.filterwarnings("ignore")  # that gains determine rates
@pytest.mark.parametrize("bias, voltage", [(3.0, Uniform(-0.5, 1.9)), (-3.0, Choice([3.0]))])
@pytest.mark.parametrize("tau_rc", [0.02, 0.004])
def test_voltages_that_somebody_has_set(run_both, bias, voltage, tau_rc):
    neurons = nengo.LIF(tau_rc, initial_state={"voltage": voltage, "refractory_time": Choice([0])})
    net = driven(neuron_type=neurons, gain=Choice([1.0]), bias=Choice([bias]))
    compare(run_both, net, 4)


def test_currents_of_more_than_one_product_are_added_up_first(run_both, kernels_of):
    net = driven()
    with net:
        for ensemble in net.ensembles:
            weights = np.full((ensemble.n_neurons, 1), 0.1)
            nengo.Connection(nengo.Node(lambda t: t), ensemble.neurons, transform=weights)
    compare(run_both, net)
    assert len(kernels_of("dot_columns")) == 12


def test_currents_that_somebody_else_reads_are_made_in_time(run_both):
    net = driven()
    with net:
        probes = [nengo.Probe(ensemble.neurons, "input") for ensemble in net.ensembles]
        outs = [nengo.Node(size_in=each.n_neurons) for each in net.ensembles]
        for ensemble, out in zip(net.ensembles, outs):
            nengo.Connection(ensemble.neurons, out, synapse=None)
    model = build(net)
    cpu, reference = run_both(model, 60)
    for probe in probes:
        np.testing.assert_allclose(cpu.samples[probe], reference.samples[probe], rtol=1e-9)


def test_constant_currents_are_not_made_again(kernels_of):
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(50, 1)
        nengo.Connection(nengo.Node(0.5), ensemble, synapse=None)
    compiled(build(net), threads=1)
    assert [code.when for code in kernels_of("dot_columns")] == ["first"]


def test_what_is_updated_is_read_before_it_is(run_both):
    """A product of what a synapse puts out cannot wait until the synapse has gone on."""
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(
            40, 1, encoders=Choice([[1.0]]), bias=np.ones(40), gain=np.ones(40)
        )
        stim = nengo.Node(lambda t: np.sin(40 * t))
        nengo.Connection(stim, ensemble.neurons, transform=np.full((40, 1), 2.0), synapse=0.005)
    compare(run_both, net)


def with_terms(n):
    """Neurons whose currents have terms of all kinds besides what they represent."""
    rng = np.random.RandomState(1)
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: np.sin(30 * t + np.arange(n)))
        pre = nengo.Ensemble(n, 1, gain=rng.uniform(1, 2, n), bias=rng.uniform(0, 2, n))
        post = nengo.Ensemble(n, 1, gain=np.full(n, 1.5), bias=rng.uniform(0, 2, n))
        nengo.Connection(stim, pre.neurons, synapse=None)
        nengo.Connection(pre.neurons, pre.neurons, transform=-1e-3, synapse=0.02)
        nengo.Connection(pre.neurons, post.neurons, transform=rng.uniform(-2, 2, n) * 1e-3)
        nengo.Connection(post.neurons, post.neurons, transform=2e-3, synapse=0.02)
    return net


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n", [600, 2 * TOGETHER + 100])
def test_terms_are_added_where_they_are_used(run_both, kernels_of, n, threads):
    compare(run_both, with_terms(n), threads=threads)
    assert len(kernels_of("multiply_inc")) <= 1  # what is updated before the neurons' turn
    assert not kernels_of("dot_columns")


def test_terms_do_not_depend_on_threads(run_both):
    model = build(net := with_terms(2 * TOGETHER + 100))
    runs = [run_both(model, 60, threads)[0] for threads in (1, 2, 3)]
    for ensemble in net.ensembles:
        voltage = model.sig[ensemble.neurons]["voltage"]
        first, *others = (cpu.signals[voltage].tobytes() for cpu in runs)
        assert others == [first, first]


def test_gains_that_a_user_changes_count_from_the_next_step(run_both):
    model = build(net := with_terms(600))
    gain = next(op.A for op in model.operators if type(op) is ElementwiseInc and op.A.size == 600)
    cpu, reference = run_both(model, 20)
    for change in (2.0, np.linspace(0, 1, 600)):
        array = cpu.hand_out(gain)  # which both engines have
        array.setflags(write=True)
        array *= change
        for engine in (cpu, reference):
            engine.run(20)
        for ensemble in net.ensembles:
            voltage = model.sig[ensemble.neurons]["voltage"]
            assert np.allclose(cpu.signals[voltage], reference.signals[voltage], 1e-9)
