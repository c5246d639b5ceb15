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
from nengo_jit.neurons.base import _formulas, formula_of

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
