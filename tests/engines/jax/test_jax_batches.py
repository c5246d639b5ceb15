"""Batches on the JAX engine: members are rows, and Python is called for each in turn."""

import os
import subprocess
import sys
from types import SimpleNamespace

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError
from nengo.processes import FilteredNoise, WhiteNoise

import nengo_jit
from nengo_jit.engines.jax.batch import engine as jax_batch
from nengo_jit.engines.jax.batch import room
from nengo_jit.engines.jax.calls import Loop

SEEDS = (3, 4, 3)


def simulator(net, **options):
    return nengo_jit.Simulator(net, engine="jax", progress_bar=False, **options)


def data(sim):
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def assert_members(sim, singles, tolerance=1e-9):
    for member, single in enumerate(singles):
        for mine, other in zip(data(sim), single, strict=True):
            assert (mine.dtype, mine[member].shape) == (other.dtype, other.shape)
            np.testing.assert_allclose(mine[member], other, rtol=tolerance, atol=tolerance)


def single_runs(build, n_steps, seeds=SEEDS, **options):
    found = {}
    for seed in set(seeds):
        with simulator(build(), seed=seed, **options) as sim:
            sim.run_steps(n_steps)
            found[seed] = data(sim)
    return [found[seed] for seed in seeds]


def random_network():
    with nengo.Network(seed=3) as net:
        net.wave = nengo.Node(lambda t: np.cos(9 * t))
        noise = nengo.Node(WhiteNoise())
        pre = nengo.Ensemble(30, 1, noise=FilteredNoise(nengo.Lowpass(0.01)))
        random = nengo.StochasticSpiking(nengo.LIFRate())
        post = nengo.Ensemble(20, 1, neuron_type=random)
        nengo.Connection(net.wave, pre)
        nengo.Connection(noise, pre, synapse=0.1)
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
        error = nengo.Node(lambda t, x: x * x * np.sin(t), size_in=1)
        nengo.Connection(pre, error)
        nengo.Connection(error, learned.learning_rule)
        nengo.Probe(pre.neurons)
        nengo.Probe(post, synapse=0.01)
        nengo.Probe(learned, "weights", sample_every=0.0035)
    return net


@pytest.fixture
def loops_counted(monkeypatch):
    counted = []
    run = Loop.run

    def counting(self, memory, first, n):
        counted.append(n)
        return run(self, memory, first, n)

    monkeypatch.setattr(Loop, "run", counting)
    return counted


@pytest.mark.parametrize("noise", ["nengo", "fast"])
def test_members_are_single_runs_in_one_call(noise, loops_counted):
    singles = single_runs(random_network, 60, noise=noise)
    loops_counted.clear()
    with simulator(random_network(), batch=3, seeds=SEEDS, noise=noise) as sim:
        sim._engine.run(25)
        sim._engine.run(35)
        assert loops_counted == [25, 35]
        assert_members(sim, singles)


@pytest.mark.parametrize("n_members", [1, 64])
def test_numbers_in_32_bits(n_members):
    nengo.rc.set("precision", "bits", "32")

    def build():
        with nengo.Network(seed=3) as net:
            noise = nengo.Node(WhiteNoise())
            ens = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear())
            nengo.Connection(noise, ens, synapse=0.1)
            nengo.Probe(ens, synapse=0.01)
        return net

    seeds = [*range(n_members - 1), 7]
    singles = single_runs(build, 20, [7])
    with simulator(build(), batch=n_members, seeds=seeds) as sim:
        sim.run_steps(20)
        (found,) = data(sim)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[-1], singles[0][0], rtol=1e-4, atol=1e-6)


