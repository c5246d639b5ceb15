"""Checkpoints in files: continuing from one equals never having stopped."""

import os
import random
import shutil
import sys
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError

import nengo_jit
from nengo_jit.engines import ENGINES
from nengo_jit.persistence.checkpoint import CONTENT, READERS, Checkpoint
from nengo_jit.persistence.periodic import previous_of

sys.path.insert(0, str(Path(__file__).parent / "engines"))
from test_state import network

GOLDEN = Path(__file__).parent / "persistence" / "golden"
each_engine = pytest.mark.parametrize("engine", ENGINES)


def simulator(net, **options):
    return nengo_jit.Simulator(net, progress_bar=False, **options)


def load(path, net, **options):
    return nengo_jit.Simulator.load(path, net, progress_bar=False, **options)


def resume(path, net, **options):
    return nengo_jit.Simulator.resume(path, net, progress_bar=False, **options)


def data(sim):
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(mine, other)


def undisturbed(net, n_steps, **options):
    with simulator(net, **options) as sim:
        sim.run_steps(n_steps)
        return data(sim)


@contextmanager
def precision(bits):
    """Context in which models have numbers of so many bits."""
    before = nengo.rc.get("precision", "bits")
    nengo.rc.set("precision", "bits", str(bits))
    try:
        yield
    finally:
        nengo.rc.set("precision", "bits", before)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.ckpt"


@each_engine
def test_continuing_from_a_file_equals_never_having_stopped(engine, path):
    expected = undisturbed(network(), 700, engine=engine)
    with simulator(network(), engine=engine, threads=1) as sim:
        sim.run_steps(650)
        sim.save(path)
        sim.run_steps(50)  # which the checkpoint does not disturb
        assert_same(data(sim), expected)
    for threads in (1, 2, 3):
        with load(path, network(), engine=engine, threads=threads) as sim:
            assert (sim.n_steps, sim.time, sim.seed) == (650, 0.65, 1)
            sim.run_steps(50)
            assert_same(data(sim), expected)


@pytest.mark.parametrize("bits", [16, 32])
def test_other_precisions(bits, path):
    with precision(bits):
        expected = undisturbed(network(), 60)
        with simulator(network()) as sim:
            sim.run_steps(30)
            sim.save(path)
        with load(path, network()) as sim:
            sim.run_steps(30)
            assert_same(data(sim), expected)
    with pytest.raises(ValidationError, match=f"type float64, not float{bits}"):
        load(path, network())


def test_engines_load_each_others_files(path):
    with simulator(network(), engine="reference") as sim:
        sim.run_steps(20)
        sim.save(path)
    expected = undisturbed(network(), 40, engine="reference")
    with load(path, network(), engine="cpu") as sim:
        sim.run_steps(20)
        assert sim.engine == "cpu"
        for mine, other in zip(data(sim), expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12)


def test_probe_data_may_stay_out(path):
    with simulator(network()) as sim:
        sim.run_steps(20)
        sim.save(path, data=False)
        sim.clear_probes()
        sim.run_steps(20)
        expected = data(sim)
    with load(path, network()) as sim:
        assert [len(each) for each in data(sim)] == [0] * 4
        sim.run_steps(20)
        assert_same(data(sim), expected)


