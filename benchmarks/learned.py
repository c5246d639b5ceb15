"""Models of learned matrices, where a step is little but changing them and multiplying by them.

compare.py --file learned.py
compare.py --file learned.py --bits 32
"""

import nengo
import numpy as np


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


def full_weights(rule, n=1000):
    """A full weight matrix between two ensembles."""
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: np.sin(6 * t))
        pre, post = (nengo.Ensemble(n, 1, n_eval_points=500) for _ in range(2))
        nengo.Connection(stim, pre)
        solver = nengo.solvers.LstsqL2(weights=True)
        learned = nengo.Connection(pre, post, solver=solver, learning_rule_type=rule)
        if isinstance(rule, nengo.PES):
            error = nengo.Node(size_in=1)
            nengo.Connection(post, error)
            nengo.Connection(stim, error, transform=-1)
            nengo.Connection(error, learned.learning_rule)
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


MODELS = {
    each.__name__: each
    for each in (
        rls,
        rls_large,
        pes_weights,
        bcm_weights,
        oja_weights,
        voja_encoders,
        voja_filtered_encoders,
    )
}
