"""Batches: each member is what a simulator of its own would be."""

import pickle
from collections import deque
from importlib.util import find_spec

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError
from nengo.processes import FilteredNoise, WhiteNoise, WhiteSignal

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.engines.batch import engine as batch_engine
from nengo_jit.persistence import store

SEEDS = (11, 12, 13)
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
ENGINES = ("cpu", "reference", pytest.param("jax", marks=needs_jax))
each_engine = pytest.mark.parametrize("engine", ENGINES)


def simulator(net, **options):
    return nengo_jit.Simulator(net, progress_bar=False, **options)


class Walk:
    """A function with a state: a number, an array, a list and a queue."""

    def __init__(self):
        self.last, self.sums = 0.0, np.zeros(2)
        self.list, self.queue = [], deque([0.0, 0.0])

    def __call__(self, t, x):
        self.last = 0.9 * self.last + x[0]
        self.sums += x
        self.list.append(x[0])
        self.queue.append(self.last)
        return [self.queue.popleft(), 0.01 * self.sums[1] + 0.001 * len(self.list)]


class Drift(nengo.Process):
    """A process whose steps have a generator and a state of their own."""

    def __init__(self):
        super().__init__(default_size_in=0, default_size_out=1)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        place = np.zeros(shape_out)

        def step(t):
            nonlocal place
            place = place + 0.1 * rng.standard_normal(shape_out)
            return place

        return step


def counting(start):
    count = start

    def count_up(t):
        nonlocal count
        count += 1
        return 0.01 * count

    return count_up


def network(process=None, rows=None, n_rows=0):
    """A network with everything that could be shared among members by mistake."""

    def at(node, otherwise):
        if rows is None:
            return otherwise

        def output(t):
            step = round(t / 0.001)
            if step <= n_rows:
                return rows[node][step - 1]
            return otherwise(t) if callable(otherwise) else otherwise

        return output

    with nengo.Network(seed=1) as net:
        net.wave = nengo.Node(at("wave", lambda t: np.sin(30 * t)), label="wave")
        net.constant = nengo.Node(at("constant", [0.5, -0.5]), label="constant")
        noise = nengo.Node(WhiteNoise(), size_out=2)
        walk = nengo.Node(Walk(), size_in=2)
        count = nengo.Node(counting(2))
        random = nengo.Node(WhiteSignal(0.1, high=50), size_out=1)
        pre = nengo.Ensemble(40, 2, noise=FilteredNoise(nengo.Lowpass(0.01)))
        post = nengo.Ensemble(30, 2, neuron_type=nengo.PoissonSpiking(nengo.RectifiedLinear()))
        if process is not None:
            nengo.Connection(nengo.Node(process), pre[0])
        nengo.Connection(net.wave, pre[0])
        nengo.Connection(net.constant, pre, synapse=None)
        nengo.Connection(noise, pre, transform=0.1)
        nengo.Connection(random, pre[1])
        nengo.Connection(count, pre[1])
        nengo.Connection(pre, walk)
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
        nengo.Connection(walk, learned.learning_rule)
        nengo.Connection(post, post, synapse=0.1)
        nengo.Probe(pre, synapse=0.01)
        nengo.Probe(post.neurons, sample_every=0.003)
        nengo.Probe(learned, "weights", sample_every=0.0105)
        nengo.Probe(net.constant)
        nengo.Probe(walk)
    return net


def data(sim):
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(mine, other)


def assert_members(sim, singles):
    """Check that each member of a batch has the data of a run of its own.

    On the engine `jax`, sums of several members may be rounded in another order.
    """
    tolerance = 1e-9 if sim.engine == "jax" else 0.0
    for member, single in enumerate(singles):
        for mine, other in zip(data(sim), single, strict=True):
            assert (mine.dtype, mine[member].shape) == (other.dtype, other.shape)
            np.testing.assert_allclose(mine[member], other, rtol=tolerance, atol=tolerance)


def single_run(n_steps, seed, engine, **options):
    with simulator(network(**options), seed=seed, engine=engine, threads=1) as sim:
        sim.run_steps(n_steps)
        return data(sim)


