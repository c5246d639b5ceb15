"""Only what trusted users can have written is read."""

import os

import pytest

from nengo_jit.engines.cpu.toolchain.cache import trust
from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
only_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644, 0o755])
def test_files_of_the_users_are_read(file, mode):
    file.chmod(mode)
    assert trust.read(file) == b"content"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_what_others_can_write_to_is_refused(file, mode):
    file.chmod(mode)
    with pytest.raises(UnsafeError, match="others can write"):
        trust.read(file)
    file.parent.chmod(mode | 0o100)
    with pytest.raises(UnsafeError, match="others can write"):
        trust.check_folder(file.parent)


@only_root
def test_what_belongs_to_another_user_is_refused(file):
    os.chown(file, 12345, -1)
    with pytest.raises(UnsafeError, match="12345"):
        trust.read(file)
    os.chown(file.parent, 12345, -1)
    with pytest.raises(UnsafeError, match="12345"):
        trust.check_folder(file.parent)


@only_root
def test_the_packages_owner_is_trusted(file, monkeypatch):
    monkeypatch.setattr(trust, "_owner_of_the_package", lambda: 12345)
    os.chown(file, 12345, -1)
    assert trust.read(file) == b"content"


def test_links_pipes_and_folders_are_refused(file, tmp_path):
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)  # whoever opened it would wait for ever
    for name in ("link", "broken", "folder", "pipe"):
        with pytest.raises(UnsafeError):
            trust.read(tmp_path / name)
    with pytest.raises(UnsafeError, match="not a folder"):
        trust.check_folder(file)


def test_a_link_to_a_folder_of_the_users_is_as_good_as_the_folder(tmp_path):
    (tmp_path / "folder").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    trust.check_folder(tmp_path / "link")
    (tmp_path / "folder").chmod(0o777)
    with pytest.raises(UnsafeError):
        trust.check_folder(tmp_path / "link")


def test_what_is_not_there_is_not_unsafe(tmp_path):
    with pytest.raises(FileNotFoundError):
        trust.read(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        trust.check_folder(tmp_path / "folder")
