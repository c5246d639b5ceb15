"""nengo's cache of decoders: its files are touched only if decoders are looked up or added."""

import itertools

import nengo
import numpy as np
import pytest
from nengo.cache import WriteableCacheIndex

import nengo_jit
from nengo_jit.builder import caching


@pytest.fixture
def accesses(tmp_path, monkeypatch):
    """Counts of how often the index of the cache has been read and written."""
    nengo.rc.set("decoder_cache", "enabled", "True")
    nengo.rc.set("decoder_cache", "path", str(tmp_path))
    counts = {"read": 0, "written": 0}

    def counted(name, key):
        method = getattr(WriteableCacheIndex, name)

        def count(self):
            counts[key] += 1
            return method(self)

        monkeypatch.setattr(WriteableCacheIndex, name, count)

    counted("_load_index_file", "read")
    counted("_write_index", "written")
    return counts


def build(with_decoders=True):
    with nengo.Network(seed=1) as net:
        a = nengo.Ensemble(10, 1)
        if with_decoders:
            nengo.Connection(a, a)
        nengo.Probe(a.neurons)
    with nengo_jit.Simulator(net, progress_bar=False, engine="reference") as sim:
        return sim


def test_a_model_without_decoders_does_not_read_the_cache(accesses):
    build(with_decoders=False)
    assert accesses == {"read": 0, "written": 0}


def test_decoders_that_were_found_are_not_written(accesses):
    build()
    assert accesses["written"] > 0
    accesses.update(read=0, written=0)
    build()
    assert accesses == {"read": 1, "written": 0}


def test_the_cache_keeps_to_its_size_when_decoders_are_added(accesses, tmp_path):
    nengo.rc.set("decoder_cache", "size", "0 B")
    build()
    assert list(tmp_path.rglob("*.nco")) == []


def test_the_cache_can_be_made_smaller_between_builds(accesses, tmp_path):
    sim = build()
    assert len(list(tmp_path.rglob("*.nco"))) == 1
    sim.model.decoder_cache.shrink(limit=0)
    assert list(tmp_path.rglob("*.nco")) == []


def test_the_time_of_the_files_is_counted(accesses, monkeypatch):
    times = itertools.count(step=100)
    monkeypatch.setattr(caching, "perf_counter", lambda: next(times))
    sim = build()
    assert sim.model.decoder_cache.seconds == 200  # to read the index, and to write it
    assert build(with_decoders=False).model.decoder_cache.seconds == 0


SOLVED = {
    "eval_points": np.linspace(-1, 1, 40)[:, None],
    "encoders": np.resize([[1.0], [-1.0]], (10, 1)),
    "radius": 1.0,
    "gain": np.linspace(1, 2, 10),
    "bias": np.linspace(0, 3, 10),
}
OTHERS = {
    "eval_points": np.linspace(-0.9, 1, 40)[:, None],
    "encoders": np.resize([[1.0], [-1.0], [-1.0]], (10, 1)),
    "radius": 1.1,
    "gain": np.linspace(1, 2.1, 10),
    "bias": np.linspace(0, 3.1, 10),
}


@pytest.mark.parametrize("changed", SOLVED)
def test_decoders_of_other_ensembles_are_not_found(accesses, changed):
    def decoders(**options):
        with nengo.Network(seed=1) as net:
            a = nengo.Ensemble(10, 1, **options)
            connection = nengo.Connection(a, a, function=np.sin)
        with nengo_jit.Simulator(net, progress_bar=False, engine="reference") as sim:
            return sim.data[connection].weights

    other = {**SOLVED, changed: OTHERS[changed]}
    first = decoders(**SOLVED)
    accesses["written"] = 0
    found = decoders(**other)
    assert accesses["written"] == 1
    nengo.rc.set("decoder_cache", "enabled", "False")
    np.testing.assert_array_equal(found, decoders(**other))
    assert not np.array_equal(found, first)
