"""Models of half precision: the CPU engine has nengo's bits."""

import nengo
import numpy as np
import pytest
from nengo.dists import Uniform
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal

import nengo_jit

pytestmark = pytest.mark.filterwarnings("ignore")  # overflow

NEURONS = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.05, tau_ref=0.0015, min_voltage=-1, amplitude=0.1),
    nengo.LIFRate(),
    nengo.AdaptiveLIF(tau_n=0.2, inc_n=0.05),
    nengo.AdaptiveLIFRate(),
    nengo.Izhikevich(),
    nengo.RectifiedLinear(amplitude=0.3),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.RegularSpiking(nengo.Tanh(), amplitude=0.3),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.Tanh(), amplitude=2),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.Tanh(), amplitude=2),
]
MADE_IN_DOUBLE = nengo.Alpha(0.01)  # synapses keep the precision that they are made in
SYNAPSES = {
    "lowpass": lambda: nengo.Lowpass(0.005),
    "short": lambda: nengo.Lowpass(0),
    "alpha": lambda: nengo.Alpha(0.01),
    "triangle": lambda: nengo.Triangle(0.004),
    "gain": lambda: nengo.LinearFilter([0.5], [1]),
    "second order": lambda: nengo.LinearFilter([0.5, 0.1], [1, 0.2, 0.3]),
    "with D": lambda: nengo.LinearFilter([1, 0.2], [0.3, 1.0]),
    "double": lambda: MADE_IN_DOUBLE,
}
PROCESSES = {
    "normal": lambda: WhiteNoise(seed=1),
    "uniform": lambda: WhiteNoise(Uniform(-1, 3), scale=False, seed=2),
    "filtered": lambda: FilteredNoise(seed=3),
    "alpha": lambda: FilteredNoise(nengo.Alpha(0.01), Uniform(-2, 1), scale=False, seed=4),
    "gain": lambda: FilteredNoise(nengo.LinearFilter([0.5], [1]), seed=5),
    "signal": lambda: WhiteSignal(0.04, high=100, seed=6),
    "images": lambda: PresentInput(np.arange(15).reshape(5, 3) / 7.0, 0.0085),
    "pieces": lambda: Piecewise({0.01: [1, 2, 3], 0.0305: [0.1, -1, 0], 0.03: [5, 5, 6]}),
}
RULES = {
    "PES": nengo.PES(1e-2),
    "PES that underflows": nengo.PES(1e-5),
    "BCM": nengo.BCM(1e-6),
    "Oja": nengo.Oja(1e-4),
    "both": [nengo.BCM(1e-6), nengo.Oja(1e-4)],
    "Voja": nengo.Voja(0.5),
    "RLS": nengo.RLS(1e-2),
}


@pytest.fixture(autouse=True)
def half():
    nengo.rc.set("precision", "bits", "16")


def assert_nengos(network, n_steps=150, threads=1):
    """Compare all probe data with nengo's, bit for bit; returns our simulator."""
    with nengo.Simulator(network, optimize=False) as reference:
        reference.run_steps(n_steps)
    with nengo_jit.Simulator(network, threads=threads) as sim:
        sim.run_steps(1)
        sim.run_steps(n_steps - 1)
    for probe in network.all_probes:
        ours, nengos = sim.data[probe], reference.data[probe]
        assert ours.dtype == nengos.dtype
        np.testing.assert_array_equal(ours, nengos, err_msg=str(probe))
    return sim


def in_python(sim):
    return [type(operator).__name__ for operator, _ in sim.plan.in_python]