def test_lists_and_matrices_of_probes(path):
    """A list of the user's, deleted data, an object without numbers, and sparse matrices."""
    with nengo.Network(seed=0) as net:
        nodes = [nengo.Node(lambda t: t) for _ in range(3)]
        probes = [nengo.Probe(node) for node in nodes]
        learned = nengo.Connection(
            nengo.Ensemble(5, 1).neurons,
            nengo.Ensemble(5, 1).neurons,
            transform=nengo.Sparse((5, 5), indices=[(0, 1), (3, 2)], init=[0.5, 2.0]),
        )
        probes.append(nengo.Probe(learned, "weights"))

    class Sink:
        def append(self, sample):
            pass

    with simulator(net) as sim:
        sim.data.raw[probes[0]] = [np.array([7.0])]
        sim.data.raw[probes[2]] = Sink()
        sim.run_steps(3)
        del sim.data.raw[probes[1]]
        sim.save(path)
        weights = sim.data.raw[probes[3]]
    with load(path, net) as sim:
        np.testing.assert_allclose(sim.data[probes[0]], [[7.0], [0.001], [0.002], [0.003]])
        assert [len(sim.data[each]) for each in probes[1:]] == [0, 0, 3]
        assert type(sim.data.raw[probes[3]]) is list
        sim.run_steps(1)
        assert len(sim.data.raw[probes[3]]) == 4
        for mine, other in zip(sim.data.raw[probes[3]], weights):
            np.testing.assert_array_equal(mine.toarray(), other.toarray())


def test_networks_without_seeds_are_built_as_before(path):
    def unseeded():
        with nengo.Network() as net:
            ensemble = nengo.Ensemble(10, 1, noise=nengo.processes.WhiteNoise())
            with nengo.Network():
                nengo.Connection(nengo.Ensemble(10, 2), nengo.Ensemble(10, 2))
            nengo.Probe(ensemble)
        return net

    with simulator(unseeded()) as sim:
        sim.run_steps(10)
        sim.save(path)
        sim.run_steps(10)
        expected = data(sim)
    with load(path, unseeded()) as sim:
        sim.run_steps(10)
        assert_same(data(sim), expected)


def test_arguments_of_the_constructor(path):
    with simulator(network(), dt=0.002, seed=7) as sim:
        sim.run_steps(5)
        sim.save(path)
    with load(path, network(), engine="reference") as sim:
        assert (sim.dt, sim.seed, sim.n_steps) == (0.002, 7, 5)
        sim.reset()
        assert sim.seed == 7
    with pytest.raises(ValidationError, match=r"has steps of 0.001 s, not of 0.002 s") as caught:
        load(path, network(), dt=0.001)
    assert str(path) in caught.value.__notes__[-1]
    with pytest.raises(ValidationError, match="threads"):
        load(path, network(), threads=0)
    with pytest.raises(ValidationError, match=r"seed: The seed .* is 7, not 8"):
        load(path, network(), seed=8)
    with load(path, network(), seed=7) as sim:
        assert sim.n_steps == 5
    with pytest.raises(ValidationError, match=r"network: Must be a Network \(got 3\)"):
        load(path, 3)


class Special(nengo_jit.Simulator):
    pass


def test_subclasses_and_built_models(path):
    with Special(network(), progress_bar=False) as sim:
        sim.run_steps(5)
        sim.save(path)
        model = sim.model
    with Special.load(path, None, model=model, progress_bar=False) as sim:
        assert type(sim) is Special
        assert (sim.n_steps, sim.model) == (5, model)


# Objects that keep a state


class Counter:
    """Counts its calls, and saves its state."""

    def __init__(self):
        self.n, self.history = 0, np.zeros(2)

    def __call__(self, t):
        self.n += 1
        self.history[0] += t
        return [self.n, self.history[0]]

    def state(self):
        return {"n": self.n, "history": self.history, "more": (np.float32(1.5), [None, "x"])}

    def load_state(self, state):
        assert state["more"] == (np.float32(1.5), [None, "x"])
        self.n, self.history = state["n"], state["history"]


class Walk(nengo.Process):
    """A process whose steps keep a state, and save it if that is asked for."""

    def __init__(self, saves):
        super().__init__(default_size_in=0, default_size_out=1)
        self.saves = saves

    def make_step(self, shape_in, shape_out, dt, rng, state):
        class Step:
            def __init__(self):
                self.position = np.zeros(shape_out)

            def __call__(self, t):
                self.position = self.position + rng.uniform(-1, 1, size=shape_out)
                return self.position

        if self.saves:
            Step.state = lambda self: self.position
            Step.load_state = lambda self, state: setattr(self, "position", state)
        return Step()


