"""Arrays of a simulation that users read and change, at any time: the results are nengo's."""

import threading

import nengo
import numpy as np
import pytest
import scipy.sparse
from nengo.builder.operator import Operator

import nengo_jit

N_STEPS = 80


def nengos(net):
    return nengo.Simulator(net, optimize=False, progress_bar=False)


def reference(net):
    return nengo_jit.Simulator(net, engine="reference", progress_bar=False)


def cpu(net):
    return nengo_jit.Simulator(net, engine="cpu", progress_bar=False)


ENGINES = [reference, cpu]


def assert_same(expected, actual):
    for one, other in zip(expected, actual, strict=True):
        scale = np.abs(one).max(initial=0)
        np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-9 * scale)


class Lesion:
    """What somebody does to a signal: sets it to a number, once or from some step on.

    Parameters
    ----------
    name : str
        Of the signal, in `SIGNALS`.
    value : float
        The number.
    """

    def __init__(self, name, value):
        self.name, self.value = name, value
        self.array = None

    def fetch(self, sim):
        obj, name = SIGNALS[self.name]
        (found,) = [each for each in sim.model.sig if getattr(each, "label", None) == obj] or [
            ens.neurons for ens in sim.model.sig if f"{getattr(ens, 'label', None)}.neurons" == obj
        ]
        array = sim.signals[sim.model.sig[found][name]]
        self.array = array.data if scipy.sparse.issparse(array) else array

    def apply(self, sim):
        if self.array is None:
            self.fetch(sim)
        self.array.setflags(write=True)
        self.array[...] = self.value


SIGNALS = {
    "encoders": ("a", "encoders"),
    "bias": ("a.neurons", "bias"),
    "gain and bias of rates": ("b.neurons", "bias"),
    "decoders": ("decoded", "weights"),
    "large decoders": ("wide", "weights"),
    "weights between neurons": ("dense", "weights"),
    "sparse weights": ("sparse", "weights"),
    "kernel of a convolution": ("convolution", "weights"),
    "output of a constant node": ("constant", "out"),
    "what is weighted of a constant": ("input", "weighted"),
    "input of an ensemble": ("a", "in"),
    "currents": ("a.neurons", "in"),
    "spikes": ("a.neurons", "out"),
    "voltages": ("a.neurons", "voltage"),
    "refractory times": ("a.neurons", "refractory_time"),
    "what is decoded": ("decoded", "weighted"),
    "learnt weights": ("learnt", "weights"),
    "an error": ("learnt", "out"),
}


def network(within=None):
    """A network with a node that calls a function in each step."""
    rng = np.random.RandomState(3)
    with nengo.Network(seed=3) as net:
        constant = nengo.Node([0.4, -0.3], label="constant")
        wave = nengo.Node(lambda t: np.sin(30 * t), size_out=1)
        if within is not None:
            nengo.Node(within, size_in=0, size_out=0)
        parameters = {"encoders": rng.randn(30, 2), "gain": np.ones(30), "bias": np.full(30, 1.2)}
        a = nengo.Ensemble(30, 2, **parameters, label="a")
        b = nengo.Ensemble(30, 2, neuron_type=nengo.RectifiedLinear(), **parameters, label="b")
        out = nengo.Node(size_in=2)
        wide = nengo.Node(size_in=40)

        def solver(n):
            return nengo.solvers.NoSolver(rng.randn(30, n) / 1000)

        nengo.Connection(constant, a, synapse=None, transform=[[1, 0.5], [0, 1]], label="input")
        nengo.Connection(wave, b, transform=[[1], [-1]], synapse=0.005)
        nengo.Connection(a, out, solver=solver(2), label="decoded")
        nengo.Connection(a, wide, solver=solver(40), function=lambda x: np.zeros(40), label="wide")
        kwargs = {"synapse": 0.005}
        weights = rng.randn(30, 30) / 1000
        nengo.Connection(a.neurons, b.neurons, transform=weights, label="dense", **kwargs)
        sparse = nengo.Sparse((30, 30), init=scipy.sparse.csr_matrix(weights * (weights > 0)))
        nengo.Connection(a.neurons, b.neurons, transform=sparse, label="sparse", **kwargs)
        kernel = nengo.Convolution(
            1,
            (30, 1),
            kernel_size=(3,),
            strides=(1,),
            padding="same",
            init=rng.randn(3, 1, 1) / 1e3,
        )
        nengo.Connection(a.neurons, b.neurons, transform=kernel, label="convolution", **kwargs)
        net.learnt = nengo.Connection(
            b, out, solver=solver(2), learning_rule_type=nengo.PES(1e-4), label="learnt"
        )
        nengo.Connection(wave, net.learnt.learning_rule, transform=[[1], [1]])
        for target in (a.neurons, b.neurons, out, wide):
            nengo.Probe(target)
        nengo.Probe(net.learnt, "weights")
    return net


