"""Neurons as kernels, compared with the reference engine."""

import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.dists import Uniform

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.kernels.neurons import kernel_of
from nengo_jit.engines.reference import ReferenceBackend
from nengo_jit.neurons.base import Formula, _formulas, formula_of, register, uniform
from nengo_jit.scalar import exp, expm1, maximum, where

N_STEPS = 300

TYPES = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.05, tau_ref=0.004, min_voltage=-1, amplitude=0.1),
    nengo.LIF(tau_rc=0.003),  # for which a step is long
    nengo.LIFRate(),
    nengo.AdaptiveLIF(),
    nengo.AdaptiveLIF(tau_n=0.2, inc_n=0.05, amplitude=0.5),
    nengo.AdaptiveLIFRate(),
    nengo.Izhikevich(),
    nengo.Izhikevich(reset_recovery=2, tau_recovery=0.1),
    nengo.RectifiedLinear(),
    nengo.RectifiedLinear(amplitude=2),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.RegularSpiking(nengo.Tanh(), amplitude=0.3),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.Tanh(), amplitude=2),
    nengo.StochasticSpiking(nengo.RectifiedLinear()),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.Tanh(), amplitude=2),
    nengo.PoissonSpiking(nengo.RectifiedLinear()),
]
RANDOM = [t for t in TYPES if isinstance(t, (nengo.StochasticSpiking, nengo.PoissonSpiking))]

every_type = pytest.mark.parametrize("neuron_type", TYPES, ids=str)
every_random_type = pytest.mark.parametrize("neuron_type", RANDOM, ids=str)


def network(neuron_type, rates=(50, 200)):
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: [np.sin(20 * t), np.cos(30 * t)])
        net.ens = nengo.Ensemble(
            101, 2, neuron_type=neuron_type, max_rates=Uniform(*rates), intercepts=Uniform(-1, 0.8)
        )
        nengo.Connection(stim, net.ens, synapse=None)
        net.output = nengo.Probe(net.ens.neurons)
        net.others = [
            nengo.Probe(net.ens.neurons, name)
            for name in neuron_type.probeable
            if name not in ("output", "input")
        ]
        if not isinstance(neuron_type, nengo.Izhikevich):  # nengo takes long to decode them
            net.others.append(nengo.Probe(net.ens, synapse=0.01))
    return net


def make_engine(engine_class, net, seed=0):
    model = Model()
    model.build(net)
    engine = compiled(model, engine_class)
    engine.reset(seed)
    return engine


def in_python(engine):
    """The neurons among what runs in Python."""
    return [each for each in engine.callbacks if "Neurons" in type(each.operator).__name__]


def rates_of(neuron_type):
    base = getattr(neuron_type, "base_type", neuron_type)
    return (260, 380) if isinstance(base, nengo.Sigmoid) else (50, 200)


def samples(engine, probe):
    return np.array(engine.samples[probe])


@every_type
def test_as_reference(neuron_type):
    net = network(neuron_type, rates_of(neuron_type))
    native, reference = (make_engine(cls, net) for cls in (CpuBackend, ReferenceBackend))
    native.run(N_STEPS)
    reference.run(N_STEPS)
    assert not in_python(native)
    got, want = samples(native, net.output), samples(reference, net.output)
    assert np.count_nonzero(want) > 100
    if neuron_type.spiking:
        np.testing.assert_array_equal(got != 0, want != 0)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
    for probe in net.others:
        got, want = samples(native, probe)[:30], samples(reference, probe)[:30]
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)


@every_type
def test_as_reference_in_single_precision(neuron_type):
    nengo.rc.set("precision", "bits", "32")
    net = network(neuron_type, rates_of(neuron_type))
    native, reference = (make_engine(cls, net) for cls in (CpuBackend, ReferenceBackend))
    native.run(30)
    reference.run(30)
    assert not in_python(native)
    got, want = samples(native, net.output), samples(reference, net.output)
    assert got.dtype == np.float32
    # A spike may come a step earlier or later.
    differs = ~np.isclose(got, want, rtol=1e-3, atol=1e-3)
    assert np.mean(differs) < 0.003