def stateful(saves=True):
    rng, builtin = np.random.RandomState(3), np.random.default_rng(4)
    first, second, third = (Counter() for _ in range(3))
    with nengo.Network(seed=0) as net:
        functions = [
            *[first, second.__call__, lambda t: third(t)],
            *[lambda t: rng.normal(), lambda t: builtin.normal(size=2), rng.uniform],
        ]
        for function in functions:
            nengo.Probe(nengo.Node(function, size_in=0))
        nengo.Probe(nengo.Node(Walk(saves)))
    return net


@each_engine
def test_objects_that_save_their_state(engine, path):
    expected = undisturbed(stateful(), 300, engine=engine)
    with simulator(stateful(), engine=engine) as sim, warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.run_steps(150)
        sim.save(path)
        counter = sim.model.toplevel.nodes[0].output
        counter.history[:] = np.nan  # the checkpoint has a copy
    with load(path, stateful(), engine=engine) as sim:
        sim.run_steps(150)
        assert_same(data(sim), expected)


@each_engine
def test_the_rest_is_named_in_one_warning(engine, path):
    history = []
    with nengo.Network(seed=0) as net:
        nengo.Node(lambda t: len(history), label="suspect")
        nengo.Node(Walk(saves=False), label="process")
        nengo.Node(lambda t: np.sin(t), label="plain")
    with simulator(net, engine=engine) as sim:
        sim.run_steps(3)
        with pytest.warns(UserWarning) as caught:
            sim.save(path)
        (message,) = [str(each.message) for each in caught]
        assert "suspect" in message and "process" in message and "plain" not in message
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sim.save(path)
            sim.run_steps(3, checkpoint=str(path) + "2", every=1)


def test_states_that_cannot_be_saved_name_the_object(path):
    class Wrong(Counter):
        def state(self):
            return {"objects": [self]}

    with nengo.Network(seed=0) as net:
        nengo.Node(Wrong(), label="wrong")
    with simulator(net) as sim, pytest.raises(TypeError, match="Wrong") as caught:
        sim.save(path)
    assert "wrong" in caught.value.__notes__[-1]
    assert not path.exists()


def test_objects_of_another_model_are_refused(path):
    def made(function):
        with nengo.Network(seed=0) as net:
            nengo.Node(function, size_in=0, size_out=2, label="counts")
        return net

    class Plain(Counter):
        load_state = None

    Plain.__qualname__ = "Counter"
    with simulator(made(Counter())) as sim:
        sim.save(path)
    with pytest.raises(ValidationError, match=r"lacks an object that saves its state in .*counts"):
        load(path, made(Plain()))


# What is refused


def changed(**changes):
    with nengo.Network(seed=changes.get("seed", 0)) as net:
        a = nengo.Ensemble(changes.get("n", 10), 1, label="a")
        b = nengo.Ensemble(10, 1, label="b")
        synapse, transform = changes.get("synapse", 0.01), changes.get("transform", 1.0)
        connection = nengo.Connection(a, b, synapse=synapse, transform=transform)
        if "rule" in changes:
            connection.learning_rule_type = changes["rule"]
        for obj in (a, b)[: changes.get("n_probes", 2)]:
            nengo.Probe(obj, sample_every=changes.get("sample_every"))
    return net


@pytest.mark.parametrize(
    "changes, difference",
    [
        ({"n": 11}, "another operator number"),
        ({"synapse": 0.02}, "another operator number .*LinearFilter|Lowpass"),
        ({"transform": 0.5}, "different values in"),
        ({"seed": 1}, "different values in"),
        ({"n_probes": 1}, "operators, not|another operator|probes"),
        ({"sample_every": 0.005}, "period"),
        ({"rule": nengo.Voja()}, "operator"),
    ],
    ids=repr,
)
def test_checkpoints_of_other_models(path, changes, difference):
    with simulator(changed()) as sim:
        sim.run_steps(3)
        sim.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the simulator is closed
        with pytest.raises(ValidationError, match=difference):
            load(path, changed(**changes))
    load(path, changed()).close()


