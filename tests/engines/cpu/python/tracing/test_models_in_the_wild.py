"""Neuron types, learning rules, processes and synapses as users write them: compiled, equal bits.

The kinds are those found in public models; the code here is our own.
"""

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Operator, Signal
from nengo.builder.learning_rules import get_post_ens, get_pre_ens
from nengo.params import NumberParam

import nengo_jit

CASES = []
N = 24


def case(make):
    CASES.append(make)
    return make


# Neuron types


class Quadratic(nengo.neurons.NeuronType):
    """As Izhikevich's, with two states and a reset by a mask."""

    negative, spiking = False, True
    state = {"voltage": nengo.dists.Uniform(-65, -60), "recovery": nengo.dists.Choice([-14])}
    a, b = NumberParam("a"), NumberParam("b")

    def __init__(self, a=0.02, b=0.2, c=-65.0, d=8.0, **options):
        super().__init__(**options)
        self.a, self.b = a, b
        self.c, self.d = c, d  # no parameters

    def gain_bias(self, max_rates, intercepts):
        return np.full_like(max_rates, 20.0), np.full_like(max_rates, 5.0)

    def max_rates_intercepts(self, gain, bias):
        return np.ones_like(gain), np.zeros_like(gain)

    def rates(self, x, gain, bias):
        return np.maximum(self.current(x, gain, bias), 0)

    def step(self, dt, J, output, voltage, recovery):
        J = np.maximum(-30.0, J)
        dV = (0.04 * voltage**2 + 5 * voltage + 140 - recovery + J) * 1000
        voltage[:] += dV * dt
        output[:] = (voltage >= 30) / dt
        voltage[voltage < -100] = -100
        dU = (self.a * (self.b * voltage - recovery)) * 1000
        recovery[:] = recovery + dU * dt
        fired = output > 0
        voltage[fired] = self.c
        recovery[fired] = recovery[fired] + self.d


class Threshold(nengo.LIF):
    """With thresholds that adapt, after the step of the class above."""

    state = dict(nengo.LIF.state, threshold=nengo.dists.Choice([1.0]))

    def step(self, dt, J, output, voltage, refractory_time, threshold):
        super().step(dt, J - (threshold - 1), output, voltage, refractory_time)
        threshold += dt / 0.1 * (1 - threshold) + 0.01 * dt * output


class OnlyParameters(nengo.AdaptiveLIF):
    def __init__(self):
        super().__init__(tau_n=0.5, inc_n=0.02)


class OnlyRates(nengo.LIFRate):
    def rates(self, x, gain, bias):
        return super().rates(x, gain, bias) * 1.0


class OnlyStep(nengo.RectifiedLinear):
    def step(self, dt, J, output):
        output[...] = np.maximum(J, 0.0) ** 1.5


class Sparse(nengo.LIF):
    """The strongest few, by their order."""

    def step(self, dt, J, output, voltage, refractory_time):
        nengo.LIF.step(self, dt, J, output, voltage, refractory_time)
        order = np.argsort(voltage)
        voltage[order[:2]] *= 0.5
        output[order[2:4]] = 0


class Stateless(nengo.neurons.NeuronType):
    def gain_bias(self, max_rates, intercepts):
        return np.ones_like(max_rates), np.linspace(-1, 1, len(max_rates))

    def max_rates_intercepts(self, gain, bias):
        return np.ones_like(gain), np.zeros_like(gain)

    def step(self, dt, J, output):
        output[:] = np.log1p(np.exp(J))


class Oscillating(nengo.neurons.NeuronType):
    """Four states, initial values of all kinds."""

    state = {
        "x": nengo.dists.Gaussian(0, 1),
        "y": nengo.dists.Choice([0.5]),
        "phase": nengo.dists.Uniform(0, 1),
        "count": nengo.dists.Choice([0]),
    }

    gain_bias = Stateless.gain_bias
    max_rates_intercepts = Stateless.max_rates_intercepts

    def step(self, dt, J, output, x, y, phase, count):
        phase += dt * 5
        wrapped = phase > 1
        phase[wrapped] -= 1
        count[wrapped] += 1
        x[...], y[...] = x - dt * y * J, y + dt * x
        norm = np.sqrt(x**2 + y**2)
        x[norm > 1] /= norm[norm > 1]
        np.multiply(x, np.sin(2 * np.pi * phase), out=output)
        output += np.where(count % 2 == 0, 0.0, 1.0)


