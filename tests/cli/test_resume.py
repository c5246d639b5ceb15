"""Runs with checkpoints and stores, and the command ``resume``."""

import numpy as np
import pytest
from commands import MODEL, command, refused

INTERRUPTED = (
    MODEL
    + """
    import os, signal
    def interrupt(t):
        if abs(t - 0.3) < 1e-9 and not os.path.exists("interrupted"):
            open("interrupted", "w").close()
            os.kill(os.getpid(), signal.SIGINT)
    nengo.Node(interrupt)
"""
)


def test_an_interrupted_run_continues_as_if_it_had_never_stopped(model, tmp_path):
    model.write_text(INTERRUPTED)
    files = ["--record", "run.zarr", "--checkpoint", "run.ckpt", "--every", 50]
    done = command("run", model, "--time", 0.5, *files, cwd=tmp_path)
    assert done.returncode == 130, done.stderr
    assert f"nengo-jit resume {model} {tmp_path / 'run.ckpt'} --time 0.5\n" in done.stdout
    done = command("resume", model, "run.ckpt", "-t", 0.5, "-o", "all.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "continued at 0." in done.stdout
    whole = command("run", model, "--time", 0.5, "-o", "whole.npz", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    with np.load(tmp_path / "all.npz") as found, np.load(tmp_path / "whole.npz") as expected:
        assert set(found) == set(expected)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    xarray = pytest.importorskip("xarray")
    with xarray.open_zarr(tmp_path / "run.zarr") as store:
        assert store["spikes"].shape == (500, 30)


def test_data_are_written_as_a_store(model, tmp_path):
    done = command("run", model, "--time", 0.05, "--out", "data.zarr", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data.zarr").is_dir()


def test_a_run_that_is_at_its_end_can_be_resumed_for_its_data(model, tmp_path):
    done = command("run", model, "--time", 0.05, "--checkpoint", "run.ckpt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command("resume", model, "run.ckpt", "-t", 0.05, "-o", "all.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nothing to simulate" in done.stdout
    with np.load(tmp_path / "all.npz") as data:
        assert len(data["spikes"]) == 50


def test_a_damaged_checkpoint_is_a_warning_of_one_line(model, tmp_path):
    files = ["--checkpoint", "run.ckpt", "--every", 20]
    assert command("run", model, "--time", 0.05, *files, cwd=tmp_path).returncode == 0
    (tmp_path / "run.ckpt").write_bytes(b"damaged")
    done = command("resume", model, "run.ckpt", "--time", 0.06, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "continued at 0.04 s" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"nengo-jit: '{tmp_path / 'run.ckpt'}' is no checkpoint")
    assert "damaged: File is not a zip file. It is now" in line


def test_what_cannot_be_resumed_is_refused(model, tmp_path):
    line = refused(command("resume", model, "none.ckpt", cwd=tmp_path))
    assert "none.ckpt" in line and "--checkpoint" in line
    (tmp_path / "bad.ckpt").write_text("no checkpoint")
    assert "bad.ckpt" in refused(command("resume", model, "bad.ckpt", cwd=tmp_path))

    done = command("run", model, "--time", 0.05, "--checkpoint", "run.ckpt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command("resume", model, "run.ckpt", "--time", 0.01, cwd=tmp_path)
    assert "--time" in refused(done) and "0.05 s" in refused(done)
    assert done.stdout == ""

    for name in ("run.ckpt", "bad.ckpt"):  # the wrong way round
        line = refused(command("resume", name, model, cwd=tmp_path))
        assert "model first, then the checkpoint" in line
    line = refused(command("run", "run.ckpt", cwd=tmp_path))
    assert "nengo-jit resume MODEL.PY run.ckpt" in line
    with np.load(tmp_path / "run.ckpt") as archive:
        np.savez(tmp_path / "data.npz", **{name: archive[name] for name in archive.files[:1]})
    line = refused(command("resume", model, "data.npz", cwd=tmp_path))
    assert f"nengo-jit: '{tmp_path / 'data.npz'}' is no checkpoint" in line
    (tmp_path / "folder").mkdir()
    assert "folder" in refused(command("resume", model, "folder", cwd=tmp_path))

    model.write_text(MODEL.replace("30", "31"))
    assert "another model" in refused(command("resume", model, "run.ckpt", cwd=tmp_path))


def test_an_error_of_the_model_is_a_traceback(model, tmp_path):
    done = command("run", model, "--time", 0.05, "--checkpoint", "run.ckpt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    wrong = "    nengo.Ensemble(2, 1, gain=[1.0, 1.0], bias=[1.0])\n"
    model.write_text(MODEL + wrong)
    for arguments in (["run", model], ["resume", model, "run.ckpt"]):
        done = command(*arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert "Traceback" in done.stderr and "nengo_jit" not in done.stderr
        assert "bias" in done.stderr.splitlines()[-1]
