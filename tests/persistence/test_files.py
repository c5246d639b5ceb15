"""A file is replaced in one move, or not at all."""

import os

import pytest

from nengo_jit.persistence.files import remove_partial, replace_file


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "file"
    replace_file(path, lambda file: file.write(b"one"))
    replace_file(path, lambda file: file.write(b"two"), keep=tmp_path / "before")
    assert (path.read_bytes(), (tmp_path / "before").read_bytes()) == (b"two", b"one")
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_file_is_what_it_was(tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(b"one")

    def fail(file):
        file.write(b"two")
        raise kind

    with pytest.raises(kind):
        replace_file(path, fail, keep=tmp_path / "before")
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"one"


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "missing" / "file"
    with pytest.raises(FileNotFoundError) as caught:
        replace_file(path, lambda file: None)
    assert caught.value.filename == str(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        replace_file(tmp_path / "folder", lambda file: None)
    assert caught.value.filename == str(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


def test_links_stay(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    replace_file(tmp_path / "link", lambda file: file.write(b"one"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"one"


def test_what_killed_processes_have_left_is_deleted(tmp_path):
    for name in (".a[1].123.partial", ".a[1]b.123.partial", ".a1.123.partial", "a[1]"):
        (tmp_path / name).touch()
    remove_partial(tmp_path / "a[1]")
    assert sorted(os.listdir(tmp_path)) == [".a1.123.partial", ".a[1]b.123.partial", "a[1]"]
