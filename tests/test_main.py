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
    command.main(["compile"])
    ((kernels, progress),) = given
    assert kernels == all_kernels() and progress is not None


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