def data_of(sim):
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def before_the_run(make, name, value):
    with make(network()) as sim:
        Lesion(name, value).apply(sim)
        sim.run_steps(N_STEPS)
        return data_of(sim)


def between_runs(make, name, value):
    with make(network()) as sim:
        sim.run_steps(30)
        Lesion(name, value).apply(sim)
        sim.run_steps(30)
        sim.run_steps(N_STEPS - 60)
        return data_of(sim)


def before_a_reset(make, name, value):
    with make(network()) as sim:
        sim.run_steps(5)
        Lesion(name, value).apply(sim)
        sim.reset()
        sim.run_steps(N_STEPS)
        return data_of(sim)


def from_a_node(make, name, value, early=False, steps=(30,)):
    lesion, box = Lesion(name, value), []

    def act(t):
        if round(t * 1000) in steps:
            lesion.apply(box[0])

    with make(network(act)) as sim:
        box.append(sim)
        if early:
            lesion.fetch(sim)
        sim.run_steps(N_STEPS)
        return data_of(sim)


def from_a_node_with_an_array_of_before(make, name, value):
    return from_a_node(make, name, value, early=True)


def in_each_step_from_a_node(make, name, value):
    return from_a_node(make, name, value, steps=range(1, N_STEPS, 3))


WAYS = [
    before_the_run,
    between_runs,
    before_a_reset,
    from_a_node,
    from_a_node_with_an_array_of_before,
    in_each_step_from_a_node,
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("make", ENGINES)
def test_lesions(make, name, way):
    assert_same(way(nengos, name, 0.03), way(make, name, 0.03))


@pytest.mark.parametrize("way", [before_the_run, from_a_node])
@pytest.mark.parametrize("name", ["encoders", "bias", "decoders", "output of a constant node"])
def test_lesions_change_something(name, way):
    with cpu(network()) as sim:
        sim.run_steps(N_STEPS)
        whole = data_of(sim)
    assert any((a != b).any() for a, b in zip(whole, way(cpu, name, 0.03)))


def written_and_closed(make, early):
    """Somebody makes weights writable, changes them and makes them read-only again, in a call."""
    box, lesion = [], Lesion("decoders", 0.0)

    def act(t):
        if round(t * 1000) == 40:
            lesion.apply(box[0])
            lesion.array.setflags(write=False)

    with make(network(act)) as sim:
        box.append(sim)
        if early:
            lesion.fetch(sim)
        sim.run_steps(N_STEPS)
        return data_of(sim)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("make", ENGINES)
def test_constants_that_are_closed_again(make, early):
    assert_same(written_and_closed(nengos, early), written_and_closed(make, early))


def through_data(make):
    """Parameters of built objects are the memory of constants."""
    with make(network()) as sim:
        (conn,) = [each for each in sim.model.sig if getattr(each, "label", None) == "decoded"]
        (ens,) = [each for each in sim.model.sig if getattr(each, "label", None) == "a"]
        sim.run_steps(10)
        for array in (sim.data[conn].weights, sim.data[ens].bias):
            array.setflags(write=True)
            array[:1] = 0.02
        sim.run_steps(30)
        return data_of(sim)


@pytest.mark.parametrize("make", ENGINES)
def test_parameters_of_built_objects(make):
    assert_same(through_data(nengos), through_data(make))


def seen_by_a_node(make, early, object_name, signal_name):
    """What a node sees of a signal in each step."""
    seen, box = [], []

    def look(t):
        array = box[1] if early else box[0].signals[box[0].model.sig[obj][signal_name]]
        seen.append(array.copy())

    net = network(look)
    obj = net.learnt.learning_rule
    if object_name != "rule":
        (obj,) = [each for each in net.all_objects if each.label == object_name]
    with make(net) as sim:
        box.append(sim)
        if early:
            box.append(sim.signals[sim.model.sig[obj][signal_name]])
        sim.run_steps(N_STEPS)
    return seen


@pytest.mark.parametrize(
    "place",
    [("rule", "delta"), ("learnt", "weights"), ("input", "weighted"), ("a", "in"), ("wide", "out")],
)
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("make", ENGINES)
def test_a_node_sees_what_it_would_see(make, early, place):
    assert_same(seen_by_a_node(nengos, early, *place), seen_by_a_node(make, early, *place))


def learning(rule):
    """A connection that learns, in a network that calls no Python."""
    with nengo.Network(seed=0) as net:
        source = nengo.Node(nengo.processes.WhiteSignal(1.0, 20, seed=0))
        a, b = (nengo.Ensemble(20, 1, neuron_type=nengo.RectifiedLinear()) for _ in range(2))
        nengo.Connection(source, a)
        dead = nengo.Node(size_in=1)
        nengo.Connection(source, dead, synapse=None, transform=3)
        if isinstance(rule, nengo.Oja):
            net.learnt = nengo.Connection(
                a.neurons, b.neurons, transform=np.full((20, 20), 1e-4), learning_rule_type=rule
            )
        else:
            net.learnt = nengo.Connection(a, b, learning_rule_type=rule)
        net.dead = dead
    return net


@pytest.mark.parametrize("rule", [nengo.Oja(1e-7), nengo.Voja()])
@pytest.mark.parametrize("make", ENGINES)
def test_another_thread_sees_what_changes(make, rule):
    net = learning(rule)
    with make(net) as sim:
        signals = [
            sim.model.sig[net.learnt.learning_rule]["delta"],
            sim.model.sig[net.dead]["in"],
        ]
        sim.run_steps(10)
        seen = [set(), set()]
        stop = threading.Event()

        def look():
            while not stop.is_set():
                for signal, values in zip(signals, seen):
                    values.add(sim.signals[signal].sum())

        thread = threading.Thread(target=look)
        thread.start()
        while any(len(values) < 5 for values in seen):
            sim.run_steps(500)
        stop.set()
        thread.join()
    assert all(len(values) >= 5 for values in seen)


def hidden_from_view(make, fetch):
    """A node that gets hold of an array in a way that cannot be seen in its code."""
    tools = dict.fromkeys(range(200))  # more than is looked through

    def act(t):
        if round(t * 1000) >= 40:
            tools["act"]()

    with make(network(act)) as sim:
        lesion = Lesion("output of a constant node", 0.1)
        tools["act"] = lambda: lesion.apply(sim)
        sim.run_steps(N_STEPS)
        return data_of(sim)


def test_arrays_that_are_fetched_unforeseen_count_from_the_next_step():
    expected, actual = hidden_from_view(nengos, True), hidden_from_view(cpu, True)
    spikes, ours = expected[0], actual[0]
    assert_same([spikes[:39]], [ours[:39]])
    with cpu(network()) as sim:
        sim.run_steps(N_STEPS)
        unchanged = data_of(sim)[0]
    assert (ours != unchanged).any()


class Shifted(nengo.RectifiedLinear):
    """Neurons that work on their input in place."""

    def step(self, dt, J, output):
        J += 0.25
        output[...] = np.maximum(J, 0)


class Halving(Operator):
    """An operator of a third party that changes what it reads."""

    def __init__(self, signal):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [signal], []

    def make_step(self, signals, dt, rng):
        array = signals[self.reads[0]]

        def step():
            array[...] *= 0.5

        return step


def changed_in_place(make, source, halve):
    with nengo.Network(seed=1) as net:
        parameters = {"gain": np.ones(10), "bias": np.zeros(10), "encoders": np.ones((10, 1))}
        ens = nengo.Ensemble(10, 1, neuron_type=Shifted(), **parameters)
        spiking = nengo.Ensemble(10, 1, gain=np.full(10, 3.0), bias=np.ones(10))
        out = nengo.Node(size_in=1)
        if source is not None:
            nengo.Connection(nengo.Node(source, size_out=1), ens, synapse=None)
            nengo.Connection(nengo.Node(source, size_out=1), spiking, synapse=None)
        nengo.Connection(spiking.neurons, out, transform=np.full((1, 10), 1e-3))
        for target in (ens.neurons, spiking.neurons, out):
            nengo.Probe(target)
        nengo.Probe(ens.neurons, "input")
    model = None
    if halve:
        model = (nengo.builder.Model if make is nengos else nengo_jit.builder.Model)()
        model.build(net)
        model.add_op(Halving(model.sig[spiking.neurons][halve]))
        model.add_op(Halving(model.sig[ens]["in"]))
    options = {"model": model, "progress_bar": False, "seed": 2}
    if make is nengos:
        simulator = nengo.Simulator(None if halve else net, optimize=False, **options)
    else:
        engine = make.__name__
        simulator = nengo_jit.Simulator(None if halve else net, engine=engine, **options)
    with simulator as sim:
        sim.run_steps(60)
        return [np.array(sim.data[probe]) for probe in net.all_probes]


@pytest.mark.parametrize("halve", [None, "in", "out"])
@pytest.mark.parametrize("source", [None, 0.5, lambda t: 0.5], ids=["none", "constant", "varying"])
@pytest.mark.parametrize("make", ENGINES)
def test_what_python_changes_in_place(make, source, halve):
    assert_same(changed_in_place(nengos, source, halve), changed_in_place(make, source, halve))


@pytest.mark.parametrize("make", [nengos, *ENGINES])
def test_functions_get_copies(make):
    def spoil(t, x):
        x += 1
        return x

    with nengo.Network() as net:
        constant = nengo.Node([0.5, 1.5])
        function = nengo.Node(spoil, size_in=2)
        nengo.Connection(constant, function, synapse=None)
        probes = nengo.Probe(constant), nengo.Probe(function)
    with make(net) as sim:
        sim.run_steps(150)
        assert (sim.data[probes[0]] == [0.5, 1.5]).all()
        assert (sim.data[probes[1]] == [1.5, 2.5]).all()


@pytest.mark.parametrize("make", [nengos, *ENGINES])
def test_time_as_a_node_sees_it(make):
    box, log = [], []
    with nengo.Network() as net:
        nengo.Node(lambda t: log.append((box[0].n_steps, box[0].time)), size_in=0, size_out=0)
    with make(net) as sim:
        box.append(sim)
        sim.run_steps(2)
        sim.step()
    assert log == [(0, 0.0), (1, 0.001), (2, 0.002)]


SIZE = 30
TRANSFORMS = {
    "scalar": lambda: 0.7,
    "diagonal": lambda: np.linspace(-1, 1, SIZE),
    "dense": lambda: np.random.RandomState(0).randn(SIZE, SIZE) / SIZE,
    "sparse": lambda: nengo.Sparse((SIZE, SIZE), init=scipy.sparse.eye(SIZE, k=1, format="csr")),
    "convolution": lambda: nengo.Convolution(
        1, (SIZE, 1), kernel_size=(3,), strides=(1,), padding="same"
    ),
}


def changed_and_looked_at(make, transform, with_python, is_constant, through_data):
    """What is weighted, looked at while somebody changes the weights again and again."""
    seen = []
    with nengo.Network(seed=1) as net:
        if with_python:
            nengo.Node(lambda t: t)
        source = nengo.Node(np.linspace(-1, 2, SIZE))
        ens = nengo.Ensemble(SIZE, 1, gain=np.ones(SIZE), bias=np.ones(SIZE))
        nengo.Connection(source, ens.neurons, synapse=0.005)
        out = nengo.Node(size_in=SIZE)
        pre = source if is_constant else ens.neurons
        conn = nengo.Connection(pre, out, transform=TRANSFORMS[transform](), synapse=None)
        if is_constant:
            nengo.Connection(out, ens.neurons, synapse=None)
        probe = nengo.Probe(ens.neurons, synapse=0.01)
    with make(net) as sim:
        signals = sim.signals

        def look():
            seen.append(signals[sim.model.sig[out]["in"]].copy())

        sim.run_steps(3)
        weights = (
            sim.data[conn].weights if through_data else signals[sim.model.sig[conn]["weights"]]
        )
        weights = weights.data if scipy.sparse.issparse(weights) else weights
        weights.setflags(write=True)
        weights *= 0.5
        sim.run_steps(2)
        for factor in (3.0, -0.5, 0.0):
            weights *= factor
            sim.step()
            weights += 0.5
            look()
        sim.run_steps(3)
        weights += 1
        return [*seen, sim.data[probe], signals[sim.model.sig[out]["in"]].copy()]


@pytest.mark.parametrize("through_data", [False, True])
@pytest.mark.parametrize("is_constant", [False, True])
@pytest.mark.parametrize("with_python", [False, True])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("make", ENGINES)
def test_weights_that_change_again_and_again(
    make, transform, with_python, is_constant, through_data
):
    """What has been put off, or is computed once, is what it was before the change, and after."""
    ways = transform, with_python, is_constant, through_data
    assert_same(changed_and_looked_at(nengos, *ways), changed_and_looked_at(make, *ways))


def learnt_between_changes(make, rule):
    """Weights that somebody changes between steps in which they are learnt."""
    seen = []
    with nengo.Network(seed=2) as net:
        stimulus = nengo.Node([0.8])
        a, b = (nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate()) for _ in range(2))
        nengo.Connection(stimulus, a)
        if rule == "voja":
            conn = nengo.Connection(a, b, learning_rule_type=nengo.Voja(1e-2))
            obj, name = b, "encoders"
        else:
            weights = np.random.RandomState(0).randn(20, 20) / 20
            types = {"oja": nengo.Oja(1e-5), "bcm": nengo.BCM(1e-7)}
            conn = nengo.Connection(
                a.neurons, b.neurons, transform=weights, learning_rule_type=types[rule]
            )
            obj, name = conn, "weights"
    with make(net) as sim:
        for _ in range(3):
            sim.run_steps(5)
            weights = sim.signals[sim.model.sig[obj][name]]
            weights *= 0.5
            sim.step()
            seen.append(weights.copy())
            seen.append(sim.signals[sim.model.sig[conn.learning_rule]["delta"]].copy())
    return seen


