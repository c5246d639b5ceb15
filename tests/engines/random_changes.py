"""Random networks whose signals somebody changes: between runs, and from a node within them."""

import nengo
import numpy as np
import scipy.sparse

import nengo_jit

N_STEPS = 60
RULES = ("pes", "voja", "oja", "bcm", "rls", None)


class InPlace(nengo.LIFRate):
    """Neurons that work on their input in place."""

    def step(self, dt, J, output):
        J += 0.25
        output[...] = np.maximum(J, 0)


class Writer:
    """A node that changes signals in some steps: of the simulator that it is given.

    Parameters
    ----------
    changes : dict of (int, list of callable)
        What to do in which call, with the simulator.
    """

    def __init__(self, changes):
        self.changes = changes
        self.sim = None
        self.n_calls = 0

    def __call__(self, t):
        self.n_calls += 1
        for change in self.changes.get(self.n_calls, ()):
            change(self.sim)
        return np.sin(20 * t)


class Change:
    """Changes a signal.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Chooses what is written.
    names : tuple of (str, str)
        Label of an object and name of its signal.
    """

    def __init__(self, rng, names):
        self.names = names
        self.how = rng.choice(["zero", "scale", "noise", "part"])
        self.seed, self.closes = rng.randint(1000), rng.rand() < 0.3
        self.array = None

    def fetch(self, sim):
        """Get hold of the array before it is needed."""
        self.array = array_of(sim, *self.names)

    def __call__(self, sim):
        array = array_of(sim, *self.names) if self.array is None else self.array
        array = getattr(array, "data", array) if scipy.sparse.issparse(array) else array
        was_open = array.flags.writeable
        array.setflags(write=True)
        if self.how == "zero":
            array[...] = 0
        elif self.how == "scale":
            array *= 0.5
        elif self.how == "noise":
            array += 0.1 * np.random.RandomState(self.seed).randn(*array.shape)
        else:
            array.reshape(-1)[:1] = 0.3
        if self.closes and not was_open:
            array.setflags(write=False)


def array_of(sim, label, name):
    """Live array of a signal of the object with a label."""
    return sim.signals[signals_of(sim)[label, name]]


def signals_of(sim):
    """All signals that have a name, by label of their object and name."""
    found = {}
    for obj, signals in sim.model.sig.items():
        label = getattr(obj, "label", None)
        if isinstance(obj, nengo.ensemble.Neurons):
            label = f"{obj.ensemble.label}.neurons"
        if isinstance(obj, nengo.connection.LearningRule):
            label = f"{obj.connection.label}.rule"
        if label is not None:
            found.update({(label, name): sig for name, sig in signals.items() if sig is not None})
    return {key: found[key] for key in sorted(found)}


def network(seed, changes):
    """A random network with a `Writer`."""
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        net.writer = Writer(changes)
        sources = [
            nengo.Node(rng.uniform(-1, 1, 2), label="constant"),
            nengo.Node(lambda t: [np.sin(9 * t), np.cos(7 * t)], label="wave"),
        ]
        if rng.rand() < 0.5:
            rng.shuffle(sources)
        early = rng.rand() < 0.5
        if early:
            writer = nengo.Node(net.writer, size_in=0, size_out=1, label="writer")
        types = [
            nengo.LIF(),
            nengo.LIFRate(),
            nengo.RectifiedLinear(),
            InPlace(),
            nengo.AdaptiveLIF(),
        ]
        ensembles = []
        for i in range(rng.randint(2, 4)):
            n = int(rng.choice([5, 12, 20]))
            ensembles.append(
                nengo.Ensemble(
                    *(n, 2),
                    neuron_type=types[rng.randint(len(types))],
                    encoders=nengo.dists.UniformHypersphere(surface=True).sample(n, 2, rng),
                    gain=rng.uniform(1, 3, n),
                    bias=rng.uniform(0, 2, n),
                    label=f"ens{i}",
                )
            )
        if not early:
            writer = nengo.Node(net.writer, size_in=0, size_out=1, label="writer")
        out = nengo.Node(size_in=2, label="out")
        synapses = [None, 0.005, nengo.Alpha(0.01)]
        for i, ens in enumerate(ensembles):
            nengo.Connection(
                *(sources[rng.randint(2)], ens),
                synapse=synapses[rng.randint(3)],
                transform=[1, rng.uniform(-1, 1), rng.uniform(-1, 1, (2, 2))][rng.randint(3)],
                label=f"in{i}",
            )
        for i in range(rng.randint(2, 5)):
            pre, post = (ensembles[k] for k in rng.randint(len(ensembles), size=2))
            decoders = nengo.solvers.NoSolver(
                rng.uniform(-1, 1, (pre.n_neurons, 2)) / pre.n_neurons / 50
            )
            kind = rng.choice(["decoded", "neurons", "sparse", "convolution", "out"])
            label = f"conn{i}"
            if kind == "decoded":
                nengo.Connection(pre, post, solver=decoders, synapse=0.01, label=label)
            elif kind == "out":
                nengo.Connection(
                    pre, out, solver=decoders, synapse=synapses[rng.randint(3)], label=label
                )
            else:
                shape = post.n_neurons, pre.n_neurons
                transform = rng.uniform(-1, 1, shape) / 300
                if kind == "sparse":
                    transform = nengo.Sparse(
                        shape, init=scipy.sparse.csr_matrix(transform * (transform > 0))
                    )
                if kind == "convolution":
                    post = pre
                    transform = nengo.Convolution(
                        1,
                        (pre.n_neurons, 1),
                        kernel_size=(3,),
                        strides=(1,),
                        padding="same",
                        init=rng.randn(3, 1, 1) / 100,
                    )
                nengo.Connection(
                    pre.neurons, post.neurons, transform=transform, synapse=0.005, label=label
                )
        learn(net, rng.choice(RULES), ensembles, out, writer, rng)
        for obj in (out, *sources, *ensembles):
            nengo.Probe(obj)
        for ens in ensembles:
            nengo.Probe(ens.neurons)
            nengo.Probe(ens.neurons, "input")
    return net


