"""Whenever a process dies, what it leaves can be resumed, and the result is that of no crash.

Before each operation on files, the folder is copied: a crash at that moment would leave the copy.
"""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import nengo_jit
from nengo_jit.persistence import files, store, stream

sys.path.insert(0, str(Path(__file__).parents[1] / "soak"))
from killed import network, results, run

pytest.importorskip("zarr")

N_STEPS = 60
SHOTS = 12  # moments that are tried, of all that there are


class Crashes:
    """Copies a folder before each operation on files."""

    def __init__(self, folder, copies, monkeypatch):
        self.folder, self.copies, self.n = folder, copies, 0
        for module, name in ((os, "replace"), (os, "fsync"), (shutil, "rmtree"), (os, "unlink")):
            self.watch(module, name, monkeypatch)

    def watch(self, module, name, monkeypatch):
        original = getattr(module, name)

        def operation(*arguments, **options):
            if self.folder is not None:
                folder, self.folder = self.folder, None  # copying has operations of its own
                shutil.copytree(folder, self.copies / str(self.n))
                self.folder = folder
                self.n += 1
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, operation)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(store, "MOST_ROWS", 16)
    monkeypatch.setattr(stream, "PENDING", 1 << 14)
    monkeypatch.setattr(stream, "INTERVAL", 0.0)
    monkeypatch.setattr(stream, "SHARE", 0.0)
    monkeypatch.setattr("killed.SETTINGS", {})


def test_any_moment(tmp_path, monkeypatch):
    whole, copies = tmp_path / "whole", tmp_path / "copies"
    whole.mkdir()
    copies.mkdir()
    run(whole, N_STEPS, 1000, lambda: None)
    expected = results(whole)
    with monkeypatch.context() as patch:
        folder = tmp_path / "watched"
        folder.mkdir()
        crashes = Crashes(folder, copies, patch)
        run(folder, 25, 9, lambda: None)  # which begins anew
        run(folder, 40, 7, lambda: None)  # which truncates the store
        crashes.folder = None
    assert crashes.n > 100
    for number in np.unique(np.linspace(0, crashes.n - 1, SHOTS).astype(int)):
        run(copies / str(number), N_STEPS, 11, lambda: None)
        assert results(copies / str(number)) == expected, number
        left = [each for each in (copies / str(number)).rglob("*") if files.SUFFIX in each.name]
        assert left == [], number


KILL = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import killed

folder, limit = Path(sys.argv[2]), int(sys.argv[3])
original, n_calls = os.replace, 0

def replace(*arguments):
    global n_calls
    n_calls += 1
    if n_calls == limit:
        os.kill(os.getpid(), signal.SIGKILL)
    original(*arguments)

os.replace = replace
killed.run(folder, 60, 5, lambda: None)
"""


def test_processes_that_kill_themselves(tmp_path):
    """Each process kills itself at its nth renaming of a file; the last one is left alone."""
    soak = str(Path(__file__).parents[1] / "soak")
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    folder.mkdir()
    whole.mkdir()
    run(whole, 60, 1000, lambda: None)
    for limit, status in ((45, -9), (10**6, 0)):
        done = subprocess.run(
            [sys.executable, "-c", KILL, soak, str(folder), str(limit)],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
    assert results(folder) == results(whole)


def test_a_store_whose_making_was_interrupted(tmp_path, monkeypatch):
    """A run that dies while it makes or empties its store is begun anew."""
    checkpoint, record = tmp_path / "run.ckpt", tmp_path / "run.zarr"
    with nengo_jit.Simulator(network(), progress_bar=False, record=record) as sim:
        sim.run_steps(40)

    def fail(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", fail)
        nengo_jit.Simulator(network(), progress_bar=False, record=record, overwrite=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sim = nengo_jit.Simulator.resume(checkpoint, network(), progress_bar=False, record=record)
    with sim:
        sim.run_steps(10)
        assert len(sim.data[sim.model.probes[0]]) == 10