@pytest.fixture(autouse=True)
def always_in_threads(monkeypatch):
    monkeypatch.setattr(batch_engine, "WORTH_THREADS", -1.0)


@pytest.fixture(params=["long chunks", "single steps"])
def chunks(request, monkeypatch):
    if request.param == "single steps":
        if request.node.callspec.params["engine"] == "jax":
            pytest.skip("members do not run in turn")
        for name in ("CHUNK_SECONDS", "WORTH_IT", "LEAST_WORTH_IT", "LONGEST"):
            monkeypatch.setattr(batch_engine, name, 0)


@pytest.mark.parametrize("process", [None, Drift()], ids=["shared programs", "own engines"])
@each_engine
def test_members_are_single_runs(engine, process, chunks):
    with simulator(network(process), batch=3, seeds=SEEDS, engine=engine, threads=2) as sim:
        sim.run_steps(101)
        sim.run_steps(7)
        assert sim.n_steps == 108
        assert_members(sim, [single_run(108, seed, engine, process=process) for seed in SEEDS])


@each_engine
def test_members_are_runs_of_nengo(engine):
    with simulator(network(), batch=2, seeds=SEEDS[:2], engine=engine) as sim:
        sim.run_steps(60)
        for member, seed in enumerate(SEEDS[:2]):
            net, model = network(), Model()
            simulator(net, model=model).close()  # with these decoders
            for walk in (each.output for each in net.all_nodes if isinstance(each.output, Walk)):
                assert walk.last == 0
            with nengo.Simulator(None, model=model, seed=seed, optimize=False) as nengos:
                nengos.run_steps(60)
                for probe, other in zip(sim.model.probes, model.probes, strict=True):
                    ours = sim.data[probe][member]
                    np.testing.assert_allclose(ours, nengos.data[other], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("n_members", [1, 5])
def test_neither_threads_nor_other_members_matter(n_members, threads, bits):
    nengo.rc.set("precision", "bits", str(bits))

    def pure():
        with nengo.Network(seed=3) as net:
            wave = nengo.Node(lambda t: np.cos(9 * t))
            noise = nengo.Node(WhiteNoise())
            ens = nengo.Ensemble(
                50, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()), noise=WhiteNoise()
            )
            nengo.Connection(wave, ens)
            nengo.Connection(noise, ens, synapse=0.1)
            nengo.Probe(ens.neurons)
            nengo.Probe(ens, synapse=0.01)
        return net

    seeds = [5, 3, 9, 3, 1][:n_members]
    singles = {}
    for seed in set(seeds):
        with simulator(pure(), seed=seed, threads=1) as sim:
            sim.run_steps(150)
            singles[seed] = data(sim)
    with simulator(pure(), batch=n_members, seeds=seeds, threads=threads) as sim:
        sim.run_steps(40)
        sim.run_steps(110)
        assert_members(sim, [singles[seed] for seed in seeds])
        assert sim.data[sim.model.probes[0]].dtype == np.dtype(f"float{bits}")


@each_engine
def test_nodes_output_what_is_given(engine, chunks):
    rng = np.random.RandomState(0)
    given_rows = {"wave": rng.uniform(-1, 1, (3, 40, 1)), "constant": rng.randn(3, 40, 2)}
    net = network()
    nodes = {net.wave: given_rows["wave"], net.constant: given_rows["constant"]}
    with simulator(net, batch=3, seeds=SEEDS, engine=engine) as sim:
        sim.run_steps(15, inputs={node: rows[:, :15] for node, rows in nodes.items()})
        sim.run(0.02, inputs={node: rows[:, 15:35] for node, rows in nodes.items()})
        for step in range(35, 40):
            sim.step(inputs={node: rows[:, step] for node, rows in nodes.items()})
        sim.run_steps(130)
        singles = []
        for member, seed in enumerate(SEEDS):
            rows = {name: array[member] for name, array in given_rows.items()}
            singles.append(single_run(170, seed, engine, rows=rows, n_rows=40))
        assert_members(sim, singles)