def learn(net, rule, ensembles, out, writer, rng):
    """Add a connection that learns."""
    pre, post = ensembles[0], ensembles[1]
    decoders = nengo.solvers.NoSolver(rng.uniform(-1, 1, (pre.n_neurons, 2)) / pre.n_neurons / 50)
    if rule in ("pes", "rls", "voja"):
        kinds = {"pes": nengo.PES(1e-3), "rls": nengo.RLS(), "voja": nengo.Voja(learning_rate=1e-2)}
        target = post if rule == "voja" else out
        conn = nengo.Connection(
            pre, target, solver=decoders, learning_rule_type=kinds[str(rule)], label="learnt"
        )
        if rule != "voja":
            nengo.Connection(writer, conn.learning_rule, transform=[[1], [0.5]], label="error")
        net.learnt = conn
    elif rule is not None:
        kind = {"oja": nengo.Oja(1e-5), "bcm": nengo.BCM(1e-9)}[str(rule)]
        nengo.Connection(
            *(pre.neurons, post.neurons),
            transform=rng.uniform(0, 1, (post.n_neurons, pre.n_neurons)) / 300,
            learning_rule_type=kind,
            label="learnt",
        )


class Scenario:
    """A random network, what is changed in it, and when.

    Parameters
    ----------
    seed : int
        Determines all.
    """

    def __init__(self, seed):
        self.seed = seed

    def plan(self, names):
        """Changes within runs by call, those between runs by step, and which are fetched early."""
        rng = np.random.RandomState(self.seed)
        within, between, early = {}, {}, []
        for _ in range(rng.randint(0, 4)):
            change = Change(rng, names[rng.randint(len(names))])
            within.setdefault(int(rng.randint(1, N_STEPS)), []).append(change)
            if rng.rand() < 0.5:
                early.append(change)
        for _ in range(rng.randint(0, 3)):
            between.setdefault(int(rng.randint(0, N_STEPS)), []).append(
                Change(rng, names[rng.randint(len(names))])
            )
        return within, between, early, bool(rng.rand() < 0.2)

    def run(self, make):
        """Probe data, all of it, by a simulator."""
        with make(network(self.seed, {})) as sim:
            names = [key for key, signal in signals_of(sim).items() if getattr(signal, "size", 0)]
        within, between, early, resets = self.plan(names)
        net = network(self.seed, within)
        with make(net) as sim, np.errstate(all="ignore"):
            net.writer.sim = sim
            for change in early:
                change.fetch(sim)
            done = 0
            for step in [*sorted(between), N_STEPS]:
                if step > done:
                    sim.run_steps(step - done)
                done = step
                for change in between.get(step, ()):
                    change(sim)
            if resets:
                sim.reset()
                sim.run_steps(20)
            data = [np.array(sim.data[probe]) for probe in net.all_probes]
            return data, {
                key: np.array(dense(sim.signals[s])) for key, s in signals_of(sim).items()
            }


def dense(array):
    """A matrix as an array, sparse or not."""
    return array.toarray() if scipy.sparse.issparse(array) else array


def nengos(net):
    """Nengo's simulator."""
    return nengo.Simulator(net, optimize=False, progress_bar=False)


def ours(engine, **options):
    """What makes our simulator."""

    def make(net):
        return nengo_jit.Simulator(net, progress_bar=False, engine=engine, **options)

    return make


def differences(seed, engine, **options):
    """Where our results differ from nengo's: a description of each place."""
    scenario = Scenario(seed)
    expected, actual = scenario.run(nengos), scenario.run(ours(engine, **options))
    found = []
    for i, (one, other) in enumerate(zip(expected[0], actual[0])):
        scale = max(1e-6, np.abs(one).max(initial=0))
        wrong = ~(np.abs(one - other) <= 1e-6 * scale)
        wrong &= ~(np.isnan(one) & np.isnan(other))
        if wrong.any():
            found.append((f"probe {i}", int(np.argmax(wrong.reshape(len(wrong), -1).any(axis=1)))))
    for key, one in expected[1].items():
        if not np.allclose(one, actual[1][key], rtol=1e-7, atol=1e-12, equal_nan=True):
            found.append((key, "at the end"))
    return found
