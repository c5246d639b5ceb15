"""A learning rule of your own: STDP

Spike-timing-dependent plasticity, written in Python as a rule of a user's. Half of the inputs of a
neuron fire together. The rule strengthens these and weakens the others (Song and others, 2000).
"""

import matplotlib.pyplot as plt
import nengo
import nengo.builder
import numpy as np
from nengo.learning_rules import LearningRuleType

import nengo_jit
from nengo_jit.builder import Operator

# %%
# A rule has a type, which users give to a connection; an operator, whose `compute` says what happens
# in a step; and a build function. `compute` returns the change of the weights.


class STDP(LearningRuleType):
    """Weights grow if the input spikes before the output, and shrink if after."""

    modifies = "weights"

    def __init__(self, learning_rate, shrinking=1.05, highest=1.0):
        super().__init__(learning_rate, size_in=0)
        self.shrinking, self.highest = shrinking, highest


class SimSTDP(Operator):
    """Computes the change of weights from spikes and from filtered spikes."""

    def __init__(self, signals, delta, rule):
        super().__init__(sets=[], incs=[], reads=signals, updates=[delta])
        self.rule = rule

    def parameters(self, dt):
        return self.rule.learning_rate * dt, self.rule.shrinking, self.rule.highest

    @staticmethod
    def compute(xp, rate, shrinking, highest, pre, post, pre_trace, post_trace, weights):
        growth = post[:, None] * pre_trace - shrinking * post_trace[:, None] * pre
        return (xp.clip(weights + rate * growth, 0.0, highest) - weights,)


@nengo.builder.Builder.register(STDP)
def build_stdp(model, rule_type, rule):
    """Filter the spikes of both sides for 20 ms, and add the operator."""
    spikes = [model.sig[side]["out"] for side in (rule.connection.pre_obj, rule.connection.post_obj)]
    traces = [model.build(nengo.Lowpass(0.02), each) for each in spikes]
    signals = [*spikes, *traces, model.sig[rule.connection]["weights"]]
    model.add_op(SimSTDP(signals, model.sig[rule]["delta"], rule_type))


# %%
# A hundred inputs spike at random, at 20 Hz. The rates of the first fifty rise and fall together.

N_INPUTS, TOGETHER = 100, 50


def rates(t, x):
    """Return the rates of all inputs, from a random signal."""
    return np.where(np.arange(N_INPUTS) < TOGETHER, 20 * max(0.0, 1 + x[0]), 20.0)


with nengo.Network(seed=0) as model:
    fluctuation = nengo.Node(nengo.processes.FilteredNoise(nengo.Alpha(0.01), scale=True))
    rate = nengo.Node(rates, size_in=1)
    nengo.Connection(fluctuation, rate, transform=0.4, synapse=None)
    poisson = nengo.PoissonSpiking(nengo.RectifiedLinear())
    inputs = nengo.Ensemble(N_INPUTS, 1, neuron_type=poisson, gain=[1] * 100, bias=[0] * 100)
    neuron = nengo.Ensemble(1, 1, gain=[1], bias=[0.1])
    nengo.Connection(rate, inputs.neurons, synapse=None)
    learned = nengo.Connection(
        inputs.neurons,
        neuron.neurons,
        transform=np.full((1, N_INPUTS), 0.0025),
        synapse=0.005,
        learning_rule_type=STDP(4e-7, highest=0.005),
    )
    weights = nengo.Probe(learned, "weights", sample_every=0.1)
    spikes = nengo.Probe(neuron.neurons)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(100.0)

# %%
# At the end, the inputs that fire together have strong weights, and the others have lost theirs.

strength = sim.data[weights][:, 0] / 0.005
print("together:", strength[-1, :TOGETHER].mean(), "others:", strength[-1, TOGETHER:].mean())
print("rate of the neuron:", sim.data[spikes].mean())
figure, (left, right) = plt.subplots(1, 2, width_ratios=[1.5, 1])
times = sim.trange(sample_every=0.1)
left.plot(times, strength[:, TOGETHER:], color="C1", linewidth=0.4)
left.plot(times, strength[:, :TOGETHER], color="C0", linewidth=0.4)
left.set(xlabel="time (s)", ylabel="weight (of the highest)", xlim=(0, 100), ylim=(0, 1))
parts = (strength[-1, :TOGETHER], strength[-1, TOGETHER:])
right.hist(parts, bins=10, range=(0, 1), label=("firing together", "independent"))
right.set(xlabel="weight at the end", ylabel="inputs")
right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=1)
plt.show()