def saved(path):
    with simulator(changed()) as sim:
        sim.run_steps(3)
        sim.save(path)
    return path.read_bytes()


def test_truncated_files(path):
    whole = saved(path)
    for length in (0, 1, 30, 500, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValidationError, match=r"run.ckpt' is no checkpoint .*damaged"):
            load(path, changed())


def test_positions_outside_of_the_file(path):
    damaged = bytearray(saved(path))
    damaged[-4] ^= 0x20  # of the position of the directory: the system refuses to seek there
    path.write_bytes(damaged)
    with pytest.raises(ValidationError, match="damaged"):
        load(path, changed())


def test_flipped_bits_are_noticed(path):
    """A changed byte is an error, or changes nothing."""
    whole, draw = saved(path), random.Random(0)
    expected = Checkpoint.read(path)
    n_errors = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            found = Checkpoint.read(path)
        except ValidationError:
            n_errors += 1
            continue
        for mine, other in zip(found.state["signals"], expected.state["signals"], strict=True):
            np.testing.assert_array_equal(mine, other)
        assert found.state["n_steps"] == 3
    assert n_errors > 200


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY"])
def test_other_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ValidationError, match=r"run.ckpt' is no checkpoint"):
        load(path, changed())
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    with pytest.raises(ValidationError, match="is no checkpoint"):
        load(path.with_suffix(".npz"), changed())
    with pytest.raises(FileNotFoundError):
        load(path.with_name("missing"), changed())


class Trap:
    """Would write a file when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_nothing_is_executed(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(path)
    np.save("trap.npy", np.array([Trap()]), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.write("trap.npy", "trap.npy")
    with pytest.raises(ValidationError, match="damaged"):
        load(path, changed())
    assert not (tmp_path / "trapped").exists()


def rewritten(path, old, new):
    """Replace a text in the structure of a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[CONTENT] = parts[CONTENT].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def test_unknown_formats(path):
    saved(path)
    rewritten(path, b'"format": 1, "versions"', b'"format": 99, "versions"')
    with pytest.raises(ValidationError, match="has the format 99; this version reads 1"):
        load(path, changed())


def test_numpy_reads_the_files(path):
    saved(path)
    with np.load(path) as arrays:
        assert arrays["samples/0"].shape == (3, 1)


@pytest.mark.parametrize("number", READERS)
def test_golden_files(number):
    """Files of each format can be read: `golden/write.py` has written them."""
    sys.path.insert(0, str(GOLDEN))
    from write import N_STEPS, golden_network

    expected = undisturbed(golden_network(), N_STEPS + 20)
    with load(GOLDEN / f"{number}.ckpt", golden_network()) as sim:
        assert sim.n_steps == N_STEPS
        assert [len(each) for each in data(sim)] == [N_STEPS] * len(expected)
        sim.run_steps(20)
        for mine, other in zip(data(sim), expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-9)


def test_paths_that_cannot_be_written(path, tmp_path):
    with simulator(changed()) as sim:
        sim.run_steps(3)
        for where in (tmp_path / "missing" / "run.ckpt", tmp_path):
            where = where.resolve()
            with pytest.raises(OSError) as caught:
                sim.save(where)
            assert str(where) in str(caught.value)
            with pytest.raises(OSError) as caught:
                sim.run_steps(3, checkpoint=where)
            assert str(where) in str(caught.value)
        sim.run_steps(1)
        assert sim.n_steps == 4


def test_between_runs_only(path):
    with nengo.Network() as net:
        nengo.Node(lambda t: sim.save(path) if t > 0 else None, size_out=0)
    with simulator(net) as sim, pytest.raises(SimulationError, match="between runs only"):
        sim.run_steps(1)
    with pytest.raises(SimulatorClosed):
        sim.save(path)


# Checkpoints of a run


def test_how_often_needs_where_to():
    with simulator(changed()) as sim:
        for run in (sim.run_steps, sim.run):
            with pytest.raises(ValidationError, match="Say where to"):
                run(3, every="5 min")


