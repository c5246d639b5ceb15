"""A learning rule of your own: STDP.

Spike-timing-dependent plasticity, written in Python as a rule of a user's. Half of the inputs of a
neuron fire together. The rule strengthens these and weakens the others (Song and others, 2000).
"""

import matplotlib.pyplot as plt
import nengo
import nengo.builder
import nengo.learning_rules
import numpy as np

import nengo_jit
from nengo_jit.builder import Operator

# %%
# A rule has a type, which users give to a connection; an operator, whose `compute` returns the
# change of the weights in a step; and a build function.


class STDP(nengo.learning_rules.LearningRuleType):
    """Weights grow if the input spikes before the output, and shrink if after."""

    modifies = "weights"

    def __init__(self, learning_rate, highest):
        super().__init__(learning_rate, size_in=0)
        self.highest = highest


class SimSTDP(Operator):
    """Computes the change of weights from spikes and from filtered spikes."""

    def __init__(self, signals, delta, rule):
        super().__init__(sets=[], incs=[], reads=signals, updates=[delta])
        self.rule = rule

    def parameters(self, dt):
        return self.rule.learning_rate * dt, self.rule.highest

    @staticmethod
    def compute(xp, rate, highest, pre, post, pre_trace, post_trace, weights):
        growth = post[:, None] * pre_trace - 1.05 * post_trace[:, None] * pre
        return (xp.clip(weights + rate * growth, 0.0, highest) - weights,)


@nengo.builder.Builder.register(STDP)
def build_stdp(model, rule_type, rule):
    """Filter the spikes of both sides for 20 ms, and add the operator."""
    connection = rule.connection
    spikes = [model.sig[side]["out"] for side in (connection.pre_obj, connection.post_obj)]
    traces = [model.build(nengo.Lowpass(0.02), each) for each in spikes]
    signals = [*spikes, *traces, model.sig[connection]["weights"]]
    model.add_op(SimSTDP(signals, model.sig[rule]["delta"], rule_type))


# %%
# A hundred inputs spike at random, at 20 Hz. The rates of the first fifty rise and fall together.

N_INPUTS, TOGETHER, HIGHEST = 100, 50, 0.005
correlated = np.arange(N_INPUTS) < TOGETHER

with nengo.Network(seed=0) as model:
    fluctuation = nengo.Node(nengo.processes.FilteredNoise(nengo.Alpha(0.01)))
    rate = nengo.Node(lambda t, x: 20 * np.maximum(0, 1 + correlated * x), size_in=1)
    nengo.Connection(fluctuation, rate, transform=0.4, synapse=None)
    poisson = nengo.PoissonSpiking(nengo.RectifiedLinear())
    inputs = nengo.Ensemble(N_INPUTS, 1, neuron_type=poisson, gain=np.ones(100), bias=np.zeros(100))
    neuron = nengo.Ensemble(1, 1, gain=[1], bias=[0.1])
    nengo.Connection(rate, inputs.neurons, synapse=None)
    learned = nengo.Connection(
        inputs.neurons,
        neuron.neurons,
        transform=np.full((1, N_INPUTS), HIGHEST / 2),
        learning_rule_type=STDP(4e-7, HIGHEST),
    )
    weights = nengo.Probe(learned, "weights", sample_every=0.1)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(100.0)

# %%
# At the end, the inputs that fire together have strong weights, and the others have lost theirs.

strength = sim.data[weights][:, 0] / HIGHEST
parts = {"firing together": slice(0, TOGETHER), "independent": slice(TOGETHER, None)}
figure, (left, right) = plt.subplots(1, 2, width_ratios=[1.5, 1])
for color, (name, part) in zip(("C0", "C1"), parts.items()):
    print(f"{name}: mean weight {strength[-1, part].mean():.2f}")
    left.plot(sim.trange(sample_every=0.1), strength[:, part], color=color, linewidth=0.4)
    right.hist(strength[-1, part], bins=20, range=(0, 1), color=color, alpha=0.8, label=name)
left.set(xlabel="time (s)", ylabel="weight (of the highest)", xlim=(0, 100), ylim=(0, 1))
right.set(xlabel="weight at the end", ylabel="inputs")
right.legend()
plt.show()
