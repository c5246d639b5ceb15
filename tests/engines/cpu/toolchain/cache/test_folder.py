"""Folders of entries: whole entries or none, in place of whatever was there."""

import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from nengo_jit.engines.cpu.toolchain.cache import folder as folders
from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder

NAME = "kernel-" + 32 * "0"


@pytest.fixture(params=["without a name", "under another name"])
def folder(request, tmp_path, monkeypatch):
    """A folder that does not exist, on file systems of either kind."""
    if request.param == "under another name":
        monkeypatch.setattr(folders, "_write_without_a_name", _not_supported)
    return Folder(tmp_path / "some" / "cache")


def _not_supported(path, data):
    raise OSError("Operation not supported")


def names(folder):
    return sorted(each.name for each in folder.path.iterdir())


def test_what_was_written_is_read(folder):
    folder.write(NAME, b"content", {})
    assert folder.read(NAME) == b"content"
    folder.write(NAME, b"another", {})
    assert folder.read(NAME) == b"another"
    assert names(folder) == [NAME]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_folders_and_files_are_the_users_alone(folder):
    before = os.umask(0)
    try:
        folder.write(NAME, b"content", {})
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()}
    assert set(modes.values()) == {0o600}
    for each in (folder.path, folder.path.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


def test_what_is_not_there_is_not_found(folder):
    with pytest.raises(FileNotFoundError):
        folder.read(NAME)
    folder.make()
    with pytest.raises(FileNotFoundError):
        folder.read(NAME)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)


def _link(path):
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _folder(path):
    path.unlink()
    path.mkdir()
    (path / "file").write_text("in the way")


def _leave_unfinished(path):
    path.rename(path.with_name(path.name + folders.UNFINISHED))
    path.write_bytes(b"")


DAMAGE = {
    "cut off": _cut,
    "one bit": _flip,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "empty": lambda path: path.write_bytes(b""),
    "another's": lambda path: (path.with_name("kernel-1")).rename(path),
    "another format": lambda path: path.write_bytes(b"nengo_jit code 0" + path.read_bytes()[16:]),
    "writable by all": lambda path: path.chmod(0o666),
    "a link": _link,
    "a folder": _folder,
    "unfinished": _leave_unfinished,
}


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_replaced(folder, kind):
    folder.write("kernel-1", b"another", {})
    folder.write(NAME, b"content" * 100, {})
    DAMAGE[kind](folder.path / NAME)
    with pytest.raises(UnsafeError):
        folder.read(NAME)
    folder.write(NAME, b"content" * 100, {})
    assert folder.read(NAME) == b"content" * 100
    path = folder.path / NAME
    assert path.is_file() and not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if kind not in ("a link", "unfinished"):  # what a link led to is not ours to remove
        assert set(names(folder)) <= {NAME, "kernel-1"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_files_of_other_users_are_found_and_replaced(folder):
    folder.write(NAME, b"planted", {})
    os.chown(folder.path / NAME, 12345, 12345)
    with pytest.raises(UnsafeError, match="another user"):
        folder.read(NAME)
    folder.write(NAME, b"content", {})
    assert folder.read(NAME) == b"content"
    os.chown(folder.path, 12345, 12345)
    for attempt in (lambda: folder.read(NAME), lambda: folder.write(NAME, b"", {}), folder.make):
        with pytest.raises(UnsafeError, match="another user"):
            attempt()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_folder_that_others_can_write_to_is_not_used(folder):
    folder.write(NAME, b"content", {})
    folder.path.chmod(0o777)
    for attempt in (lambda: folder.read(NAME), lambda: folder.write(NAME, b"", {}), folder.make):
        with pytest.raises(UnsafeError, match="others can write"):
            attempt()


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_nothing_is_left_on_a_full_disk(folder, monkeypatch, call):
    folder.write("kernel-1", b"content", {})
    real = os.write

    def full(file, *data):
        if call == "write":
            real(file, data[0][:3])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(OSError, match="No space"):
            folder.write(NAME, b"content", {})
    assert names(folder) == ["kernel-1"]
    assert folder.read("kernel-1") == b"content"


def test_short_writes_are_gone_on_with(folder, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
    folder.write(NAME, b"content" * 10, {})
    assert folder.read(NAME) == b"content" * 10


WRITER = """
import sys
from pathlib import Path
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder
folder = Folder(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for i in range(10):
        folder.write("kernel-%032x" % i, bytes(100000), {})
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_nothing_is_left_of_writers_that_are_killed(tmp_path):
    rng = np.random.RandomState(0)
    folder = Folder(tmp_path / "cache")
    command = [sys.executable, "-c", WRITER, str(folder.path)]
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(rng.uniform(0.005, 0.05))
            writer.send_signal(signal.SIGKILL)
        for name in names(folder):
            if not name.endswith(folders.UNFINISHED):  # where files cannot be without a name
                assert folder.read(name) == bytes(100000)
    folder.write(NAME, b"content", {})
    if hasattr(os, "O_TMPFILE"):
        assert not [name for name in names(folder) if name.endswith(folders.UNFINISHED)]


def test_use_is_noted(folder):
    folder.write(NAME, b"content", {})
    os.utime(folder.path / NAME, (0, 0))
    folder.touch(NAME)
    assert (folder.path / NAME).stat().st_mtime > 1e9
    folder.touch("another")  # which is not there