def neurons_of(kind, n=N, k=1):
    def make():
        with nengo.Network(seed=3) as net:
            stim = nengo.Node(lambda t: np.sin(20 * t))
            for i in range(k):
                ens = nengo.Ensemble(n, 1, neuron_type=kind(), max_rates=[200] * n)
                nengo.Connection(stim, ens)
                nengo.Probe(ens.neurons)
                for name in kind.state if "state" in vars(kind) else ():
                    nengo.Probe(ens.neurons, name)
        return net

    make.__name__ = f"{kind.__name__}_{n}_{k}"
    return make


KINDS = [Quadratic, Threshold, OnlyParameters, OnlyRates, OnlyStep, Sparse, Stateless, Oscillating]
CASES += [neurons_of(kind) for kind in KINDS]
CASES += [neurons_of(kind, n) for kind in KINDS[:2] for n in (1, 2, 1000)]
CASES += [neurons_of(kind, 20, 5) for kind in KINDS]


# Learning rules


class Rule(nengo.learning_rules.LearningRuleType):
    modifies = "weights"
    probeable = ()


class SimRule(Operator):
    """An operator with a function of pre, post, weights, delta and traces."""

    def __init__(self, function, pre, post, weights, delta, traces):
        super().__init__()
        self.function = function
        self.sets, self.incs, self.reads = [], [], [pre, post, weights]
        self.updates = [delta, *traces]

    def make_step(self, signals, dt, rng):
        pre, post, weights = (signals[each] for each in self.reads)
        delta, *traces = (signals[each] for each in self.updates)
        return self.function(dt, pre, post, weights, delta, *traces)


def rule_of(function):
    class Own(Rule):
        pass

    @Builder.register(Own)
    def build(model, own, rule):
        conn = rule.connection
        pre = model.sig[get_pre_ens(conn).neurons]["out"]
        post = model.sig[get_post_ens(conn).neurons]["out"]
        traces = [Signal(np.zeros(pre.size)), Signal(np.zeros(post.size))]
        weights, delta = model.sig[conn]["weights"], model.sig[rule]["delta"]
        model.add_op(SimRule(function, pre, post, weights, delta, traces))
        model.params[rule] = None

    def make():
        with nengo.Network(seed=3) as net:
            stim = nengo.Node(lambda t: np.sin(20 * t))
            pre, post = nengo.Ensemble(N, 1), nengo.Ensemble(20, 1)
            nengo.Connection(stim, pre)
            weights = np.random.RandomState(1).uniform(0, 1e-3, (20, N))
            learned = nengo.Connection(
                pre.neurons, post.neurons, transform=weights, learning_rule_type=Own()
            )
            nengo.Probe(post.neurons)
            nengo.Probe(learned, "weights")
        return net

    make.__name__ = function.__name__
    CASES.append(make)
    return function


@rule_of
def bcm(dt, pre, post, weights, delta, pre_trace, theta):
    def step():
        theta[...] += dt / 1.0 * (post - theta)
        delta[...] = np.outer(1e-9 * dt * post * (post - theta), pre)

    return step


@rule_of
def triplets(dt, pre, post, weights, delta, pre_trace, post_trace):
    def step():
        pre_trace[...] *= np.exp(-dt / 0.02)
        post_trace[...] *= np.exp(-dt / 0.02)
        pre_trace[pre > 0] += 1
        post_trace[post > 0] += 1
        delta[...] = 0
        delta[post > 0, :] += 1e-6 * pre_trace
        delta[:, pre > 0] -= 1e-6 * post_trace[:, np.newaxis]
        delta[weights + delta > 1e-2] = 0

    return step


@rule_of
def winner(dt, pre, post, weights, delta, pre_trace, post_trace):
    def step():
        post_trace[...] += 0.1 * (post - post_trace)
        k = np.argmax(post_trace)
        delta[...] = 0
        if post_trace[k] > 0:
            delta[k] += 1e-4 * (pre * dt - weights[k])
            delta[k, :] /= max(np.linalg.norm(delta[k]), 1.0)

    return step