@each_engine
def test_functions_of_given_nodes_are_not_called(engine):
    calls = []
    with nengo.Network() as net:
        node = nengo.Node(lambda t: calls.append(t) or t, size_out=1)
        probe = nengo.Probe(node)
    with simulator(net, batch=2, engine=engine) as sim:
        sim.run_steps(3)
        assert sorted(calls) == sorted(2 * [0.001, 0.002, 0.003])  # once for each member
        calls.clear()
        rows = np.arange(8).reshape(2, 4, 1)
        sim.run_steps(4, inputs={node: rows})
        assert calls == []
        sim.run_steps(2)
        assert sorted(calls) == pytest.approx(sorted(2 * [0.008, 0.009]))
        np.testing.assert_array_equal(sim.data[probe][:, 3:7], rows)


@each_engine
def test_inputs_of_a_compiled_function(engine):
    with nengo.Network() as net:
        node = nengo.Node(lambda t: 2 * t, size_out=1)
        probe = nengo.Probe(node)
    with simulator(net, batch=3, engine=engine) as sim:
        sim.run_steps(250)
        sim.run_steps(2, inputs={node: np.ones((3, 2, 1))})
        sim.run_steps(250)
        expected = 2 * sim.trange()[:, None]
        expected[250:252] = 1
        np.testing.assert_allclose(sim.data[probe], np.array([expected] * 3), rtol=1e-12)


@pytest.mark.parametrize("n_members", [1, 3, 64])
@each_engine
def test_split_runs_and_checkpoints(engine, n_members, tmp_path):
    def small():
        with nengo.Network(seed=0) as net:
            noise = nengo.Node(WhiteNoise())
            ens = nengo.Ensemble(20, 1)
            nengo.Connection(noise, ens)
            nengo.Connection(ens, ens, synapse=0.1)
            nengo.Probe(ens, synapse=0.01)
            nengo.Probe(ens.neurons, sample_every=0.002)
        return net

    options = {"batch": n_members, "engine": engine}
    seeds = list(range(100, 100 + n_members))
    with simulator(small(), seeds=seeds, **options) as sim:
        sim.run_steps(31)
        whole = data(sim)
        first = whole[0][:, :31]
        sim.reset()
        sim.run_steps(12)
        state = sim.state()
        sim.save(tmp_path / "half.ckpt")
        sim.run_steps(19)
        assert_same(data(sim), whole)
        sim.load_state(state)
        sim.run_steps(19)
        np.testing.assert_array_equal(data(sim)[0], first[:, 12:])
    with nengo_jit.Simulator.load(
        tmp_path / "half.ckpt", small(), progress_bar=False, **options
    ) as sim:
        assert sim.n_steps == 12
        assert sim.seeds == tuple(seeds)
        sim.run_steps(19)
        assert_same(data(sim), whole)


def test_a_run_with_checkpoints_is_resumed(tmp_path):
    path = tmp_path / "run.ckpt"
    net = network()
    rows = np.random.RandomState(0).randn(2, 30, 2)
    with simulator(net, batch=2, seeds=[1, 2]) as sim:
        sim.run_steps(30, inputs={net.constant: rows}, checkpoint=path, every=7)
        sim.run_steps(10)
        whole = data(sim)[:4]  # the last one comes from an object that does not save itself
    with nengo_jit.Simulator.resume(path, network(), batch=2, progress_bar=False) as sim:
        assert sim.n_steps == 30
        assert_same([each[:, :30] for each in data(sim)[::3]], [w[:, :30] for w in whole[::3]])


def test_states_of_another_batch_are_refused():
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Node(WhiteNoise()))
    with simulator(net) as single, simulator(net, batch=2) as two, simulator(net, batch=3) as three:
        with pytest.raises(ValidationError, match="batch of 2 members, not 3"):
            three.load_state(two.state())
        with pytest.raises(ValidationError, match="not the state of a batch"):
            three.load_state(single.state())
        with pytest.raises(ValidationError, match="not the state of a simulator"):
            single.load_state(two.state())
        three.run_steps(2)


def parametric(gain, bias, encoders, weights, into_neurons):
    with nengo.Network(seed=2) as net:
        wave = nengo.Node(lambda t: np.cos(20 * t))
        net.ens = nengo.Ensemble(
            12, 2, gain=gain, bias=bias, encoders=encoders, normalize_encoders=False, radius=2
        )
        out = nengo.Node(size_in=1)
        nengo.Connection(wave, net.ens[1])
        nengo.Connection(wave, net.ens.neurons[2:8], transform=into_neurons)
        net.conn = nengo.Connection(net.ens.neurons, out, transform=weights)
        nengo.Probe(net.ens.neurons)
        nengo.Probe(out)
    return net


