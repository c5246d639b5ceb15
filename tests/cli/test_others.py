"""The commands ``plan``, ``bench``, ``compile`` and ``info``."""

import sys

import numpy as np
import pytest
import typer
from commands import MODEL, command, refused

from nengo_jit.cli.compile import compile_kernels
from nengo_jit.engines.cpu import kernels
from nengo_jit.engines.cpu.toolchain import kernel_cache


def test_plan_prints_what_runs(model):
    done = command("plan", model)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Plan: ")
    assert "lif" in done.stdout and "squares" in done.stdout
    assert "one after the other" in command("plan", model, "--engine", "reference").stdout


def test_plan_refuses_bad_options(model):
    assert "--dt" in refused(command("plan", model, "--dt", -1))


def test_bench_compares_both_simulators(model, tmp_path):
    done = command("bench", model, "--time", 0.1, "--repeats", 1, "--plot", "b.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("nengo.Simulator")
    assert lines[2].startswith("nengo_jit.Simulator")
    assert "times as fast as nengo" in lines[3]
    assert "seconds to run" in (tmp_path / "b.svg").read_text()


def test_bench_makes_the_model_anew_for_each_run(model, tmp_path):
    model.write_text(f"open('count', 'a').write('x')\n{MODEL}")
    assert command("bench", model, "-t", 0.01, "--repeats", 2, cwd=tmp_path).returncode == 0
    assert (tmp_path / "count").read_text() == 5 * "x"  # once to warm up


def test_bench_finds_models_that_change_the_folder(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    model.write_text(f"import os\nos.chdir('elsewhere')\n{MODEL}")
    options = ["-t", 0.01, "--repeats", 1, "--plot", "b.svg"]
    done = command("bench", model.name, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b.svg").exists()


def test_bench_refuses_bad_options(model, tmp_path):
    assert "--repeats" in refused(command("bench", model, "--repeats", 0))
    assert "x.txt" in refused(command("bench", model, "--plot", "x.txt", cwd=tmp_path))


def test_info_names_versions_and_places(tmp_path):
    done = command("info", NENGO_JIT_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for text in (sys.executable, np.__version__, str(tmp_path), "cpu (the default)", "reference"):
        assert text in done.stdout
    packages = [line.split()[0] for line in done.stdout.splitlines()]
    assert "jax" in packages  # the engine is listed without the package, too
    assert "devices" not in packages  # they depend on the engine


def test_compile_compiles_all(monkeypatch, capsys):
    given = []
    monkeypatch.setattr(kernel_cache, "load_kernels", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(kernel_cache, "are_kept", lambda kernels: True)
    compile_kernels()
    assert capsys.readouterr().out == f"{len(kernels.all_kernels())} kernels are in the cache\n"
    ((found, progress),) = given
    assert found == kernels.all_kernels() and progress is not None


def test_what_cannot_be_kept_is_an_error(tmp_path, monkeypatch, capsys):
    some = kernels.all_kernels()[:1]
    monkeypatch.setattr(kernels, "all_kernels", lambda: some)
    monkeypatch.setattr(kernel_cache, "load_kernels", lambda *arguments: None)
    monkeypatch.delenv("NENGO_JIT_SHARED_CACHE_DIR", raising=False)
    monkeypatch.setenv("NENGO_JIT_CACHE_DIR", str(tmp_path))
    with pytest.raises(typer.Exit) as ended:
        compile_kernels()
    assert ended.value.exit_code == 1
    assert "NENGO_JIT_CACHE_SIZE" in capsys.readouterr().err
