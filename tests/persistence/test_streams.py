"""Probe data on disk equal those in memory, whatever happens to the process."""

import os
import pickle
import shutil
import sys
import threading
from pathlib import Path

import nengo
import numpy as np
import pytest
from nengo.exceptions import ReadonlyError, SimulationError, ValidationError

import nengo_jit
from nengo_jit.engines import ENGINES
from nengo_jit.persistence import store, stream
from nengo_jit.persistence.stored import Stored

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
from test_state import network

xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")

each_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of a few rows, batches of a few steps, and commits after each piece."""
    monkeypatch.setattr(store, "MOST_ROWS", 16)
    monkeypatch.setattr(stream, "PENDING", 2000)
    monkeypatch.setattr(stream, "INTERVAL", 0.0)
    monkeypatch.setattr(stream, "SHARE", 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


@pytest.fixture
def checkpoint(tmp_path):
    return tmp_path / "run.ckpt"


def simulator(net, **options):
    return nengo_jit.Simulator(net, progress_bar=False, **options)


def resume(path, net, **options):
    return nengo_jit.Simulator.resume(path, net, progress_bar=False, **options)


def data(sim):
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def assert_same(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(mine, other)


def undisturbed(n_steps, **options):
    with simulator(network(), **options) as sim:
        sim.run_steps(n_steps)
        return data(sim)


def on_disk(path, first=0, n_probes=4):
    """Data in a store, after a look at the times."""
    with xarray.open_zarr(path) as found:
        for axis in ("time", "time_every_0.003_s"):
            times = found[axis].values
            steps = np.arange(first + 1, first + 1 + 10 * len(times) + 30)
            steps = steps if axis == "time" else steps[steps % 3 == 0]
            if axis == "time" or np.isclose(times, 0.003 * np.round(times / 0.003)).all():
                np.testing.assert_allclose(times, steps[: len(times)] * 0.001)
        return [found[f"probe_{number}"].values for number in range(n_probes)]


@each_engine
def test_data_are_those_in_memory(engine, path):
    expected = undisturbed(300, engine=engine)
    with simulator(network(), engine=engine, record=path) as sim:
        sim.run_steps(130)
        for _ in range(40):
            sim.step()
        sim.run(0.130)
        assert_same(data(sim), expected)
        assert_same([each[:] for each in map(sim.data.__getitem__, sim.model.probes)], expected)
        assert len(on_disk(path)[0]) == 300  # since the run has ended
        sim.step()
    assert_same([each[:300] for each in on_disk(path)[:3]], expected[:3])
    assert len(on_disk(path)[0]) == 301
    assert_same([each[:300] for each in data(sim)[:3]], expected[:3])  # it is closed


@each_engine
def test_times_of_probes_that_do_not_record_in_each_step(engine, path):
    with nengo.Network() as net:
        node = nengo.Node(lambda t: t)
        for sample_every in (None, 0.003, 0.0025, 0.003, 1e9):
            nengo.Probe(node, sample_every=sample_every)
    with simulator(net, engine=engine, record=path) as sim:
        sim.run_steps(50)
        sim.run_steps(7)
    with xarray.open_zarr(path) as found:
        assert sorted(found.coords) == [
            *["time", "time_every_0.0025_s", "time_every_0.003_s", "time_every_1e+09_s"]
        ]
        for name, each in found.data_vars.items():
            np.testing.assert_allclose(each.values[:, 0], found[each.dims[0]].values, err_msg=name)


def test_memory_is_released(path, monkeypatch):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(np.ones(100)))
    with simulator(net, record=path) as sim:
        recorder = sim._engine.recording.recorders[probe]
        sizes = []
        for _ in range(8):
            sim.run_steps(50)
            held = sim.data[probe]._held
            sizes.append(sum(part.nbytes for part in held.contents.parts))
            block = held.contents.block
            n_blocks = 0
            while block is not None:
                block, n_blocks = block.next, n_blocks + 1
            assert n_blocks <= 2
        assert max(sizes) <= 16 * 800
        assert len(sim.data[probe]) == 400
        assert recorder.block.rows.nbytes < 200_000


class TestStored:
    @pytest.fixture
    def both(self, path):
        """Samples on disk, some of which are not written yet, and the same as an array."""
        with nengo.Network() as net:
            probe = nengo.Probe(nengo.Node(lambda t: [t, -t, t**2]))
        with simulator(net, record=path) as sim:
            sim.run_steps(90)
            for _ in range(7):
                sim.step()
            times = np.arange(1, 98) * 0.001
            yield sim.data[probe], np.array(sim.data[probe])
            np.testing.assert_allclose(sim.data[probe][:, 0], times)

    @pytest.mark.parametrize(
        "key",
        [
            *[0, -1, 96, -97, 50, np.int64(3), slice(None), slice(5, 9), slice(-3, None)],
            *[slice(9, 5), slice(None, None, 7), slice(80, 10, -9), slice(200, 300), ...],
            *[(3, 1), (slice(2, 50, 3), 1), (..., 0), (slice(None), [0, 2]), [1, 95], None],
            *[(slice(3, 1), slice(0, 2)), (4, slice(1, None)), np.arange(97) % 2 == 0, ()],
            *[(slice(None), None), (np.array([1, 2]), np.array([0, 1])), (-1, ...)],
        ],
        ids=repr,
    )
    def test_indices(self, both, key):
        stored, array = both
        np.testing.assert_array_equal(stored[key], array[key])
        assert np.shape(stored[key]) == array[key].shape

    @pytest.mark.parametrize("key", [97, -98, (97, 0), (0, 3)])
    def test_indices_out_of_bounds(self, both, key):
        with pytest.raises(IndexError):
            both[0][key]

    def test_it_is_like_an_array(self, both):
        stored, array = both
        assert (len(stored), stored.shape, stored.ndim) == (97, (97, 3), 2)
        assert (stored.size, stored.dtype, stored.nbytes) == (291, np.float64, 8 * 291)
        np.testing.assert_array_equal(stored + 1, array + 1)
        np.testing.assert_array_equal(2 * stored > stored, 2 * array > array)
        np.testing.assert_array_equal(np.mean(stored, axis=0), array.mean(axis=0))
        np.testing.assert_array_equal(np.sin(stored), np.sin(array))
        np.testing.assert_array_equal(np.asarray(stored, np.float32), array.astype(np.float32))
        np.testing.assert_array_equal(list(stored), list(array))
        assert "97 samples" in repr(stored)
        copied = pickle.loads(pickle.dumps(stored))
        assert type(copied) is np.ndarray
        np.testing.assert_array_equal(copied, array)
        with pytest.raises(ValueError):
            np.array(stored, copy=False)
        assert np.array(stored).flags.writeable
        assert not np.asarray(stored).flags.writeable
        np.testing.assert_array_equal(stored.T, array.T)
        assert stored.mean() == array.mean()
        with pytest.raises(ValueError, match="read-only"):
            stored.sort()
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            stored.nothing  # noqa: B018

    def test_it_cannot_be_changed(self, both):
        stored, _ = both
        attempts = [
            lambda: stored.__delitem__(slice(3)),
            lambda: stored.__setitem__(0, 1.0),
            *[lambda: stored.append([1.0]), lambda: stored.clear(), lambda: stored.pop()],
            lambda: np.add(stored, 1.0, out=stored),
        ]
        for attempt in attempts:
            with pytest.raises(ReadonlyError, match=r"cannot be changed.*clear_probes"):
                attempt()
        assert len(stored) == 97


def test_raw_data_cannot_be_replaced(path):
    with simulator(network(), record=path) as sim:
        probe = sim.model.probes[0]
        sim.run_steps(30)
        assert type(sim.data.raw[probe]) is Stored
        assert sim.model.params[probe] is sim.data.raw[probe]
        with pytest.raises(ReadonlyError):
            sim.data.raw[probe] = []
        with pytest.raises(ReadonlyError):
            del sim.data.raw[probe]
        with pytest.raises(ReadonlyError):
            del sim.data.raw[probe][:10]
        sim.run_steps(10)
        assert len(sim.data[probe]) == 40


@each_engine
def test_the_store_begins_anew(engine, path):
    with simulator(network(), engine=engine, record=path) as sim:
        sim.run_steps(50)
        before = sim.data[sim.model.probes[0]]
        sim.clear_probes()
        assert len(on_disk(path)[0]) == 0
        with pytest.raises(SimulationError, match="deleted"):
            before[:]
        sim.run_steps(40)
        assert len(sim.data[sim.model.probes[0]]) == len(on_disk(path, first=50)[0]) == 40
        sim.reset(seed=3)
        expected = None
        sim.run_steps(20)
        expected = data(sim)
        assert_same(on_disk(path), expected)
        state = sim.state()
        sim.run_steps(20)
        sim.load_state(state)
        sim.run_steps(10)
        assert len(on_disk(path, first=20)[0]) == 10


def test_clearing_during_a_run(path):
    with nengo.Network() as net:
        node = nengo.Node(lambda t: t)
        nengo.Node(lambda t: sim.clear_probes() if np.isclose(t, 0.07) else None, size_out=0)
        probe = nengo.Probe(node)
    with simulator(net, record=path) as sim:
        sim.run_steps(100)
        np.testing.assert_allclose(sim.data[probe][:, 0], np.arange(70, 101) * 0.001)
    with xarray.open_zarr(path) as found:
        np.testing.assert_allclose(found.time.values, np.arange(70, 101) * 0.001)


def test_threads_read_and_clear_during_a_run(path):
    errors = []
    with simulator(network(), record=path) as sim:
        probe = sim.model.probes[0]
        sim.run_steps(10)
        done = threading.Event()

        def look():
            while not done.is_set():
                try:
                    stored = sim.data[probe]
                    n = len(stored)
                    assert len(stored[: n // 2]) == n // 2
                    sim.clear_probes()
                except SimulationError:  # another thread has cleared them
                    pass
                except Exception as error:
                    errors.append(error)
                    return

        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            sim.run_steps(100)
        done.set()
        for thread in threads:
            thread.join()
        assert errors == []
        sim.clear_probes()
        sim.run_steps(20)
        assert_same(on_disk(path, first=510), data(sim))


# Checkpoints


@each_engine
def test_a_run_is_resumed_without_a_seam(engine, path, checkpoint):
    expected = undisturbed(300, engine=engine)
    with simulator(network(), engine=engine, record=path) as sim:
        sim.run_steps(130, checkpoint=checkpoint, every=50)
        sim.run_steps(60)  # which no checkpoint knows
    assert len(on_disk(path)[0]) == 190
    for n_steps, n_more in ((130, 70), (200, 100)):
        with resume(checkpoint, network(), engine=engine) as sim:
            assert sim.n_steps == len(on_disk(path)[0]) == n_steps
            assert_same([each[:n_steps] for each in expected[:3]], data(sim)[:3])
            sim.run_steps(n_more, checkpoint=checkpoint)
            if sim.n_steps == 300:
                assert_same(data(sim), expected)
    assert_same(on_disk(path), expected)


def test_a_store_may_be_moved(path, checkpoint, tmp_path):
    with simulator(network(), record=path) as sim:
        sim.run_steps(40, checkpoint=checkpoint)
    (tmp_path / "moved").mkdir()
    for each in (path, checkpoint):  # both together
        shutil.move(each, tmp_path / "moved")
    with resume(tmp_path / "moved" / checkpoint.name, network()) as sim:
        assert len(sim.data[sim.model.probes[0]]) == 40
    shutil.move(tmp_path / "moved" / path.name, tmp_path / "other.zarr")
    with resume(
        tmp_path / "moved" / checkpoint.name, network(), record=tmp_path / "other.zarr"
    ) as sim:
        assert len(sim.data[sim.model.probes[0]]) == 40
    with pytest.raises(FileNotFoundError, match=r"run.zarr"):
        resume(tmp_path / "moved" / checkpoint.name, network())


def test_before_the_first_checkpoint_it_begins_anew(path, checkpoint):
    with simulator(network(), record=path) as sim:
        sim.run_steps(40)
    with pytest.warns(UserWarning, match="begins anew"):
        sim = resume(checkpoint, network(), record=path)
    with sim:
        sim.run_steps(20, checkpoint=checkpoint)
    assert len(on_disk(path)[0]) == 20
    with pytest.warns(UserWarning), pytest.raises(ValidationError, match=r"checkpoints are .*run"):
        resume(checkpoint.with_name("mistyped"), network(), record=path)
    assert len(on_disk(path)[0]) == 20
    with resume(checkpoint, network()) as sim:
        assert sim.n_steps == 20


def without_their_data(path):
    """Checkpoints, each with a store that was cleared or reset since, or is that of another run."""
    for change in ("clear_probes", "reset"):
        with simulator(network(), record=path, overwrite=True) as sim:
            sim.run_steps(30, checkpoint=path.with_name(change))
            getattr(sim, change)()
            sim.run_steps(50)
        yield path.with_name(change)
    other = path.with_name("other.zarr")
    with simulator(network(), record=other) as sim:
        sim.run_steps(30, checkpoint=path.with_name("another"))
    shutil.rmtree(other)
    with simulator(network(), record=other) as sim:
        sim.run_steps(50)
    yield path.with_name("another")


def test_data_that_do_not_belong_to_the_checkpoint(path):
    for checkpoint in without_their_data(path):
        with pytest.raises(ValidationError, match=r"has not the probe data .* belongs to"):
            resume(checkpoint, network())
        store = path if checkpoint.name != "another" else path.with_name("other.zarr")
        with xarray.open_zarr(store) as found:
            assert len(found.time) == 50
        with nengo_jit.Simulator.load(checkpoint, network(), progress_bar=False) as sim:
            assert sim.n_steps == 30


def test_the_store_has_the_seed_of_the_latest_reset(path):
    with simulator(network(), record=path, seed=1) as sim:
        sim.reset(seed=5)
        state = sim.state()
        sim.run_steps(10)
        for change, seed in ((None, 5), (7, 7), (state, 5)):
            sim.load_state(change) if change is state else sim.reset(change)
            with xarray.open_zarr(path) as found:
                assert found.attrs["seed"] == seed


def test_files_load_with_and_without_a_store(path, checkpoint):
    expected = undisturbed(60)
    with simulator(network()) as sim:
        sim.run_steps(40)
        sim.save(checkpoint)
    with nengo_jit.Simulator.load(checkpoint, network(), progress_bar=False, record=path) as sim:
        assert_same([each[:40] for each in expected[:3]], data(sim)[:3])
        sim.run_steps(20)
        assert_same(data(sim), expected)
        sim.save(checkpoint)
    assert_same(on_disk(path), expected)
    with nengo_jit.Simulator.load(checkpoint, network(), progress_bar=False) as sim:
        assert (sim.n_steps, len(sim.data[sim.model.probes[0]])) == (60, 0)
    with pytest.raises(ValidationError, match="exists"):
        nengo_jit.Simulator.load(checkpoint, network(), progress_bar=False, record=path)


def test_clearing_after_the_end(path):
    with simulator(network(), record=path) as sim:
        sim.run_steps(40)
    sim.clear_probes()
    assert len(sim.data[sim.model.probes[0]]) == 0
    assert len(on_disk(path)[0]) == 40


def test_a_process_may_change_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    with simulator(network(), record="run.zarr") as sim:
        sim.run_steps(20, checkpoint="run.ckpt")
        os.chdir("other")
        sim.run_steps(20)
        os.chdir("..")
        assert os.listdir("other") == []
        sim.run_steps(20, checkpoint="run.ckpt")
    assert len(on_disk(tmp_path / "run.zarr")[0]) == 60


def test_forked_processes_do_not_write(path):
    with simulator(network(), record=path) as sim:
        sim.run_steps(40)
        child = os.fork()
        if child == 0:
            try:
                sim.run_steps(20)
            except SimulationError:
                sim.close()
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        sim.run_steps(20)
    assert len(on_disk(path)[0]) == 60


def test_pickled_simulators_have_their_data_in_memory(path):
    with simulator(network(), record=path) as sim:
        sim.run_steps(40)
        expected = data(sim)
        copied = pickle.loads(pickle.dumps(sim))
    with copied:
        assert_same(data(copied), expected)
        copied.run_steps(1)
    assert len(on_disk(path)[0]) == 40


# What is refused


def test_existing_paths(path, tmp_path):
    with simulator(network(), record=path) as sim:
        sim.run_steps(40)
    with pytest.raises(ValidationError, match=r"run.zarr' exists.*overwrite=True"):
        simulator(network(), record=path)
    assert len(on_disk(path)[0]) == 40
    with simulator(network(), record=path, overwrite=True) as sim:
        assert len(on_disk(path)[0]) == 0
        sim.run_steps(3)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("text")
    for other in (tmp_path / "precious", tmp_path / "precious" / "file"):
        with pytest.raises(ValidationError, match="not overwritten"):
            simulator(network(), record=other, overwrite=True)
    assert (tmp_path / "precious" / "file").read_text() == "text"
    with pytest.raises(FileNotFoundError, match="missing"):
        simulator(network(), record=tmp_path / "missing" / "run.zarr")


def test_errors_while_building_delete_nothing(path):
    with simulator(network(), record=path) as sim:
        sim.run_steps(40)
    with nengo.Network() as wrong:
        nengo.Connection(nengo.Node(0), nengo.Ensemble(5, 1, radius=np.inf))
        nengo.Probe(nengo.Ensemble(5, 1, encoders=np.zeros((5, 1))))
    with pytest.raises(Exception):  # noqa: B017
        simulator(wrong, record=path, overwrite=True)
    assert len(on_disk(path)[0]) == 40


def test_two_writers(path, checkpoint):
    with simulator(network(), record=path) as sim:
        sim.run_steps(20, checkpoint=checkpoint)
        sim._stop_writing()  # of checkpoints
        for attempt in (
            lambda: resume(checkpoint, network()),
            lambda: simulator(network(), record=path, overwrite=True),
        ):
            with pytest.raises(ValidationError, match="being written by another simulator"):
                attempt()
        sim.run_steps(10)
        assert len(sim.data[sim.model.probes[0]]) == 30
    assert sorted(os.listdir(path.parent)) == [checkpoint.name, path.name]


def test_stores_of_other_models(path, checkpoint, tmp_path):
    with simulator(network(), record=path) as sim:
        sim.run_steps(10)
        shutil.copytree(path, tmp_path / "short.zarr")
        sim.run_steps(10, checkpoint=checkpoint)
    with simulator(network(n_neurons=21), record=tmp_path / "other.zarr") as sim:
        sim.run_steps(30)
    with pytest.raises(ValidationError, match="belongs to another model: 'probe_3' has the shape"):
        resume(checkpoint, network(), record=tmp_path / "other.zarr")
    with pytest.raises(ValidationError, match=r"has 10 samples of .*belongs to 20"):
        resume(checkpoint, network(), record=tmp_path / "short.zarr")
    with pytest.raises(ValidationError, match="another model"):
        resume(checkpoint, network(n_neurons=21))
    assert len(on_disk(path)[0]) == 20


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense", b'{"attributes": {}}'])
def test_damaged_stores(path, checkpoint, content):
    with simulator(network(), record=path) as sim:
        sim.run_steps(20, checkpoint=checkpoint)
    (path / "zarr.json").write_bytes(content)
    with pytest.raises(ValidationError, match="no store of probe data, or it is damaged"):
        resume(checkpoint, network())


def test_simulators_that_record_by_themselves(path):
    class Own(nengo_jit.Simulator):
        def _probe(self):
            super()._probe()

    with pytest.raises(ValidationError, match="only if the engine records them"):
        Own(network(), progress_bar=False, record=path)
    with simulator(network(), record=path, overwrite=True) as sim:
        sim._steps = [lambda step=step: step() for step in sim._steps]
        with pytest.raises(ValidationError, match="only if the engine records them"):
            sim.run_steps(3)


def test_sparse_matrices(path):
    with nengo.Network(seed=0) as net:
        transform = nengo.Sparse((5, 5), indices=[(0, 1)], init=[0.5])
        neurons = [nengo.Ensemble(5, 1).neurons for _ in range(2)]
        nengo.Probe(nengo.Connection(*neurons, transform=transform), "weights")
    with pytest.raises(ValidationError, match="sparse matrices"):
        simulator(net, record=path)


def test_zarr_is_not_installed(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"pip install 'nengo-jit\[zarr\]'"):
        simulator(network(), record=path)
    assert not path.exists()


def test_a_disk_that_is_full(path, checkpoint, monkeypatch):
    """The error is clear, nothing is lost, and the run can go on when there is room again."""
    expected = undisturbed(300)
    with simulator(network(), record=path) as sim:
        sim.run_steps(100, checkpoint=checkpoint)

        def fail(*arguments, **options):
            raise OSError(28, "No space left on device", "file")

        with monkeypatch.context() as patch:
            patch.setattr(store, "replace_file", fail)
            with pytest.raises(OSError, match="No space left") as caught:
                sim.run_steps(100)
            assert f"written to '{path}'" in caught.value.__notes__[0]
            assert len(on_disk(path)[0]) == 100
            n_steps = sim.n_steps
            assert len(sim.data[sim.model.probes[0]]) == n_steps > 100
        sim.run_steps(300 - n_steps)
        assert_same(data(sim), expected)
    assert_same(on_disk(path), expected)
    with resume(checkpoint, network()) as sim:
        assert sim.n_steps == 100


def test_clearing_on_a_disk_that_is_full(path, checkpoint, monkeypatch):
    """Nothing is cleared, and checkpoints still belong to the store."""
    expected = undisturbed(60)

    def fail(*arguments, **options):
        raise OSError(28, "No space left on device", "file")

    with simulator(network(), record=path) as sim:
        sim.run_steps(40, checkpoint=checkpoint)
        with monkeypatch.context() as patch:
            patch.setattr(store, "replace_file", fail)
            with pytest.raises(OSError, match="No space left"):
                sim.clear_probes()
        sim.run_steps(20)
        assert_same(data(sim), expected)
    assert_same(on_disk(path), expected)
    with resume(checkpoint, network()) as sim:
        sim.clear_probes()
        sim.run_steps(10)
        assert len(sim.data[sim.model.probes[0]]) == 10