def test_a_step_in_which_one_member_leaves_the_tape():
    def limited(t, x):
        return np.sqrt(0.9 - x) if x[0] < 0.9 else [float(str(-1.0))]

    with nengo.Network(seed=1) as net:
        source = nengo.Node([0.0])
        node = nengo.Node(limited, size_in=1)
        nengo.Connection(source, node, synapse=None)
        nengo.Probe(node)
    rows = np.random.RandomState(0).uniform(0, 1, (3, 40, 1))
    with simulator(net, batch=3) as sim:
        sim.run_steps(40, inputs={source: rows})
        assert not sim.plan.in_python
        expected = np.where(rows < 0.9, np.sqrt(abs(0.9 - rows)), -1.0)
        (found,) = data(sim)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_arrays_of_the_users():
    table = np.arange(1.0, 4.0)

    def build():
        sums = np.zeros(3)

        def scaled(t, x):
            return table * x

        def summed(t, x):
            sums[:] += x
            return sums

        with nengo.Network(seed=1) as net:
            noise = nengo.Node(WhiteNoise(), size_out=3)
            for function in (scaled, summed):
                node = nengo.Node(function, size_in=3)
                nengo.Connection(noise, node, synapse=None)
                nengo.Probe(node)
        return net

    singles = single_runs(build, 12)
    with simulator(build(), batch=3, seeds=SEEDS) as sim:
        sim.run_steps(5)
        sim.run_steps(7)
        ((operator, reason),) = sim.plan.in_python
        assert "summed" in str(operator)
        assert "another one in each member" in reason
        assert_members(sim, singles)


def test_what_a_function_in_python_changes_for_another_one():
    def build():
        class Shared:
            factor = 1.0

        shared = Shared()

        def changes(t, x):
            shared.factor = 1.0 + round(abs(float(x[0]))) + len(str(t)) * 0
            return x

        with nengo.Network(seed=1) as net:
            noise = nengo.Node(WhiteNoise(), size_out=1)
            first = nengo.Node(changes, size_in=1)
            second = nengo.Node(lambda t, x: shared.factor * x, size_in=1)
            nengo.Connection(noise, first, synapse=None)
            nengo.Connection(first, second, synapse=None)
            nengo.Probe(second)
        return net

    singles = single_runs(build, 20)
    with simulator(build(), batch=3, seeds=SEEDS) as sim:
        sim.run_steps(8)
        sim.run_steps(12)
        assert_members(sim, singles)


class Offset(nengo.Process):
    """A process whose steps differ by the seed, without a generator in them."""

    def __init__(self, size_in):
        super().__init__(default_size_in=size_in, default_size_out=1)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        offset = rng.uniform(-1, 1)
        if shape_in == (0,):
            return lambda t: np.array([offset + t])
        return lambda t, x: offset + x


def test_steps_that_are_made_with_a_seed():
    def build():
        with nengo.Network(seed=1) as net:
            source = nengo.Node(Offset(0))
            node = nengo.Node(Offset(1), size_in=1)
            nengo.Connection(source, node, synapse=None)
            nengo.Probe(node)
        return net

    singles = single_runs(build, 6)
    assert (singles[0][0] != singles[1][0]).all()
    with simulator(build(), batch=3, seeds=SEEDS) as sim:
        sim.run_steps(6)
        assert_members(sim, singles)


def test_inputs_take_the_place_of_functions_of_all_kinds():
    def build(rows=None):
        def at(number, otherwise):
            if rows is None:
                return otherwise
            return lambda t, *x: rows[number][round(t / 0.001) - 1]

        with nengo.Network(seed=1) as net:
            net.given = [
                nengo.Node(at(0, lambda t: np.sqrt(0.0 - t)), size_out=1),  # which would warn
                nengo.Node(at(1, lambda t, x: x * x), size_in=1),
                nengo.Node(at(2, lambda t, x: float(str(x[0]))), size_in=1, size_out=1),
                nengo.Node(at(3, WhiteNoise()), size_out=1),
                nengo.Node(at(4, [0.25])),
            ]
            for node in net.given[1:3]:
                nengo.Connection(net.given[0], node, synapse=None)
            for node in net.given:
                out = nengo.Node(size_in=1)
                nengo.Connection(node, out, synapse=0.01)
                nengo.Probe(node)
                nengo.Probe(out)
        return net

    rows = np.random.RandomState(1).uniform(0, 1, (2, 5, 30, 1))
    net = build()
    with simulator(net, batch=2) as sim:
        for cut in (slice(0, 10), slice(10, 30)):
            sim.run_steps(
                cut.stop - cut.start,
                inputs={node: rows[:, number, cut] for number, node in enumerate(net.given)},
            )
        singles = []
        for member in range(2):
            with simulator(build(rows[member])) as single:
                single.run_steps(30)
                singles.append(data(single))
        assert_members(sim, singles)


