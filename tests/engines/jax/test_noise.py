"""Random numbers from the device: distributed as nengo's, and reproducible."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_jit


def run(net, n_steps=(4000,), seed=5, engine="jax", noise="fast"):
    """Samples of each probe; steps that need Python are an error."""
    with nengo_jit.Simulator(net, engine=engine, noise=noise, seed=seed, progress_bar=False) as sim:
        assert noise is None or not sim.plan.in_python
        for n in n_steps:
            sim.run_steps(n)
        return [sim.data[probe] for probe in net.all_probes]


def processes(*dists, scale=True):
    with nengo.Network(seed=1) as net:
        for dist in dists:
            process = nengo.processes.WhiteNoise(dist, scale=scale)
            nengo.Probe(nengo.Node(process, size_out=3))
    return net


@pytest.mark.parametrize("scale", [True, False])
def test_white_noise(scale):
    net = processes(nengo.dists.Gaussian(0.5, 2), nengo.dists.Uniform(-1, 3), scale=scale)
    factor = 1 / np.sqrt(0.001) if scale else 1
    for samples, mean, std in zip(run(net), (0.5, 1.0), (2.0, 4 / np.sqrt(12)), strict=True):
        samples = samples / factor
        error = std / np.sqrt(samples.size)  # of the mean; here and below, five of these
        assert abs(samples.mean() - mean) < 5 * error
        assert abs(samples.std() - std) < 5 * error
        correlations = np.corrcoef(np.vstack([samples[:-1].T, samples[1:].T]))
        assert np.abs(correlations - np.eye(6)).max() < 5 / np.sqrt(len(samples))
    assert -1 <= samples.min() < -0.95 and 2.95 < samples.max() <= 3


def test_filtered_noise():
    with nengo.Network(seed=1) as net:
        process = nengo.processes.FilteredNoise(nengo.Lowpass(0.01), seed=3)
        nengo.Probe(nengo.Node(process, size_out=50))
    (fast,), (reference,) = run(net), run(net, engine="reference", noise=None)
    assert abs(fast[100:].std() / reference[100:].std() - 1) < 0.05
    lags = [np.mean(x[100:-10] * x[110:]) / x[100:].var() for x in (fast, reference)]
    assert abs(lags[0] - lags[1]) < 0.05  # exp(-1), about


@pytest.mark.parametrize("kind", [nengo.StochasticSpiking, nengo.PoissonSpiking])
@pytest.mark.parametrize("base", [nengo.LIFRate(), nengo.Tanh()])
def test_spikes(kind, base):
    with nengo.Network(seed=1) as net:
        for n in (40, 41):
            ens = nengo.Ensemble(n, 1, neuron_type=kind(base))
            nengo.Connection(nengo.Node(0.4), ens)
            nengo.Probe(ens.neurons)
    for fast, reference in zip(run(net), run(net, engine="reference", noise=None), strict=True):
        rates, expected = fast.mean(axis=0), reference.mean(axis=0)
        error = np.sqrt(np.abs(expected) * 4000 * 0.001 + 1) / (4000 * 0.001)
        assert (np.abs(rates - expected) < 8 * error).all()
        ratio = fast.var(axis=0).mean() / reference.var(axis=0).mean()
        assert 0.95 < ratio < 1.05


def test_numbers_depend_on_seed_operator_and_step():
    net = processes(nengo.dists.Gaussian(0, 1), nengo.dists.Gaussian(0, 1))
    first, second = run(net, (300,))
    assert np.abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 0.3
    for n_steps in ((300,), (7, 293), (1, 1, 298)):
        np.testing.assert_array_equal(run(net, n_steps)[0], first)
    assert (run(net, (300,), seed=6)[0] != first).all()


def test_numbers_do_not_depend_on_other_operators():
    def make(others):
        with nengo.Network(seed=1) as net:
            process = nengo.processes.WhiteNoise(seed=8)
            nengo.Probe(nengo.Node(process, size_out=2))
            for each in range(others):
                nengo.Node(nengo.processes.WhiteNoise(seed=each), size_out=2)
        return net

    alone, among = run(make(0), (50,))[0], run(make(3), (50,))[0]
    np.testing.assert_array_equal(alone, among)


def test_numbers_are_the_same_beside_calls_of_python():
    def make(is_impure):
        with nengo.Network(seed=1) as net:
            nengo.Probe(nengo.Node(nengo.processes.WhiteNoise(seed=8), size_out=2))
            ens = nengo.Ensemble(20, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
            nengo.Probe(ens.neurons)
            if is_impure:
                calls = []
                nengo.Node(lambda t: calls.append(t))
        return net

    samples = []
    for is_impure in (False, True):
        net = make(is_impure)
        with nengo_jit.Simulator(
            net, engine="jax", noise="fast", progress_bar=False, seed=1
        ) as sim:
            sim.run_steps(40)
            assert len(sim.plan.in_python) == is_impure
            samples.append([sim.data[probe] for probe in net.all_probes])
    for alone, beside in zip(*samples, strict=True):
        np.testing.assert_array_equal(alone, beside)


def test_runs_begin_again_after_a_reset():
    net = processes(nengo.dists.Gaussian(0, 1))
    with nengo_jit.Simulator(net, engine="jax", noise="fast", progress_bar=False, seed=1) as sim:
        sim.run_steps(20)
        before = sim.data[net.all_probes[0]].copy()
        sim.reset(seed=1)
        sim.run_steps(20)
        np.testing.assert_array_equal(sim.data[net.all_probes[0]], before)
        sim.reset(seed=2)
        sim.run_steps(20)
        assert (sim.data[net.all_probes[0]] != before).all()


def test_other_distributions_are_drawn_on_the_host():
    net = processes(nengo.dists.Exponential(1.0))
    np.testing.assert_array_equal(run(net, (50,))[0], run(net, (50,), noise=None)[0])


def test_other_engines_do_not_have_the_option():
    with pytest.raises(ValidationError, match="does not have this option"):
        nengo_jit.Simulator(nengo.Network(), engine="cpu", noise="fast")