@each_engine
def test_members_with_parameters_of_their_own(engine):
    rng = np.random.RandomState(4)
    gain, bias = rng.uniform(1, 3, (3, 12)), rng.uniform(1, 2, (3, 12))
    encoders, weights = rng.randn(3, 12, 2), rng.randn(3, 1, 12)
    into = rng.randn(6, 1)
    net = parametric(gain[0], bias[0], encoders[0], weights[0], into)
    parameters = {
        net.ens: {"gain": gain, "bias": bias, "encoders": encoders},
        net.conn: {"weights": weights},
    }
    with simulator(net, batch=3, parameters=parameters, engine=engine) as sim:
        sim.run_steps(80)
        sim.reset()
        sim.run_steps(80)
        for member in range(3):
            each = parametric(gain[member], bias[member], encoders[member], weights[member], into)
            with simulator(each, engine=engine) as single:
                single.run_steps(80)
                for array, other in zip(data(sim), data(single), strict=True):
                    np.testing.assert_allclose(array[member], other, rtol=1e-12, atol=1e-12)
                built, alone = sim.data[net.ens], single.data[each.ens]
                np.testing.assert_array_equal(built.scaled_encoders[member], alone.scaled_encoders)
                np.testing.assert_array_equal(built.gain[member], alone.gain)
        np.testing.assert_array_equal(sim.data[net.conn].weights, weights)
        assert sim.data[net.ens].eval_points.ndim == 2  # the same for all


def test_scaled_encoders():
    rng = np.random.RandomState(4)
    net = parametric(np.ones(12), np.ones(12), rng.randn(12, 2), rng.randn(1, 12), rng.randn(6, 1))
    scaled = rng.randn(2, 12, 2)
    with simulator(net, batch=2, parameters={net.ens: {"scaled_encoders": scaled}}) as sim:
        np.testing.assert_array_equal(sim.data[net.ens].scaled_encoders, scaled)
        encoders = sim.signals[sim.model.sig[net.ens]["encoders"]]
        np.testing.assert_array_equal(encoders, scaled)


@each_engine
def test_gains_of_connections_of_one_name(engine):
    gain = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    with nengo.Network(seed=0) as net:
        two = [nengo.Node(each, label="node") for each in (0.5, 0.25)]
        ens = nengo.Ensemble(3, 1, bias=np.zeros(3), gain=np.full(3, 2.0), label="ens")
        for node in two:
            nengo.Connection(node, ens.neurons, transform=np.ones((3, 1)), synapse=None)
        current = nengo.Probe(ens.neurons, "input")
    with simulator(net, batch=2, parameters={ens: {"gain": gain}}, engine=engine) as sim:
        sim.run_steps(2)
        np.testing.assert_allclose(sim.data[current][:, -1], 0.75 * gain, rtol=1e-12)


@each_engine
def test_members_that_are_built_anew(engine):
    def built(seed):
        net = network()
        net.seed = seed
        return net

    net = built(None)
    with simulator(net, batch=3, seeds=SEEDS, rebuild=True, engine=engine) as sim:
        sim.run_steps(60)
        for member, seed in enumerate(SEEDS):
            with simulator(built(seed), engine=engine) as single:
                single.run_steps(60)
                for mine, other in zip(data(sim), data(single), strict=True):
                    np.testing.assert_allclose(mine[member], other, rtol=1e-9, atol=1e-12)
        ens = net.all_ensembles[0]
        assert sim.data[ens].encoders.shape == (3, 40, 2)
        assert sim.seeds == tuple(seed + 1 for seed in SEEDS)


class Seeded(nengo.LIF):
    """Neurons that are built with a number that depends on the seed."""


