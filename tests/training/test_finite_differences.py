"""Gradients of smooth operators are those of finite differences."""

import jax
import jax.numpy as jnp
import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.synapses import Alpha, LinearFilter, Lowpass

from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.training.program import Program
from nengo_jit.training.surrogates import fast_sigmoid

N_STEPS = 21
X = np.random.RandomState(0).uniform(-1, 1, (N_STEPS, 3))
RATE = nengo.RectifiedLinear()


def everything(obj, attribute):
    """Select what can be trained, gains and time constants included."""
    return attribute != "gain" or "voja" not in str(obj)


def assert_gradients(net, remat=None):
    """Compare derivatives in a random direction of each parameter; returns their names."""
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid, everything)
        params, stacked = program.parameters.initial, program.stacks.stacked

        def loss(params, remat=None):
            state = program.initial_state(params)
            outputs = program.run(params, state, {"given": X}, remat)[1]
            return sum(jnp.sum(jnp.tanh(each) ** 2) for each in outputs.values())

        value = jax.jit(loss)
        slopes = jax.jit(jax.grad(lambda params: loss(params, remat)))(stacked(params, np))
        slopes = program.stacks.by_name({name: np.asarray(each) for name, each in slopes.items()})
        rng = np.random.RandomState(0)
        for name, slope in slopes.items():
            size = 1e-7 * max(abs(params[name]).max(), 1e-2)
            step = size * rng.randn(*slope.shape)
            above = value(stacked({**params, name: params[name] + step}, np))
            below = value(stacked({**params, name: params[name] - step}, np))
            expected = float(np.vdot(slope, step))
            assert float(above - below) / 2 == pytest.approx(expected, rel=1e-4, abs=1e-12), name
    return {name for name, slope in slopes.items() if np.any(slope)}


def ensemble(label, size=1, neuron_type=RATE, n=5):
    return nengo.Ensemble(n, size, neuron_type=neuron_type, label=label)


def chain(source, synapse, label, transform=None, neuron_type=RATE):
    """Connect a source to an ensemble with a probe."""
    end = ensemble(label, neuron_type=neuron_type)
    transform = np.ones((1, source.size_out)) if transform is None else transform
    nengo.Connection(source, end, transform=transform, synapse=synapse)
    nengo.Probe(end, synapse=0.003)
    return end


def test_of_synapses_transforms_and_slices():
    with nengo.Network(seed=0) as net:
        source = nengo.Node(np.zeros(3), label="given")
        one = nengo.Node(size_in=1)
        nengo.Connection(source[1], one, synapse=None)
        chain(source, Lowpass(0.004), "lowpass")
        chain(source, Alpha(0.004), "alpha")
        chain(one, Alpha(0.005), "another alpha")
        chain(source, LinearFilter([0.02, 1], [1e-4, 0.02, 1]), "general")
        wide = ensemble("wide", 3)
        nengo.Connection(source, wide, transform=[0.5, 1.0, -1.0])
        nengo.Connection(wide[[2, 0]], wide[1:], synapse=0.002)
        nengo.Connection(wide, wide[0], function=lambda x: x[0] * x[1], transform=0.3)
        nengo.Probe(wide)
        to = nengo.Convolution(2, (5, 1), kernel_size=(2,), strides=(1,))
        back = nengo.ConvolutionTranspose(1, (2, 2), kernel_size=(2,), strides=(1,))
        hidden, last = ensemble("hidden", n=to.size_out), ensemble("last", n=back.size_out)
        nengo.Connection(wide.neurons, hidden.neurons, transform=to)
        nengo.Connection(hidden.neurons[2:6], last.neurons, transform=back)
        places = [(0, 1), (0, 2), (2, 0), (1, 1)]
        sparse = nengo.Sparse((3, 8), indices=places, init=[0.3, -0.2, 0.5, 0.1])
        nengo.Connection(hidden.neurons, wide, transform=sparse, synapse=0.001)
        nengo.Probe(last.neurons)
    used = assert_gradients(net)
    attributes = {name.rsplit(".", 1)[1] for name in used}
    assert attributes == {"gain", "bias", "encoders", "decoders", "transform", "log_tau"}
    assert sum(name.endswith("log_tau") for name in used) >= 8
    assert "hidden.neurons → wide.transform" in used  # the sparse one


def test_of_smooth_neuron_types():
    types = [nengo.Sigmoid(), nengo.Tanh(), nengo.RectifiedLinear(0.5), nengo.LIFRate()]
    types += [nengo.AdaptiveLIFRate(tau_n=0.01, inc_n=0.001)]
    with nengo.Network(seed=3) as net:
        source = nengo.Node(np.zeros(3), label="given")
        for number, neuron_type in enumerate(types):
            chain(source, 0.005, f"type {number}", neuron_type=neuron_type)
    assert_gradients(net)


def test_of_online_learning_rules():
    with nengo.Network(seed=1) as net:
        source = nengo.Node(np.zeros(3), label="given")
        first = ensemble("first", 3)
        nengo.Connection(source, first)
        for rule in (nengo.PES(1e-3), nengo.RLS(1e-3)):
            second = ensemble(str(rule), 1)
            learned = nengo.Connection(
                first, second, transform=np.ones((1, 3)), learning_rule_type=rule, synapse=0.004
            )
            nengo.Connection(second, learned.learning_rule, transform=0.5)
            nengo.Probe(second)
        for rule in (nengo.BCM(1e-7), nengo.Oja(1e-7)):
            second = ensemble(str(rule))
            weights = np.full((5, 5), 1e-3)
            nengo.Connection(
                first.neurons, second.neurons, transform=weights, learning_rule_type=rule
            )
            nengo.Probe(second.neurons)
        last = ensemble("voja", 3)
        nengo.Connection(first, last, learning_rule_type=nengo.Voja(1e-2))
        nengo.Probe(last)
    used = assert_gradients(net)
    assert any("voja.encoders" in name for name in used)


@settings(max_examples=2, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**20))
def test_of_random_networks(seed):
    rng = np.random.RandomState(seed)
    types = [nengo.RectifiedLinear(), nengo.Sigmoid()]
    with nengo.Network(seed=seed) as net:
        objects = [nengo.Node(np.zeros(3), label="given")]
        for number in range(2):
            size = rng.randint(1, 4)
            objects.append(ensemble(f"ensemble {number}", size, types[rng.randint(2)], 4 + size))
            nengo.Probe(objects[-1], synapse=[None, 0.004][rng.randint(2)])
        for _ in range(4):
            pre, post = objects[rng.randint(3)], objects[rng.randint(1, 3)]
            if rng.rand() < 0.4 and pre is not objects[0]:
                pre, post = pre.neurons, post.neurons
            shape = post.size_in, pre.size_out
            scale = 1e-3 if isinstance(pre, nengo.ensemble.Neurons) else 0.5
            synapse = [Lowpass(0.005), Alpha(0.003)][rng.randint(2)]
            nengo.Connection(pre, post, transform=scale * rng.randn(*shape), synapse=synapse)
    assert_gradients(net, remat=7)
