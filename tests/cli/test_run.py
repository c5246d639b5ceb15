"""The command ``run``."""

import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from commands import MODEL, command, refused

DEMO = Path(__file__).parents[2] / "examples" / "digits_model.py"

ENDLESS = (
    MODEL
    + """
    import os, signal
    def interrupt(t):
        if abs(t - 0.1) < 1e-9:
            os.kill(os.getpid(), signal.SIGINT)
    nengo.Node(interrupt)
"""
)
FAILING = (
    MODEL
    + """
    def fail(t):
        if t > 0.05:
            raise RuntimeError("out of cheese")
        return 0
    nengo.Node(fail)
"""
)


def test_data_and_a_picture_are_written(model, tmp_path):
    done = command(
        "run", model, "--time", 0.1, "--out", "data.npz", "--plot", "p.png", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "30 neurons, 1 ensemble, 1 node, 1 connection, 2 probes" in done.stdout
    assert "simulated 0.1 s" in done.stdout and "times real time" in done.stdout
    assert done.stderr == ""
    with np.load(tmp_path / "data.npz") as data:
        assert data["decoded"].shape == (50, 1)
        assert data["spikes"].shape == (100, 30)
        assert data["time"][-1] == pytest.approx(0.1)
        assert data["spikes"].any()
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_options_reach_the_simulator(model, tmp_path):
    def decoded(name, *options):
        done = command("run", model, "-t", 0.05, "-o", name, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / name) as data:
            return done.stdout, data["decoded"]

    text, values = decoded("a.npz", "--engine", "reference", "--dt", 0.0005, "--seed", 3)
    assert "engine 'reference'" in text
    assert len(values) == 25
    _, others = decoded("b.npz", "--threads", 1)
    assert len(others) == 25


def test_the_demo_runs_from_an_empty_folder(tmp_path):
    done = command("run", DEMO, "--time", 0.4, "--out", "out.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as data:
        assert data["scores"].shape == (400, 10)
        assert data["spikes"].any()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--time", "-1"], "--time"),
        (["--time", "nan"], "--time"),
        (["--dt", "0"], "--dt"),
        (["--time", "1", "--dt", "3"], "less than a step"),
        (["--engine", "no-such-engine"], "no-such-engine"),
        (["--threads", "0"], "--threads"),
        (["--out", "/no/such/folder/data.npz"], "/no/such/folder/data.npz"),
        (["--out", "data.csv"], "data.csv"),
        (["--plot", "picture.txt"], "picture.txt"),
        (["--out", "folder.npz"], "folder"),
        (["--out", "store.zarr"], "store.zarr"),
        (["--record", "store.zarr"], "store.zarr"),
        (["--record", "store.npz"], "store.npz"),
        (["--checkpoint", "run.ckpt"], "nengo-jit resume"),
        (["--checkpoint", "/no/such/folder/run.ckpt"], "/no/such/folder"),
        (["--every", "10"], "--checkpoint"),
        (["--checkpoint", "new.ckpt", "--every", "soon"], "--every"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**32)], "--seed"),
        (["--record", "new.zarr", "--out", "new.zarr"], "new.zarr"),
        (["--checkpoint", "new.npz", "--out", "./new.npz"], "new.npz"),
    ],
)
def test_bad_input_is_refused_before_the_model_runs(model, tmp_path, options, named):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "store.zarr").mkdir()
    (tmp_path / "run.ckpt").touch()
    model.write_text("1 / 0")
    assert named in refused(command("run", model, *options, cwd=tmp_path))


def test_a_failing_model_shows_its_own_traceback_and_data_are_kept(model, tmp_path):
    model.write_text(FAILING)
    done = command("run", model, "--out", "out.npz", cwd=tmp_path)
    assert done.returncode == 1
    assert "out of cheese" in done.stderr and "in fail" in done.stderr
    assert "nengo_jit" not in done.stderr.replace("nengo_jit_model", "")
    with np.load(tmp_path / "out.npz") as data:
        assert len(data["spikes"]) == 50


def test_an_invalid_model_is_its_own_fault(model):
    model.write_text("import nengo\nmodel = nengo.Network()\nwith model:\n  nengo.Node(size_in=-1)")
    done = command("run", model)
    assert done.returncode == 1
    assert "ValidationError" in done.stderr


def test_errors_of_the_build_show_no_frames_of_ours(model):
    model.write_text(
        "import nengo\nclass Failing(nengo.Process):\n"
        "    def make_step(self, *arguments):\n        raise RuntimeError('out of cheese')\n"
        "model = nengo.Network()\nwith model:\n    nengo.Node(Failing(default_size_out=1))\n"
    )
    done = command("run", model)
    assert done.returncode == 1
    assert "out of cheese" in done.stderr
    files = re.findall(r'File "(.*?)"', done.stderr)
    assert files == [str(model)]


def test_files_are_written_where_the_command_began(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    model.write_text(f"import os\nos.chdir('elsewhere')\n{MODEL}")
    kept = {"--out": "a.npz", "--plot": "a.svg", "--record": "a.zarr", "--checkpoint": "a.ckpt"}
    done = command("run", model.name, "-t", 0.02, *chain(*kept.items()), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / name).exists() for name in kept.values())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(("text", "code"), [(MODEL, 2), (FAILING, 1)])
def test_what_cannot_be_written_after_a_run_is_said_in_a_line(model, tmp_path, text, code):
    (tmp_path / "gone").mkdir()
    model.write_text(f"import os\nos.rmdir('gone')\n{text}")
    options = ["--out", "gone/a.npz", "--plot", "b.svg"]
    done = command("run", model, "--time", 0.1, *options, cwd=tmp_path)
    assert done.returncode == code
    first, *others = done.stderr.splitlines()
    assert first == f"nengo-jit: {tmp_path}/gone/a.npz cannot be written: No such file or directory"
    assert bool(others) == ("out of cheese" in done.stderr) == (code == 1)
    assert (tmp_path / "b.svg").exists()


def test_suffixes_may_be_in_capitals(model, tmp_path):
    for name in ("A.NPZ", "B.Zarr"):
        done = command("run", model, "-t", 0.02, "--out", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "A.NPZ") as data:
        assert len(data["spikes"]) == 20
    assert refused(command("run", model, "--out", "B.Zarr", cwd=tmp_path)).count("exists") == 1


def test_ctrl_c_keeps_the_data_so_far(model, tmp_path):
    model.write_text(ENDLESS)
    done = command("run", model, "--time", 1000, "--out", "out.npz", cwd=tmp_path)
    assert done.returncode == 130, done.stderr
    assert "not to the end" in done.stdout
    assert done.stderr.splitlines() == ["nengo-jit: interrupted"]
    with np.load(tmp_path / "out.npz") as data:
        assert 99 <= len(data["spikes"]) < 1_000_000
        assert np.isclose(data["time"][-1], 1e-3 * len(data["spikes"]))


def test_ctrl_c_while_the_model_is_made(model):
    model.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass")
    done = command("run", model)
    assert done.returncode == 130
    assert done.stderr.splitlines() == ["nengo-jit: interrupted"]


def test_progress_is_shown_in_a_terminal(model):
    import pty

    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "nengo_jit", "run", model, "--time", "1"],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert running.wait() == 0
    assert b"Simulating" in shown and b"times real time" in shown
    assert b"Simulating" not in running.stdout.read()