@nengo.builder.Builder.register(Seeded)
def build_seeded(model, neuron_type, neurons):
    nengo.builder.Builder.build(model, nengo.LIF(), neurons)
    signal = nengo.builder.signal.Signal(shape=(1,), name="seeded")
    model.add_op(nengo.builder.operator.Reset(signal, value=model.seeds[neurons.ensemble]))


def test_networks_that_differ_in_more_than_numbers_are_refused():
    with nengo.Network() as net:
        nengo.Ensemble(20, 1, neuron_type=Seeded())
    with pytest.raises(
        ValidationError, match=r"network of member 1, with the seed 12, has another"
    ):
        simulator(net, batch=3, seeds=SEEDS, rebuild=True)


@each_engine
def test_signals_have_an_axis_for_members(engine):
    with nengo.Network(seed=0) as net:
        node = nengo.Node(size_in=2)
        nengo.Connection(nengo.Node([1.0, 2.0]), node, synapse=nengo.Lowpass(0.01))
        probe = nengo.Probe(node)
    with simulator(net, batch=3, engine=engine) as sim:
        sim.run_steps(5)
        signal = sim.model.sig[net.all_connections[0]]["weighted"]
        live = sim.signals[signal]
        assert live.shape == (3, *signal.shape)
        live[1] = 100.0
        sim.signals[signal][2] = -100.0
        sim.run_steps(1)
        last = sim.data[probe][:, -1]
        np.testing.assert_allclose(last[1] - last[0], [100, 100], atol=20)
        np.testing.assert_allclose(last[2] - last[0], [-100, -100], atol=20)
        live[:] = 0.0
        sim.run_steps(1)
        assert (abs(sim.data[probe][:, -1]) < 1e-6).all()


@each_engine
def test_an_error_leaves_all_members_after_the_same_step(engine, chunks):
    def fails(t, x):
        if x[0] > 4.5:
            raise RuntimeError("too much")
        return x

    def build():
        with nengo.Network(seed=0) as net:
            net.source = nengo.Node([0.0])
            nengo.Probe(nengo.Node(WhiteNoise()))
            node = nengo.Node(fails, size_in=1)
            nengo.Connection(net.source, node, synapse=None)
            nengo.Probe(node)
        return net

    rows = np.zeros((3, 50, 1))
    rows[1, 20:], rows[2, 17:] = 5, 5
    net = build()
    with simulator(net, batch=3, seeds=SEEDS, engine=engine) as sim:
        sim.run_steps(10)
        with pytest.raises(RuntimeError, match="too much") as raised:
            sim.run_steps(50, inputs={net.source: rows})
        notes = " ".join(raised.value.__notes__)
        assert "step 28" in notes
        assert "member 2" in notes
        assert sim.n_steps == 27
        assert {each.shape[:2] for each in data(sim)} == {(3, 27)}
        before = data(sim)
        sim.run_steps(5)
        for mine, other in zip(data(sim), before, strict=True):
            np.testing.assert_array_equal(mine[:, :27], other)
        with simulator(build(), batch=3, seeds=SEEDS, engine=engine) as undisturbed:
            undisturbed.run_steps(32)
            assert_same(data(sim)[:1], data(undisturbed)[:1])


@each_engine
def test_ctrl_c_leaves_all_members_after_the_same_step(engine):
    armed = iter([True])  # which all members share

    def interrupts(t):
        if t > 0.02 and next(armed, False):
            raise KeyboardInterrupt
        return t

    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Node(WhiteNoise()))
        nengo.Probe(nengo.Node(interrupts))
    with pytest.warns(UserWarning, match="interrupts.*take items from the same one"):
        sim = simulator(net, batch=3, seeds=SEEDS, engine=engine)
    with sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(50)
        n_steps = sim.n_steps
        assert n_steps <= 20
        sim.run_steps(50 - n_steps)
        interrupted = data(sim)
        sim.reset()
        sim.run_steps(50)
        assert_same(interrupted, data(sim))


@each_engine
def test_lists_collect_what_all_members_do(engine):
    seen = []
    with nengo.Network() as net:
        nengo.Node(lambda t: seen.append(t), size_out=0)
    with simulator(net, engine=engine, batch=4) as sim:
        sim.run_steps(5)
    assert len(seen) == 20