@pytest.mark.parametrize("neuron_type", NEURONS, ids=str)
def test_neurons(neuron_type):
    is_izhikevich = isinstance(neuron_type, nengo.Izhikevich)
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(WhiteSignal(0.3, 5, rms=0.5, seed=1))
        a = nengo.Ensemble(60, 2, neuron_type=neuron_type, seed=2)
        b = nengo.Ensemble(50, 1, neuron_type=neuron_type)
        nengo.Connection(stim, a[0])
        if is_izhikevich:  # currents overflow otherwise
            a.gain, a.bias = np.full(60, 5.0), np.linspace(0, 20, 60)
            b.gain, b.bias = np.full(50, 5.0), np.linspace(0, 20, 50)
        else:
            nengo.Connection(a, a[::-1], synapse=0.05)
        nengo.Connection(a, b, function=lambda x: x[0] * x[1])
        nengo.Connection(a[0], b.neurons, transform=np.full((50, 1), 0.1))
        full = np.random.RandomState(0).normal(size=(50, 60)) * 0.001
        nengo.Connection(a.neurons, b.neurons, transform=full)
        nengo.Probe(b, synapse=0.02)
        for name in neuron_type.probeable:
            nengo.Probe(a.neurons, name)
            nengo.Probe(b.neurons, name)
    assert in_python(assert_nengos(net)) == []


@pytest.mark.parametrize("name", SYNAPSES)
def test_synapses(name):
    synapse = SYNAPSES[name]()
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(WhiteSignal(0.3, 5, rms=0.5, seed=1), size_out=3)
        several, one = nengo.Node(size_in=3), nengo.Node(size_in=1)
        nengo.Connection(stim, several, synapse=synapse)
        nengo.Connection(stim[0], one, synapse=synapse)
        nengo.Probe(several)
        nengo.Probe(one, synapse=synapse)
    assert (in_python(assert_nengos(net)) == []) is (name not in ("triangle", "double"))


@pytest.mark.parametrize("name", PROCESSES)
def test_processes(name):
    process = PROCESSES[name]()
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Node(process, size_out=3), synapse=0.003)
        if name not in ("images", "pieces"):
            nengo.Probe(nengo.Node(process, size_out=1))
    assert (in_python(assert_nengos(net)) == []) is (name != "gain")


@pytest.mark.parametrize("name", ["normal", "uniform", "filtered", "alpha", "signal"])
def test_noise_in_ensembles(name):
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Ensemble(5, 1, noise=PROCESSES[name]()).neurons, "input")
    assert (in_python(assert_nengos(net)) == []) is (name != "signal")


@pytest.mark.parametrize("neuron_type", [nengo.LIF(), nengo.LIFRate()], ids=str)
@pytest.mark.parametrize("name", RULES)
def test_learning_rules(name, neuron_type):
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(WhiteSignal(0.3, 5, rms=0.5, seed=1))
        a = nengo.Ensemble(60, 1, neuron_type=neuron_type)
        b = nengo.Ensemble(50, 1, neuron_type=neuron_type)
        nengo.Connection(stim, a)
        is_full = name in ("BCM", "Oja", "both")
        solver = nengo.solvers.LstsqL2(weights=is_full)
        learned = nengo.Connection(a, b, learning_rule_type=RULES[name], solver=solver)
        if name == "RLS" or name.startswith("PES"):
            error = nengo.Node(size_in=1)
            nengo.Connection(b, error)
            nengo.Connection(stim, error, transform=-1)
            nengo.Connection(error, learned.learning_rule)
        nengo.Probe(b, synapse=0.02)
        nengo.Probe(learned, "weights")
    left = in_python(assert_nengos(net))
    assert left == (["Copy"] if name == "RLS" else [])  # from half to double precision


def test_python_and_sparse_transforms_and_convolutions():
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(lambda t: np.sin(20 * t))
        changed = nengo.Node(lambda t, x: [x[0] * 0.3, t, 1e6], size_in=1)
        nengo.Connection(stim, changed, synapse=0.01)
        ens = nengo.Ensemble(30, 3)
        nengo.Connection(changed[:2], ens[:2])
        out = nengo.Node(size_in=5)
        nengo.Connection(
            ens.neurons,
            out,
            transform=nengo.Sparse((5, 30), [[0, 1], [2, 2], [4, 29]], [1.5, 0.1, -2.0]),
        )
        image = nengo.Node(size_in=18)
        nengo.Connection(
            ens.neurons[:25],
            image,
            transform=nengo.Convolution(2, (5, 5, 1), init=Uniform(-0.1, 0.1)),
        )
        for each in (changed, ens, out, image):
            nengo.Probe(each)
    left = in_python(assert_nengos(net, n_steps=60))
    assert sorted(left) == ["ConvInc", "SimPyFunc", "SimPyFunc"]


