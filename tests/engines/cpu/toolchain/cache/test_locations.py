"""Where entries are kept, and how many."""

import os
import sys
from pathlib import Path

import pytest

from nengo_jit.engines.cpu.toolchain.cache.locations import own_folder, shared_folder, size_limit


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("DIR", "SIZE"):
        monkeypatch.delenv(f"NENGO_JIT_CACHE_{name}", raising=False)
    monkeypatch.delenv("NENGO_JIT_SHARED_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="caches are elsewhere on other systems")
def test_by_default_entries_are_where_the_system_keeps_caches(home, monkeypatch):
    assert own_folder().path == home / ".cache" / "nengo_jit"
    assert shared_folder() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "caches"))
    assert own_folder().path == home / "caches" / "nengo_jit"


@pytest.mark.parametrize(
    "variable, folder",
    [("NENGO_JIT_CACHE_DIR", own_folder), ("NENGO_JIT_SHARED_CACHE_DIR", shared_folder)],
)
def test_folders_are_chosen_by_the_environment(home, monkeypatch, variable, folder):
    for chosen, path in (
        ("/some/where", Path("/some/where")),
        ("~/x", home / "x"),
        ("~", home),
        ("here", Path(os.getcwd()) / "here"),
    ):
        monkeypatch.setenv(variable, chosen)
        assert folder().path == path


def test_without_a_home_there_is_no_folder(monkeypatch):
    monkeypatch.setenv("NENGO_JIT_CACHE_DIR", "~nobody_of_this_name/x")
    assert own_folder() is None
    monkeypatch.delenv("NENGO_JIT_CACHE_DIR")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as for users without one
    assert own_folder() is None


@pytest.mark.parametrize(
    "chosen, expected", [("", 500e6), ("500", 500e6), ("0", 0), ("1.5", 1.5e6), (" 20 ", 20e6)]
)
def test_the_limit_is_in_megabytes(monkeypatch, chosen, expected):
    monkeypatch.setenv("NENGO_JIT_CACHE_SIZE", chosen)
    assert size_limit() == expected


@pytest.mark.parametrize("chosen", ["many", "-1", "nan", "inf", "5 GB"])
def test_what_is_no_number_is_said(monkeypatch, caplog, chosen):
    monkeypatch.setenv("NENGO_JIT_CACHE_SIZE", chosen)
    assert size_limit() == 500e6
    assert "NENGO_JIT_CACHE_SIZE" in caplog.text