@pytest.mark.filterwarnings("ignore")  # that the gains determine the rates
@every_random_type
def test_high_rates(neuron_type):
    net = network(neuron_type)
    net.ens.gain, net.ens.bias = np.full(101, 8000.0), np.linspace(-8000, 40000, 101)
    native, reference = (make_engine(cls, net) for cls in (CpuBackend, ReferenceBackend))
    native.run(50)
    reference.run(50)
    assert not in_python(native)
    got, want = samples(native, net.output), samples(reference, net.output)
    np.testing.assert_allclose(got, want, rtol=1e-12)


@every_random_type
def test_the_generator_stays_with_the_model(neuron_type):
    """Engines take turns with it, and a reset does not rewind it."""
    net = network(neuron_type)
    models = [Model(), Model()]
    for model in models:
        model.build(net)
    turns = [CpuBackend, ReferenceBackend, CpuBackend], [ReferenceBackend] * 3
    runs = []
    for model, classes in zip(models, turns):
        engines = {cls: compiled(model, cls) for cls in set(classes)}
        outputs = []
        for cls in classes:
            engines[cls].reset(0)
            engines[cls].run(20)
            outputs.append(samples(engines[cls], net.output))
        runs.append(outputs)
    assert not np.array_equal(runs[0][0], runs[0][2])
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-12)


@every_random_type
def test_two_runs_equal_one_longer(neuron_type):
    net = network(neuron_type)
    whole, parts = (make_engine(CpuBackend, net) for _ in range(2))
    whole.run(20)
    parts.run(7)
    parts.run(13)
    np.testing.assert_array_equal(samples(whole, net.output), samples(parts, net.output))


class SignedRates(nengo.RectifiedLinear):
    """Says that it has no negative rates, but it has."""

    def step(self, dt, J, output):
        output[...] = J


def test_rates_that_numpy_refuses_raise_its_error():
    net = network(nengo.PoissonSpiking(SignedRates()))
    engine = make_engine(CpuBackend, net)
    with pytest.raises(ValueError, match="lam"):
        engine.run(10)


def test_a_generator_of_another_kind_runs_in_python():
    net = network(nengo.StochasticSpiking(nengo.LIFRate()))
    model = Model()
    model.build(net)
    for operator in model.operators:
        if getattr(operator, "state_extra", None):
            operator.state_extra["rng"] = np.random.RandomState(np.random.PCG64(0))
    assert len(in_python(compiled(model))) == 1


def test_every_formula_is_tested():
    ours = {each for each in _formulas if each.__module__.startswith("nengo.")}
    assert {type(each) for each in TYPES} == ours


def test_what_a_neuron_costs_depends_on_the_elementary_functions_of_its_formula():
    neurons = nengo.RectifiedLinear(), nengo.Sigmoid(), nengo.LIF(), nengo.AdaptiveLIF()
    cheap, with_exp, lif, with_lif_inside = (kernel_of(formula_of(each)).cost for each in neurons)
    assert cheap < with_exp < lif <= with_lif_inside


# Formulas of users


def gate(x, voltage, middle, slope, change):
    """A gate that opens and shuts with the voltage, after a step."""
    opened = 1.0 / (1.0 + exp((middle - voltage) / slope))
    return x + (opened - x) * change


def hodgkin_huxley_step(J, voltage, m, h, n, dt, capacity, leak):
    """Sodium and potassium channels, by exponential steps; returns the voltage as the output."""
    ms = dt * 1000.0
    m = gate(m, voltage, -40.0, 9.0, -expm1(-ms / 0.2))
    h = gate(h, voltage, -62.0, -7.0, -expm1(-ms / 4.0))
    n = gate(n, voltage, -53.0, 15.0, -expm1(-ms / 3.0))
    sodium, potassium = 120.0 * m * m * m * h, 36.0 * n * n * n * n
    conductance = sodium + potassium + leak
    resting = (sodium * 50.0 - potassium * 77.0 - leak * 54.4 + J) / conductance
    voltage = resting + (voltage - resting) * exp(-ms * conductance / capacity)
    return voltage, voltage, m, h, n


class OwnType(nengo.neurons.NeuronType):
    """A type for whose decoders nobody asks."""

    def rates(self, x, gain, bias):
        return np.maximum(0.0, self.current(x, gain, bias))