@each_engine
def test_a_function_cannot_run_the_batch_it_is_in(engine):
    sims = []
    with nengo.Network() as net:
        nengo.Node(lambda t: sims[0].run_steps(1), size_out=0)
    with simulator(net, engine=engine, batch=2) as sim:
        sims.append(sim)
        with pytest.raises(SimulationError, match="cannot be run by a function in a step"):
            sim.run_steps(3)
        assert sim.n_steps == 0


@each_engine
def test_a_function_may_close_the_batch(engine):
    sims = []
    with nengo.Network() as net:
        nengo.Node(lambda t: sims[0].close() if t > 0.003 else None)
    sim = simulator(net, engine=engine, batch=2)
    sims.append(sim)
    with pytest.raises(SimulatorClosed):
        sim.run_steps(10)
    assert sim.closed


@each_engine
def test_the_seeds_of_a_reset(engine):
    with nengo.Network(seed=5) as net:
        probe = nengo.Probe(nengo.Node(WhiteNoise()))
    with simulator(net, engine=engine, batch=2) as sim:
        assert sim.batch == 2
        assert sim.seeds == (6, 6)
        sim.run_steps(5)
        np.testing.assert_array_equal(*sim.data[probe])
        sim.reset(seed=[1, 2])
        assert sim.seeds == (1, 2)
        sim.run_steps(5)
        first = sim.data[probe]
        assert (first[0] != first[1]).all()
        sim.reset()
        sim.run_steps(5)
        np.testing.assert_array_equal(sim.data[probe], first)
        sim.reset(seed=2)
        sim.run_steps(5)
        np.testing.assert_array_equal(sim.data[probe], first[[1, 1]])
        with pytest.raises(ValidationError, match="2 members"):
            sim.reset(seed=[1, 2, 3])


def test_probe_data_without_samples_and_after_clearing():
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node([1.0, 2.0]))
    with simulator(net, batch=3) as sim:
        assert sim.data[probe].shape[0] == 3
        assert sim.data[probe].size == 0
        sim.run_steps(4)
        assert sim.data[probe].shape == (3, 4, 2)
        assert not sim.data[probe].flags.writeable
        sim.clear_probes()
        sim.run_steps(2)
        assert sim.data[probe].shape == (3, 2, 2)


@each_engine
def test_batches_are_pickled(engine):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1)
        noise = nengo.Node(WhiteNoise())
        nengo.Connection(noise, ens)
        nengo.Probe(ens)
    bias = np.random.RandomState(0).uniform(0, 2, (2, 10))
    with simulator(
        net, engine=engine, batch=2, seeds=[1, 2], parameters={ens: {"bias": bias}}
    ) as sim:
        sim.run_steps(10)
        with pickle.loads(pickle.dumps(sim)) as other:
            sim.run_steps(10)
            other.run_steps(10)
            assert_same(data(other), data(sim))
            sim.reset()
            other.reset()
            sim.run_steps(10)
            other.run_steps(10)
            assert_same(data(other), data(sim))


def test_what_a_batch_has_not():
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(10, 1))
    with simulator(net, batch=2) as sim:
        with pytest.raises(SimulationError, match="profile"):
            sim.profile()
        with pytest.raises(SimulationError, match="step functions"):
            sim._steps  # noqa: B018
        assert "operators" in str(sim.plan)


def test_data_in_files_and_data_sets(tmp_path):
    with nengo.Network(seed=0) as net:
        noise = nengo.Node(WhiteNoise(), size_out=2)
        nengo.Probe(noise, label="each")
        nengo.Probe(noise, label="third", sample_every=0.003)
        nengo.Probe(noise, label="late", sample_every=1.0)
    with simulator(net, batch=3, seeds=SEEDS) as sim:
        sim.run_steps(10)
        sim.data.save(tmp_path / "data.npz")
        with np.load(tmp_path / "data.npz") as saved:
            np.testing.assert_array_equal(saved["each"], data(sim)[0])
            assert saved["third"].shape == (3, 3, 2)
            assert saved["late"].shape == (3, 0, 2)
            np.testing.assert_allclose(saved["time"], sim.trange())
        pytest.importorskip("xarray")
        dataset = sim.data.to_xarray()
        assert dataset["each"].dims == ("member", "time", "each.0")
        assert dataset["third"].sizes["member"] == 3


