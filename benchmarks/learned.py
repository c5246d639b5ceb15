"""Models of learned matrices, where a step is little but changing them and multiplying by them.

compare.py --file learned.py
compare.py --file learned.py --bits 32
"""

import nengo
import numpy as np
from nengo.builder import Builder, Operator, Signal
from nengo.builder.operator import DotInc, Reset


def rls(n=500):
    """Recursive least squares on the rates of a population."""
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: np.sin(2 * np.pi * t))
        pool = nengo.Ensemble(n, 1, neuron_type=nengo.LIFRate())
        out, error = nengo.Node(size_in=1), nengo.Node(size_in=1)
        nengo.Connection(stim, pool, synapse=None)
        learned = nengo.Connection(
            pool.neurons,
            out,
            transform=np.zeros((1, n)),
            learning_rule_type=nengo.RLS(),
            synapse=None,
        )
        nengo.Connection(out, error, synapse=None)
        nengo.Connection(stim, error, transform=-1, synapse=None)
        nengo.Connection(error, learned.learning_rule, synapse=None)
        nengo.Probe(out)
    return net


def rls_large():
    """The same with a matrix that is larger than most caches."""
    return rls(n=1500)


def full_weights(*rules, n=1000):
    """A full weight matrix between two ensembles, and the rules that change it."""
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: np.sin(6 * t))
        pre, post = (nengo.Ensemble(n, 1, n_eval_points=500) for _ in range(2))
        nengo.Connection(stim, pre)
        solver = nengo.solvers.LstsqL2(weights=True)
        learned = nengo.Connection(pre, post, solver=solver, learning_rule_type=list(rules))
        for rule in learned.learning_rule:
            if isinstance(rule.learning_rule_type, nengo.PES):
                transform = np.ones((rule.size_in, 1))
                nengo.Connection(post, rule, transform=transform)
                nengo.Connection(stim, rule, transform=-transform)
        nengo.Probe(post, synapse=0.01)
    return net


def pes_weights():
    """The prescribed error sensitivity rule."""
    return full_weights(nengo.PES())


def bcm_weights():
    """The Bienenstock-Cooper-Munro rule."""
    return full_weights(nengo.BCM(1e-10))


def oja_weights():
    """Oja's rule."""
    return full_weights(nengo.Oja(1e-8))


def two_rules():
    """Supervised and unsupervised learning of the same weights."""
    return full_weights(nengo.PES(), nengo.BCM(1e-10))


def three_rules():
    """The same, and a rule by which weights decay."""
    return full_weights(nengo.PES(), nengo.BCM(1e-10), nengo.Oja(1e-8))


def voja_encoders(n=1000, dimensions=256, post_synapse=None):
    """Keys in 256 dimensions that encoders move to, of neurons that spike at that time."""
    keys = np.random.RandomState(0).randn(20, dimensions)
    keys /= np.linalg.norm(keys, axis=1)[:, None]
    with nengo.Network(seed=0) as net:
        key = nengo.Node(nengo.processes.PresentInput(keys, 0.1))
        memory = nengo.Ensemble(n, dimensions, intercepts=[0.1] * n, n_eval_points=500)
        voja = nengo.Voja(learning_rate=5e-2, post_synapse=post_synapse)
        nengo.Connection(key, memory, synapse=None, learning_rule_type=voja)
        nengo.Probe(memory.neurons[:10])
    return net


def voja_filtered_encoders():
    """The same by filtered activities, which are hardly ever zero."""
    return voja_encoders(post_synapse=0.005)


class Pairs(nengo.learning_rules.LearningRuleType):
    """A user's rule: pairs of spikes change weights within soft bounds."""

    modifies = "weights"
    probeable = ()


class SimPairs(Operator):
    """The rule's operator, in NumPy on whole matrices."""

    def __init__(self, spikes, traces, weights, delta):
        super().__init__()
        self.sets, self.incs, self.reads = [], [], [*spikes, weights]
        self.updates = [*traces, delta]

    def make_step(self, signals, dt, rng):
        pre, post, weights = (signals[each] for each in self.reads)
        pre_trace, post_trace, delta = (signals[each] for each in self.updates)

        def step():
            pre_trace[...] += dt / 0.02 * (pre - pre_trace)
            post_trace[...] += dt / 0.03 * (post - post_trace)
            grow = np.outer(post, pre_trace) * (weights < 0.3)
            shrink = post_trace[:, None] * pre * (weights > -0.3)
            delta[...] = 1e-9 * (grow - shrink)

        return step


