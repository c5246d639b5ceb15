"""The cache stays small: what is of no use goes first, then the oldest use."""

import os

import pytest

from nengo_jit.engines.cpu.toolchain.cache import eviction
from nengo_jit.engines.cpu.toolchain.cache.eviction import is_installed, make_room, maker
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder

SIZE = 10_000


def name(i):
    return f"kernel_{i}-{i:032x}"


def fill(folder, makers):
    """An entry for each maker, used one after the other; returns how large one is at most."""
    for i, each in enumerate(makers):
        folder.write(name(i), bytes(SIZE), each)
        os.utime(folder.path / name(i), (1000 + i, 1000 + i))
    return max(path.stat().st_size for path in folder.path.iterdir())


def left(folder, n):
    return [i for i in range(n) if (folder.path / name(i)).exists()]


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_the_oldest_use_goes_first(folder):
    size = fill(folder, [maker()] * 5)
    assert make_room(folder.path, 0, 5 * size)
    assert left(folder, 5) == [0, 1, 2, 3, 4]
    folder.touch(name(0))
    assert make_room(folder.path, 0, 3 * size)
    assert left(folder, 5) == [0, 3, 4]
    assert make_room(folder.path, 0, 0)
    assert left(folder, 5) == []


def test_room_is_made_for_what_comes(folder):
    size = fill(folder, [maker()] * 3)
    assert make_room(folder.path, size, 3 * size)
    assert left(folder, 3) == [1, 2]
    assert not make_room(folder.path, size, size - 1)  # it will never fit
    assert left(folder, 3) == []


def test_what_is_no_longer_installed_goes_first_of_all(folder):
    ours = maker()
    older = {**ours, "versions": {**ours["versions"], "numba": "0.1"}}
    elsewhere = {**ours, "site": "/no/such/folder"}
    size = fill(folder, [ours, ours, older, elsewhere, {}])
    assert make_room(folder.path, 0, 2 * size)
    assert left(folder, 5) == [0, 1]


def test_what_cannot_be_read_goes_first_of_all(folder):
    size = fill(folder, [maker()] * 3)
    (folder.path / name(2)).write_bytes(bytes(size))
    assert make_room(folder.path, 0, 2 * size)
    assert left(folder, 3) == [0, 1]


def test_other_files_are_left_alone(folder):
    fill(folder, [maker()])
    (folder.path / "notes.txt").write_bytes(bytes(SIZE))
    (folder.path / ("folder-" + 32 * "0")).mkdir()
    assert make_room(folder.path, 0, 0)
    assert sorted(each.name for each in folder.path.iterdir()) == [
        "folder-" + 32 * "0",
        "notes.txt",
    ]


def test_unfinished_files_count(folder):
    (folder.path / (name(0) + ".unfinished")).write_bytes(bytes(SIZE))
    assert make_room(folder.path, 0, SIZE)
    assert len(list(folder.path.iterdir())) == 1
    assert make_room(folder.path, 0, SIZE - 1)
    assert len(list(folder.path.iterdir())) == 0


def test_our_maker_is_installed():
    ours = maker()
    assert set(ours["versions"]) >= {"numba", "llvmlite"}
    assert is_installed(ours)


@pytest.mark.parametrize(
    "made_by", [{}, {"site": "", "versions": {}}, {"site": 5, "versions": None}, {"versions": {}}]
)
def test_odd_makers_are_not_installed(made_by):
    assert not is_installed(made_by)


def test_packages_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr(eviction, "PACKAGES", ("no-such-package",))
    assert maker() == {"site": "", "versions": {}}
