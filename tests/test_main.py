"""The command nengo-jit."""

import subprocess
import sys

import pytest

import nengo_jit
from nengo_jit import __main__ as command
from nengo_jit.engines.cpu.kernels import all_kernels


def test_compile_compiles_all(monkeypatch):
    given = []
    monkeypatch.setattr(command, "load_kernels", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(command, "are_kept", lambda kernels: True)
    command.main(["compile"])
    ((kernels, progress),) = given
    assert kernels == all_kernels() and progress is not None


def test_what_cannot_be_kept_is_an_error(tmp_path, monkeypatch, capsys):
    kernels = all_kernels()[:1]
    monkeypatch.setattr(command, "all_kernels", lambda: kernels)
    monkeypatch.setattr(command, "load_kernels", lambda *arguments: None)
    monkeypatch.delenv("NENGO_JIT_SHARED_CACHE_DIR", raising=False)
    monkeypatch.setenv("NENGO_JIT_CACHE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        command.main(["compile"])
    assert ended.value.code == 1
    assert "NENGO_JIT_CACHE_SIZE" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["no-such-command"]])
def test_what_is_not_known_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert "compile" in capsys.readouterr().err


def test_it_can_be_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "nengo_jit", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["nengo-jit", nengo_jit.__version__]