@Builder.register(Pairs)
def build_pairs(model, _, rule):
    """Build the rule; it is nengo's builder that finds this function."""
    ends = rule.connection.pre_obj, rule.connection.post_obj
    spikes = [model.sig[end.ensemble.neurons]["out"] for end in ends]
    traces = [Signal(np.zeros(each.shape)) for each in spikes]
    weights = model.sig[rule.connection]["weights"]
    model.add_op(SimPairs(spikes, traces, weights, model.sig[rule]["delta"]))
    model.params[rule] = None


def users_rule(n_pre=784, n=100):
    """A user's rule on the weights from Poisson neurons to LIF neurons."""
    rng = np.random.RandomState(0)
    rates = nengo.PoissonSpiking(nengo.RectifiedLinear())
    with nengo.Network(seed=0) as net:
        image = nengo.Node(nengo.processes.PresentInput(rng.rand(10, n_pre), 0.1))
        pre = nengo.Ensemble(
            n_pre, 1, neuron_type=rates, gain=np.full(n_pre, 60.0), bias=np.zeros(n_pre)
        )
        post = nengo.Ensemble(n, 1, gain=np.full(n, 3.0), bias=np.zeros(n))
        nengo.Connection(image, pre.neurons, synapse=None)
        weights = rng.rand(n, n_pre) * 1e-3
        nengo.Connection(pre.neurons, post.neurons, transform=weights, learning_rule_type=Pairs())
        nengo.Probe(post.neurons)
    return net


class Masked(nengo.learning_rules.LearningRuleType):
    """A user's rule: an error moves hidden weights, and masks say which weights follow."""

    modifies = "weights"
    probeable = ()

    def __init__(self):
        super().__init__(size_in="post_state")


class SimMasked(Operator):
    """The rule's operator, in NumPy on elements that masks select."""

    def __init__(self, pre, error, weights, hidden):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [pre, error], [weights, hidden]

    def make_step(self, signals, dt, rng):
        pre, error = (signals[each] for each in self.reads)
        weights, hidden = (signals[each] for each in self.updates)

        def step():
            change = np.outer(-error, pre > 0)
            hidden[change > 0] += 1e-4
            hidden[change < 0] -= 1e-4
            moved = change != 0
            weights[moved] = np.tanh(hidden[moved]) * 1e-3

        return step


@Builder.register(Masked)
def build_masked(model, _, rule):
    """Build the rule; it is nengo's builder that finds this function."""
    connection = rule.connection
    post = connection.post_obj.ensemble
    error, local = Signal(np.zeros(rule.size_in)), Signal(np.zeros(post.n_neurons))
    model.sig[rule]["in"] = error
    for each in (Reset(error), Reset(local), DotInc(model.sig[post]["encoders"], error, local)):
        model.add_op(each)
    weights = model.sig[connection]["weights"]
    hidden = Signal(np.zeros(weights.shape))
    model.add_op(SimMasked(model.sig[connection.pre_obj]["out"], local, weights, hidden))
    model.params[rule] = None


def masked_rule(n=100):
    """A user's rule with masks on the weights between two ensembles."""
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: np.sin(t * np.arange(1, 4)))
        pre, post = nengo.Ensemble(n, 3), nengo.Ensemble(n, 3)
        nengo.Connection(stim, pre)
        learned = nengo.Connection(
            pre.neurons, post.neurons, transform=np.zeros((n, n)), learning_rule_type=Masked()
        )
        nengo.Connection(post, learned.learning_rule)
        nengo.Connection(stim, learned.learning_rule, transform=-1)
        nengo.Probe(post, synapse=0.01)
    return net


MODELS = {
    each.__name__: each
    for each in (
        rls,
        rls_large,
        pes_weights,
        bcm_weights,
        oja_weights,
        two_rules,
        three_rules,
        voja_encoders,
        voja_filtered_encoders,
        users_rule,
        masked_rule,
    )
}