def test_inputs_do_not_compile_again(loops_counted):
    with nengo.Network(seed=1) as net:
        source = nengo.Node([0.5])
        probe = nengo.Probe(nengo.Ensemble(5, 1), synapse=0.01)
        nengo.Connection(source, probe.obj)
    with simulator(net, batch=2) as sim:
        sim.run_steps(3)
        rows = np.ones((2, 4, 1))
        sim.run_steps(4, inputs={source: rows})
        loop = sim._engine._loop
        for _ in range(3):
            sim.step(inputs={source: rows[:, 0]})
            sim.run_steps(4, inputs={source: rows})
        sim.run_steps(4)
        assert sim._engine._loop is loop
        assert loop._call._cache_size() == 1
        np.testing.assert_array_equal(sim.signals[sim.model.sig[source]["out"]], 0.5)


def test_a_batch_that_does_not_fit(monkeypatch):
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Ensemble(100, 1))
    with simulator(net, batch=1) as sim:
        of_each = sum(rows.nbytes for rows in sim._engine.signals.blocks)
    monkeypatch.setattr(jax_batch, "free_memory", lambda: (60 * of_each, 2))
    with pytest.raises(
        ValidationError, match=r"64 members need about .* members fit at most"
    ) as raised:
        simulator(net, batch=64)
    most = int(str(raised.value).split(": ")[-1].split()[0])
    assert 20 < most < 64
    simulator(net, batch=most).close()
    with pytest.raises(ValidationError, match=f"{most} members fit"):
        simulator(net, batch=most + 1)


@pytest.mark.parametrize(
    ("stats", "expected"),
    [
        ({"bytes_limit": 1000, "bytes_in_use": 300}, (700, room.COPIES)),
        ({"bytes_limit": 1000}, (1000, room.COPIES)),
    ],
)
def test_the_memory_of_a_device(stats, expected, monkeypatch):
    device = SimpleNamespace(memory_stats=lambda: stats)
    monkeypatch.setattr(room.jax, "local_devices", lambda: [device])
    assert room.free_memory() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_batches_in_forked_processes_run_in_python():
    script = """
import os, sys, warnings
import nengo, nengo_jit
import numpy as np
warnings.simplefilter("ignore")
rows = np.random.RandomState(0).uniform(-1, 1, (2, 12, 1))
def run():
    with nengo.Network(seed=1) as net:
        nodes = [nengo.Node([0.5]), nengo.Node(lambda t: t), nengo.Node(lambda t, x: x, size_in=1)]
        ens = nengo.Ensemble(10, 1)
        for node in nodes:
            nengo.Connection(node, ens)
        probe = nengo.Probe(ens, synapse=0.01)
    with nengo_jit.Simulator(net, engine="jax", batch=2, progress_bar=False) as sim:
        sim.run_steps(3)
        sim.run_steps(12, inputs={node: rows for node in nodes})
        sim.run_steps(5)
    return np.array(sim.data[probe])
before = run()
child = os.fork()
if not child:
    os._exit(0 if abs(run() - before).max() < 1e-9 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=240, check=False)
    assert done.returncode == 0


@pytest.mark.filterwarnings("ignore:divide by zero")  # when the function is traced
def test_an_error_of_a_function_on_the_device_names_the_member():
    def build():
        with nengo.Network(seed=1) as net:
            net.given = nengo.Node([1.0])
            inverse = nengo.Node(lambda t, x: 1 / x, size_in=1)
            nengo.Connection(net.given, inverse, synapse=None)
            nengo.Probe(inverse)
            nengo.Probe(nengo.Node(Offset(0)))
            nengo.Probe(nengo.Node(WhiteNoise()))
        return net

    rows = np.ones((3, 20, 1))
    rows[1, 6] = 0
    net = build()
    with simulator(net, batch=3, seeds=SEEDS) as sim:
        with pytest.raises(SimulationError) as raised:
            sim.run_steps(20, inputs={net.given: rows})
        notes = " ".join(raised.value.__notes__)
        assert "step 7" in notes
        assert "member 1" in notes
        assert not sim.plan.in_python
        assert sim.n_steps == 6
        state = sim.state()
        sim.run_steps(14, inputs={net.given: np.ones((3, 14, 1))})
        assert_members(sim, single_runs(build, 20))
        expected = [array[:, 6:] for array in data(sim)]
    with simulator(build(), batch=3) as other:
        other.load_state(state)
        other.run_steps(14)
        for mine, theirs in zip(data(other), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)