def recorded_network():
    with nengo.Network(seed=0) as net:
        noise = nengo.Node(WhiteNoise(), size_out=2)
        nengo.Probe(noise, label="each")
        nengo.Probe(noise, label="third", sample_every=0.003)
        nengo.Probe(noise[0], label="member")
    return net


def assert_in_zarr(path, sim):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="r")
    for name, array in zip(("each", "third", "probe_member"), data(sim), strict=False):
        np.testing.assert_array_equal(group[name][:], array)
    dataset = pytest.importorskip("xarray").open_zarr(path, consolidated=True)
    assert dataset["each"].dims == ("member", "time", "each.0")
    np.testing.assert_allclose(dataset["time"], sim.trange())


def test_data_in_a_zarr_store(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "data.zarr"
    with simulator(recorded_network(), batch=3, seeds=SEEDS) as sim:
        sim.run_steps(10)
        sim.data.save(path)
        assert_in_zarr(path, sim)


@each_engine
def test_data_that_stream_to_disk(engine, tmp_path, monkeypatch):
    pytest.importorskip("zarr")
    monkeypatch.setattr(store, "MOST_ROWS", 8)
    options = {"batch": 3, "seeds": SEEDS, "engine": engine}
    with simulator(recorded_network(), **options) as sim:
        sim.run_steps(45)
        expected = data(sim)
    path, checkpoint = tmp_path / "data.zarr", tmp_path / "run.ckpt"
    with simulator(recorded_network(), record=path, **options) as sim:
        sim.run_steps(20)
        assert_same(data(sim), [array[:, :n] for array, n in zip(expected, (20, 6, 20))])
        sim.run_steps(10, checkpoint=checkpoint)
        sim.run_steps(3)
    with nengo_jit.Simulator.resume(
        checkpoint, recorded_network(), batch=3, engine=engine, progress_bar=False
    ) as sim:
        assert sim.n_steps == 30
        sim.run_steps(15)
        assert_same(data(sim), expected)
        assert_in_zarr(path, sim)
        sim.reset()
        sim.run_steps(5)
        assert_same(data(sim), [array[:, :n] for array, n in zip(expected, (5, 1, 5))])
    with simulator(recorded_network(), record=path, overwrite=True, batch=2) as sim:
        sim.run_steps(3)
    assert_in_zarr(path, sim)


@pytest.fixture(scope="module")
def learner():
    with nengo.Network(seed=0) as net:
        net.node = nengo.Node([1.0, 2.0], label="node")
        net.through = nengo.Node(size_in=2, label="through")
        net.ens = nengo.Ensemble(10, 2, label="ens")
        net.fixed = nengo.Connection(net.through, net.ens, transform=2 * np.eye(2))
        net.plain = nengo.Connection(net.node, net.through)
        net.learned = nengo.Connection(net.ens, net.through, learning_rule_type=nengo.PES())
    return net


BAD_PARAMETERS = [
    (lambda net: {net.node: {"bias": [[1]]}}, "has no parameters"),
    (lambda net: {nengo.Ensemble(1, 1, add_to_container=False): {"bias": [[1]]}}, "has no param"),
    (lambda net: {net.ens: {"radius": [1, 2]}}, "ens.*'radius'.*'bias', 'encoders'"),
    (lambda net: {net.ens: {"bias": np.ones((3, 10))}}, r"ens.*bias.*\(2, 10\).*\(3, 10\)"),
    (lambda net: {net.ens: {"gain": np.ones(10)}}, r"ens.*gain.*\(2, 10\).*\(10,\)"),
    (lambda net: {net.ens: {"bias": "many"}}, r"ens.*bias.*numbers.*\(2, 10\).*'many'"),
    (lambda net: {net.ens: {"bias": [[1, 2], [3]]}}, r"ens.*bias.*numbers.*\(2, 10\)"),
    (lambda net: {net.ens: np.ones((2, 10))}, "ens.*dictionary"),
    (lambda net: {net.learned: {"weights": np.ones((2, 2, 10))}}, "learns"),
    (lambda net: {net.fixed: {"weights": np.ones((2, 2))}}, r"weights.*\(2, 2, 2\).*\(2, 2\)"),
    (lambda net: {net.plain: {"weights": np.ones((2, 2))}}, "has no weights"),
    (
        lambda net: {net.ens: {"gain": np.ones((2, 10)), "scaled_encoders": np.ones((2, 10, 2))}},
        "one or the other",
    ),
    (lambda net: [1], "dictionary"),
]


@pytest.mark.parametrize(("make", "message"), BAD_PARAMETERS)
def test_parameters_that_do_not_fit(learner, make, message):
    with pytest.raises(ValidationError, match=message):
        simulator(learner, batch=2, parameters=make(learner))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "positive whole number"),
        ({"batch": 2.0}, "positive whole number"),
        ({"batch": True}, "positive whole number"),
        ({"seeds": [1]}, "Needs a batch"),
        ({"parameters": {}}, "Needs a batch"),
        ({"rebuild": True}, "Needs a batch"),
        ({"batch": 2, "rebuild": True}, "Needs the seeds"),
        ({"batch": 2, "seeds": 3}, "list of 2 integers"),
        ({"batch": 2, "seeds": [1, 2, 3]}, "each of the 2 members"),
        ({"batch": 2, "seeds": [1, 2.5]}, "integers.*2.5"),
        ({"batch": 2, "seeds": [1, -1]}, "integers.*-1"),
    ],
)
def test_arguments_that_do_not_fit(learner, options, message):
    with pytest.raises(ValidationError, match=message):
        simulator(learner, **options)