@each_engine
def test_runs_write_checkpoints_and_are_resumed(engine, path):
    expected = undisturbed(network(), 60, engine=engine)
    with simulator(network(), engine=engine) as sim:
        sim.run_steps(24, checkpoint=path, every=5)
        assert Checkpoint.read(path).state["n_steps"] == 24
        assert Checkpoint.read(previous_of(path)).state["n_steps"] == 20
        assert sorted(os.listdir(path.parent)) == [
            ".run.ckpt.lock",
            path.name,
            f"{path.name}.previous",
        ]
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.previous"]
    with resume(path, network(), engine=engine, threads=2) as sim:
        assert sim.n_steps == 24
        sim.run(0.036, checkpoint=path, every="11 ms simulated")
        assert_same(data(sim), expected)
        assert Checkpoint.read(previous_of(path)).state["n_steps"] == 55
    path.unlink()  # as if the process had been killed between two renamings
    with resume(path, network(), engine=engine) as sim:
        assert sim.n_steps == 55
        sim.run_steps(5)
        assert_same(data(sim), expected)


def test_where_there_is_no_checkpoint_it_begins_anew(path):
    with pytest.warns(UserWarning, match="no checkpoint .* begins anew"):
        sim = resume(path, changed(), dt=0.002, seed=3)
    with sim:
        assert (sim.n_steps, sim.dt, sim.seed) == (0, 0.002, 3)
        sim.run_steps(10, checkpoint=path, every=3)
    with resume(path, changed()) as sim:
        assert (sim.n_steps, sim.dt, sim.seed) == (10, 0.002, 3)


def test_a_damaged_newest_checkpoint(path):
    with simulator(changed()) as sim:
        sim.run_steps(10, checkpoint=path, every=6)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"damaged.*run.ckpt.damaged.*from the checkpoint before"):
        sim = resume(path, changed())
    with sim:
        assert sim.n_steps == 6
    shutil.copy(path.with_name("run.ckpt.damaged"), path)
    previous_of(path).write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ValidationError, match="damaged"):
        resume(path, changed())
    path.write_bytes(whole)
    with resume(path, changed()) as sim:
        assert sim.n_steps == 10


def test_two_simulators_on_one_path(path):
    with simulator(changed()) as sim, simulator(changed()) as other:
        sim.run_steps(3, checkpoint=path)
        for attempt in (
            lambda: other.run_steps(3, checkpoint=path),
            lambda: resume(path, changed()),
        ):
            with pytest.raises(ValidationError, match="being written by another simulator"):
                attempt()
        sim.close()
        assert other.n_steps == 0
        with pytest.raises(ValidationError, match="checkpoint of another simulation"):
            other.run_steps(3, checkpoint=path)
        with load(path, changed()) as third:
            assert third.n_steps == 3
    assert os.listdir(path.parent) == [path.name]


def test_a_simulator_may_change_the_path(path):
    with simulator(changed()) as sim:
        sim.run_steps(3, checkpoint=path)
        sim.run_steps(3, checkpoint=path.with_name("other"))
        with resume(path, changed()) as other:
            assert other.n_steps == 3


@pytest.mark.parametrize("how", ["step", "_probe", "_steps"])
def test_simulators_whose_methods_are_replaced(path, how):
    class Replaced(nengo_jit.Simulator):
        pass

    if how != "_steps":

        def method(self):
            getattr(nengo_jit.Simulator, how)(self)

        setattr(Replaced, how, method)
    expected = undisturbed(network(), 30)
    sim = Replaced(network(), progress_bar=False)
    if how == "_steps":
        sim._steps = list(sim._steps)
    with sim:
        sim.run_steps(20, checkpoint=path, every=7)
        assert Checkpoint.read(previous_of(path)).state["n_steps"] == 14
    with Replaced.resume(path, network(), progress_bar=False) as sim:
        sim.run_steps(10)
        for mine, other in zip(data(sim), expected, strict=True):
            np.testing.assert_array_equal(mine, other)