@pytest.mark.parametrize("rule", ["voja", "oja", "bcm"])
@pytest.mark.parametrize("make", ENGINES)
def test_learnt_weights_that_change_between_steps(make, rule):
    assert_same(learnt_between_changes(nengos, rule), learnt_between_changes(make, rule))


def by_hand(make):
    """Some steps are carried out by hand, the others by the simulator."""
    net = network()
    with make(net) as sim:
        sim.run_steps(10)
        for _ in range(2):
            for step in sim._steps:
                step()
            sim._probe_step_time()
        sim.run_steps(5)
        for step in sim._steps:
            step()
        sim._probe_step_time()
        learnt = sim.model.sig[net.learnt]["weights"]
        delta = sim.model.sig[net.learnt.learning_rule]["delta"]
        return [sim.signals[learnt].copy(), sim.signals[delta].copy(), np.array(sim.n_steps)]


@pytest.mark.parametrize("make", ENGINES)
def test_steps_by_hand(make):
    assert_same(by_hand(nengos), by_hand(make))


@pytest.mark.parametrize("make", ENGINES)
def test_overwritten_constants_outlive_a_reset_and_writable_signals_do_not(make):
    for each in (nengos, make):
        with each(network()) as sim:
            lesions = Lesion("bias", 0.5), Lesion("spikes", 0.25)
            for lesion in lesions:
                lesion.apply(sim)
            sim.reset()
            assert (lesions[0].array == 0.5).all()
            assert (lesions[1].array == 0).all()