@rule_of
def normalised(dt, pre, post, weights, delta, pre_trace, post_trace):
    def step():
        grown = weights + 1e-7 * dt * np.outer(post, pre)
        grown /= np.linalg.norm(grown, axis=1)[:, None] + 1e-3
        delta[...] = 0.01 * (grown - weights) - 1e-5 * weights.sum(axis=0)
        np.clip(delta, -1e-3, 1e-3, out=delta)

    return step


@rule_of
def remote_supervised(dt, pre, post, weights, delta, pre_trace, post_trace):
    def step():
        pre_trace[:] = pre_trace * 0.9 + pre * dt
        wanted = (np.arange(len(post)) % 2).astype(float)
        error = wanted - (post > 0)
        delta[...] = 1e-5 * np.where(error[:, None] != 0, error[:, None] * pre_trace, 0.0)

    return step


@rule_of
def discrete(dt, pre, post, weights, delta, pre_trace, post_trace):
    """As memristors: pulses where a sign is known, and the state from a power law."""
    levels = np.random.RandomState(2).randint(1, 9, weights.shape).astype(float)

    def step():
        change = np.outer(post - post.mean(), pre)
        up, down = change > 0, np.logical_and(change < 0, levels > 1)
        levels[up] += 1
        levels[down] -= 1
        delta[up | down] = 1e-6 * levels[up | down] ** -0.15 - weights[up | down] * 1e-3
        delta[~(up | down)] = 0.0

    return step


# Processes and synapses


class Window(nengo.Process):
    """A delay network: a matrix in Fortran's order, and another that is a view."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state=None):
        both = np.random.RandomState(0).uniform(-0.3, 0.3, (6, 7))
        a, b = np.asfortranarray(both[:, :6]), both[:, 6:]
        memory = np.zeros((6, *shape_in))

        def step(t, x):
            memory[:] = a.dot(memory) + b @ x[None, :]
            return memory.T.ravel()[: shape_out[0]]

        return step


class Ring(nengo.synapses.Synapse):
    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state=None):
        buffer, at = np.zeros((30, *shape_out)), np.zeros(1, dtype=int)

        def step(t, signal):
            i = at[0]
            out = buffer[i].copy()
            buffer[i] = signal
            at[0] = (i + 1) % len(buffer)
            return out

        return step


class Spectrum(nengo.Process):
    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"past": np.zeros(16)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        past = state["past"]

        def step(t, x):
            past[:-1] = past[1:]
            past[-1] = x[0]
            spectrum = np.fft.rfft(past * np.hanning(16))
            return np.abs(spectrum)[: shape_out[0]] + np.angle(spectrum)[0]

        return step


@case
def processes():
    with nengo.Network(seed=3) as net:
        stim = nengo.Node(lambda t: [np.sin(20 * t), np.cos(9 * t)])
        window = nengo.Node(Window(default_size_in=2, default_size_out=12))
        spectrum = nengo.Node(Spectrum(default_size_in=1, default_size_out=9))
        delayed = nengo.Node(size_in=2)
        nengo.Connection(stim, window, synapse=None)
        nengo.Connection(stim[0], spectrum, synapse=Ring(1, 1))
        nengo.Connection(stim, delayed, synapse=Ring(2, 2))
        for each in (window, spectrum, delayed):
            nengo.Probe(each)
    return net


def outcome(make, bits, **options):
    before = nengo.rc.get("precision", "bits")
    nengo.rc.set("precision", "bits", str(bits))
    try:
        with nengo_jit.Simulator(make(), progress_bar=False, **options) as sim:
            for _ in range(3):
                sim.run_steps(120)
            return [sim.data[probe] for probe in sim.model.probes], sim.plan
    finally:
        nengo.rc.set("precision", "bits", before)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
@pytest.mark.filterwarnings("ignore")
def test_compiled_and_equal(make, bits):
    """Compiled functions give Python's bits; other operators are the same ones in both."""
    compiled, plan = outcome(make, bits)
    python, _ = outcome(make, bits, compile_python=False)
    assert not plan.in_python
    assert all(not reason for _, reason in plan.compiled)
    for ours, theirs in zip(compiled, python):
        assert ours.tobytes() == theirs.tobytes()