class HodgkinHuxley(OwnType):
    """Neurons with four states, of which one has the name of a size."""

    state = {
        "voltage": nengo.dists.Choice([-65.0]),
        "m": nengo.dists.Choice([0.05]),
        "h": nengo.dists.Choice([0.6]),
        "n": nengo.dists.Choice([0.3]),
    }
    probeable = ("output", "input", "voltage", "m", "h", "n")
    capacity, leak = 1.0, 0.3

    def step(self, dt, J, output, voltage, m, h, n):
        results = hodgkin_huxley_step(J, voltage, m, h, n, dt, self.capacity, self.leak)
        output[...], voltage[...], m[...], h[...], n[...] = results


def jittery_step(J, adaptation, low, drawn, dt, tau, jitter):
    """Rates that adapt, to what they are and to their lowest value, with noise."""
    output = maximum(0.0, J - adaptation) * (1.0 + jitter * (drawn - 0.5))
    adaptation = adaptation + (dt / tau) * (output - adaptation)
    return output, adaptation, where(output < low, output, low)


class Jittery(OwnType):
    """Neurons with two states and with random numbers."""

    state = {"adaptation": nengo.dists.Choice([0.0]), "low": nengo.dists.Choice([1.0])}
    probeable = ("output", "input", "adaptation", "low")
    tau, jitter = 0.05, 0.5

    def make_state(self, n_neurons, rng=np.random, dtype=None):
        return {**super().make_state(n_neurons, rng=rng, dtype=dtype), "rng": rng}

    def step(self, dt, J, output, adaptation, low, rng):
        drawn = rng.random_sample(size=J.shape)
        results = jittery_step(J, adaptation, low, drawn, dt, self.tau, self.jitter)
        output[...], adaptation[...], low[...] = results


@pytest.fixture
def registered():
    """Register formulas for as long as a test takes."""
    before = dict(_formulas)
    yield register
    _formulas.clear()
    _formulas.update(before)


def hodgkin_huxley():
    states = ("voltage", "m", "h", "n")
    parameters = ("capacity", "leak")
    return Formula("hodgkin_huxley", HodgkinHuxley, hodgkin_huxley_step, states, parameters)


def jittery():
    states, parameters = ("adaptation", "low"), ("tau", "jitter")
    return Formula("jittery", Jittery, jittery_step, states, parameters, random=uniform)


def own_network(neuron_type, scale):
    with nengo.Network(seed=2) as net:
        stim = nengo.Node(lambda t: scale * np.sin(60 * t))
        with_gains = {"gain": np.linspace(0.2, 2.0, 37), "bias": np.linspace(0.0, scale, 37)}
        net.ens = nengo.Ensemble(37, 1, neuron_type=neuron_type, **with_gains)
        nengo.Connection(stim, net.ens, synapse=None)
        net.all = [nengo.Probe(net.ens.neurons, name) for name in neuron_type.probeable]
    return net


@pytest.mark.filterwarnings("ignore")  # that the decoders of unusual rates are poor
@pytest.mark.parametrize("make, scale", [(hodgkin_huxley, 20.0), (jittery, 2.0)])
@pytest.mark.parametrize("bits, tolerance", [("64", 1e-9), ("32", 1e-3)])
@pytest.mark.parametrize("threads", [1, 2])
def test_formulas_of_users(registered, make, scale, bits, tolerance, threads, always_shared):
    nengo.rc.set("precision", "bits", bits)
    formula = registered(make())
    net = own_network(formula.neuron_type(), scale)
    model = Model()
    model.build(net)
    native = compiled(model, threads=threads)
    native.reset(0)
    reference = make_engine(ReferenceBackend, net)
    native.run(N_STEPS)
    reference.run(N_STEPS)
    assert not in_python(native)
    for probe in net.all:
        got, want = samples(native, probe), samples(reference, probe)
        assert np.ptp(want) > 0.1
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())


def test_loops_are_made_for_any_number_of_states():
    def step(J, a, b, c, d, e, f, dt):
        return J, a + dt, b, c, d, e, f

    for n_states in range(7):
        formula = Formula("counting", HodgkinHuxley, step, tuple("abcdef"[:n_states]))
        names = kernel_of(formula).columns.names
        states = tuple(f"state_{k}" for k in range(n_states))
        assert names == ("current", "output", "parameters", "n", *states)