@pytest.mark.parametrize("make", ENGINES)
def test_a_run_within_a_step_in_which_arrays_are_fetched(make):
    """The rest of the outer run is not lost, nor is a step done twice."""
    box, log = [], []

    def act(t):
        if len(log) == 5:
            log.append(t)
            box[0].signals[box[0].model.sig[u]["out"]][...] = 2.0
            box[0].run_steps(3)
        log.append(t)

    with nengo.Network() as net:
        u = nengo.Node([1.0])
        out = nengo.Node(size_in=1)
        nengo.Connection(u, out, synapse=None)
        nengo.Node(act, size_in=0, size_out=0)
        probe = nengo.Probe(out)
    with make(net) as sim:
        box.append(sim)
        sim.run_steps(20)
        assert sim.n_steps == 23
        data = sim.data[probe]
    assert len(data) == 23
    assert data[-1] == 2.0


@pytest.mark.parametrize("size", [4, 400])  # of which the larger one is read where it lies
@pytest.mark.parametrize("make", ENGINES)
def test_the_array_of_a_transform_stays_the_users(make, size):
    transforms = np.eye(size), np.ones(size)
    with nengo.Network(seed=0) as net:
        wave = nengo.Node(nengo.processes.WhiteSignal(1, 5, seed=1), size_out=size)
        outs = [nengo.Node(size_in=size) for _ in transforms]
        for out, transform in zip(outs, transforms):
            nengo.Connection(wave, out, transform=transform, synapse=None)
        probes = [nengo.Probe(each) for each in (wave, *outs)]
    with make(net) as sim:
        for transform in transforms:
            transform *= 3
        sim.run_steps(5)
        expected, *data = (sim.data[probe] for probe in probes)
    for each in data:
        assert (each == expected).all()