def test_time_wraps_as_in_nengo():
    """The counter of steps has 16 bits, too."""
    with nengo.Network() as net:
        nengo.Probe(nengo.Node(lambda t: t), sample_every=3.0)
        nengo.Probe(nengo.Node(Piecewise({0: 1, 30: 2, 32: 3}, "zero")), sample_every=0.5)
    assert_nengos(net, n_steps=34000)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_matter(threads):
    with nengo.Network(seed=1) as net:
        stim = nengo.Node(WhiteSignal(0.3, 5, rms=0.5, seed=1))
        arrays = [nengo.networks.EnsembleArray(40, 30) for _ in range(2)]
        for ensemble in arrays[0].ea_ensembles:
            nengo.Connection(stim, ensemble)
        nengo.Connection(arrays[0].output, arrays[1].input)
        nengo.Probe(arrays[1].output, synapse=0.01)
    assert_nengos(net, n_steps=100, threads=threads)


@pytest.fixture
def changing():
    """A network whose signals the tests change."""
    with nengo.Network(seed=1) as net:
        net.stim = nengo.Node(WhiteSignal(0.3, 5, rms=0.5, seed=1))
        net.ens = nengo.Ensemble(60, 1)
        net.conn = nengo.Connection(net.stim, net.ens)
        net.learned = nengo.Connection(net.ens, net.ens, learning_rule_type=nengo.Voja())
        net.probe = nengo.Probe(net.ens, synapse=0.01)
        net.weights = nengo.Probe(net.learned, "weights")
    return net


def run_with_changes(network, engine):
    """Probe data of a run in pieces, between which users change signals."""
    with nengo_jit.Simulator(network, engine=engine) as sim:
        sig = sim.model.sig
        sim.run_steps(20)
        sim.signals[sig[network.ens.neurons]["voltage"]][:10] = 0.9
        sim.run_steps(20)
        bias = sim.signals[sig[network.ens.neurons]["bias"]]
        bias.setflags(write=True)
        bias[5:20] += np.float16(1.5)
        sim.run_steps(20)
        weights = sim.signals[sig[network.learned]["weights"]]
        weights.setflags(write=True)
        weights[0, :30] *= np.float16(-2)
        sim.run_steps(20)
        return [np.array(sim.data[probe]) for probe in network.all_probes]


def test_changes_of_signals_are_seen_at_once(changing):
    for ours, reference in zip(*(run_with_changes(changing, e) for e in ("cpu", "reference"))):
        np.testing.assert_array_equal(ours, reference)


def test_nodes_that_change_signals_are_seen_at_once(changing):
    def run(engine):
        box = []

        def change(t):
            if box and 0.01 < t < 0.03:
                box[0][3] = np.float16(t)

        with nengo.Network() as net:
            net.add(changing)
            nengo.Node(change)
        with nengo_jit.Simulator(net, engine=engine) as sim:
            box.append(sim.signals[sim.model.sig[changing.ens.neurons]["voltage"]])
            sim.run_steps(60)
            return [np.array(sim.data[probe]) for probe in changing.all_probes]

    for ours, reference in zip(run("cpu"), run("reference")):
        np.testing.assert_array_equal(ours, reference)


@pytest.mark.parametrize("engines", [("cpu", "cpu"), ("reference", "cpu"), ("cpu", "reference")])
def test_states_continue_on_any_engine(changing, engines):
    whole = nengo_jit.Simulator(changing, engine="reference")
    whole.run_steps(70)
    with nengo_jit.Simulator(changing, engine=engines[0]) as first:
        first.run_steps(30)
        state = first.state()
    with nengo_jit.Simulator(changing, engine=engines[1]) as second:
        second.load_state(state)
        second.run_steps(40)
        for probe in changing.all_probes:
            np.testing.assert_array_equal(second.data[probe][-40:], whole.data[probe][-40:])
    whole.close()