def test_voja_changes_encoders():
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(10, 1), nengo.Ensemble(10, 1)
        nengo.Connection(pre, post, learning_rule_type=nengo.Voja())
    with pytest.raises(ValidationError, match="learns"):
        simulator(net, batch=2, parameters={post: {"gain": np.ones((2, 10))}})


BAD_INPUTS = [
    (lambda net: {net.through: np.zeros((2, 4, 2))}, "only passes its input on"),
    (lambda net: {net.ens: np.zeros((2, 4, 2))}, "is no node"),
    (lambda net: {"node": np.zeros((2, 4, 2))}, "'node' is no node"),
    (lambda net: {net.node: np.zeros((2, 5, 2))}, r"node.*\(2, 4, 2\).*\(2, 5, 2\)"),
    (lambda net: {net.node: np.zeros((4, 2))}, r"node.*\(2, 4, 2\).*\(4, 2\)"),
    (lambda net: {net.node: [[["a"]]]}, r"node.*numbers of shape \(2, 4, 2\)"),
    (lambda net: {net.node: np.full((2, 4, 2), np.nan)}, "node.*finite"),
    (lambda net: np.zeros((2, 4, 2)), "dictionary"),
]


@pytest.mark.parametrize(("make", "message"), BAD_INPUTS)
def test_inputs_that_do_not_fit(learner, make, message):
    with simulator(learner, batch=2) as sim:
        with pytest.raises(ValidationError, match=message):
            sim.run_steps(4, inputs=make(learner))
        assert sim.n_steps == 0
        sim.run_steps(1)
    with simulator(learner) as sim, pytest.raises(ValidationError, match="Needs a batch"):
        sim.run_steps(4, inputs={learner.node: np.zeros((2, 4, 2))})


@given(shape=st.lists(st.integers(0, 5), max_size=4).map(tuple))
@settings(deadline=None, max_examples=30)
def test_any_wrong_shape_is_refused(learner, shape):
    with simulator(learner, batch=2) as sim:
        if shape != (2, 3, 2):
            with pytest.raises(ValidationError) as raised:
                sim.run_steps(3, inputs={learner.node: np.zeros(shape)})
            assert str(shape) in str(raised.value)
            assert "(2, 3, 2)" in str(raised.value)
        if shape != (2, 2):
            with pytest.raises(ValidationError):
                sim.step(inputs={learner.node: np.zeros(shape)})
        assert sim.n_steps == 0
    if shape != (2, 10):
        with pytest.raises(ValidationError) as raised:
            simulator(learner, batch=2, parameters={learner.ens: {"gain": np.zeros(shape)}})
        assert str(shape) in str(raised.value)