def gains_changed(make):
    """What `sim.data` shows of gains is not what connections to neurons multiply by."""
    with nengo.Network(seed=0) as net:
        source = nengo.Node([1.0, 2.0, 3.0])
        ens = nengo.Ensemble(
            *(3, 1), neuron_type=nengo.RectifiedLinear(), gain=np.ones(3), bias=np.zeros(3)
        )
        nengo.Connection(source, ens.neurons, synapse=None)
        probe = nengo.Probe(ens.neurons)
    with make(net) as sim:
        sim.run_steps(2)
        gain = sim.data[ens].gain
        gain.setflags(write=True)
        gain *= 2
        sim.run_steps(2)
        return [sim.data[probe]]


@pytest.mark.parametrize("make", ENGINES)
def test_gains(make):
    assert_same(gains_changed(nengos), gains_changed(make))


@pytest.mark.parametrize("make", ENGINES)
@pytest.mark.parametrize("hold", [lambda box, held: box.append(held), None])
@pytest.mark.parametrize("n_before", [0, 7])
def test_a_mapping_that_is_held_under_another_name(make, hold, n_before):
    """A function reads and writes arrays through ``sim.signals``, which it has got hold of."""

    def data(make):
        box, seen, mapping = [], [], None
        with nengo.Network(seed=0) as net:

            def look(t):
                held = box[0] if box else mapping
                if held is not None and 0.003 < t < 0.02:
                    seen.append(held[weights].copy())
                    held[constant][...] = 100 * t
                return 0.0

            nengo.Node(look, size_out=1)
            stim, relay = nengo.Node([1.0]), nengo.Node(size_in=1)
            nengo.Connection(stim, relay, synapse=None)
            ens, out = nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate()), nengo.Node(size_in=1)
            nengo.Connection(relay, ens)
            solver = nengo.solvers.NoSolver(np.full((20, 1), 1e-3))
            learned = nengo.Connection(ens, out, learning_rule_type=nengo.PES(1e-3), solver=solver)
            nengo.Connection(stim, learned.learning_rule, synapse=None)
            probes = [nengo.Probe(relay), nengo.Probe(out)]
        with make(net) as sim:
            weights, constant = sim.model.sig[learned]["weights"], sim.model.sig[stim]["out"]
            sim.run_steps(n_before) if n_before else None
            if hold is None:
                mapping = sim.signals
            else:
                hold(box, sim.signals)
            sim.run_steps(30)
            return np.array(seen), *(sim.data[probe] for probe in probes)

    expected = data(lambda net: nengo.Simulator(net, optimize=False, progress_bar=False))
    found = data(make)
    for ours, theirs in zip(found, expected):
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bits", ["16", "64"])
@pytest.mark.parametrize("changed", [0, 1])
def test_one_of_two_equal_matrices(bits, changed):
    """Of two connections that decode the same, the product is computed once, while they do."""
    nengo.rc.set("precision", "bits", bits)
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(40, 1)
        nodes = [nengo.Node(size_in=1) for _ in range(2)]
        conns = [nengo.Connection(ens, node) for node in nodes]
        probes = [nengo.Probe(node) for node in nodes]

    def run(make):
        with make(net) as sim:
            sim.run_steps(20)
            weights = sim.signals[sim.model.sig[conns[changed]]["weights"]]
            weights.setflags(write=True)
            weights[0, :20] = 0
            sim.run_steps(20)
            return [np.array(sim.data[probe], float) for probe in probes]

    expected, actual = run(reference), run(cpu)
    assert_same(expected, actual)
    assert not np.array_equal(*actual)
