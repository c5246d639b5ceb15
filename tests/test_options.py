import dataclasses

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_jit
from nengo_jit.options import Options

VARIABLES = ["NENGO_JIT_ENGINE", "NENGO_JIT_THREADS", "NENGO_JIT_COMPILE_PYTHON", "NENGO_JIT_NOISE"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_they_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Options().threads = 2


def test_defaults():
    assert Options.chosen() == Options() == Options(None, None, True)
    assert Options.chosen().given == frozenset()


def test_the_environment_beats_the_default_and_a_keyword_beats_both(monkeypatch):
    for variable, value in zip(VARIABLES, ["reference", "3", "0", "nengo"], strict=True):
        monkeypatch.setenv(variable, value)
    assert Options.chosen() == Options("reference", 3, False)
    assert Options.chosen(engine=None, threads=None) == Options("reference", 3, False)
    assert Options.chosen(engine="cpu", threads=1, compile_python=True) == Options("cpu", 1, True)
    assert Options.chosen(threads=1) == Options("reference", 1, False)


def test_what_was_given_by_keyword_is_known(monkeypatch):
    monkeypatch.setenv("NENGO_JIT_THREADS", "3")
    assert Options.chosen(compile_python=False).given == {"compile_python"}


@pytest.mark.parametrize("variable", VARIABLES)
def test_an_empty_variable_counts_as_none(monkeypatch, variable):
    monkeypatch.setenv(variable, "")
    assert Options.chosen() == Options()


@pytest.mark.parametrize(
    "text, value",
    [
        *[(text, True) for text in ("1", "true", "True", "YES", "on")],
        *[(text, False) for text in ("0", "false", "False", "no", "OFF")],
        ("report", "report"),
        ("Report", "report"),
    ],
)
def test_words_in_the_environment(monkeypatch, text, value):
    monkeypatch.setenv("NENGO_JIT_COMPILE_PYTHON", text)
    assert Options.chosen().compile_python == value


@pytest.mark.parametrize("threads", [0, -1, "many", 2.5, True, "1.5", [2]])
def test_threads_must_be_a_positive_whole_number(threads):
    with pytest.raises(ValidationError, match=r"threads: Must be a positive whole number \(got"):
        Options(threads=threads)


@pytest.mark.parametrize("threads", [3, "3", np.int32(3)])
def test_threads_may_be_any_whole_number(threads):
    threads = Options(threads=threads).threads
    assert (threads, type(threads)) == (3, int)


@pytest.mark.parametrize("value", ["yes", "", 2, None, []])
def test_compile_python_must_be_a_switch_or_report(value):
    with pytest.raises(ValidationError, match="compile_python: Must be True, False or 'report'"):
        Options(compile_python=value)


def test_the_engine_must_be_a_name():
    with pytest.raises(ValidationError, match="engine: Must be the name"):
        Options(engine=3)


@pytest.mark.parametrize(
    "variable, option", [(VARIABLES[1], "threads"), (VARIABLES[2], "compile_python")]
)
def test_an_error_names_the_variable_that_a_value_comes_from(monkeypatch, variable, option):
    monkeypatch.setenv(variable, "maybe")
    with pytest.raises(ValidationError, match=f"{option}: Must .*'maybe'.* {variable}$"):
        Options.chosen()
    given = {"threads": 2, "compile_python": False}
    assert Options.chosen(**given) == Options(**given)  # so nobody asks the environment


def test_options_reach_the_engine(monkeypatch):
    monkeypatch.setenv("NENGO_JIT_THREADS", "2")
    monkeypatch.setenv("NENGO_JIT_COMPILE_PYTHON", "no")
    with nengo.Network() as net:
        nengo.Node(np.sin)
    with nengo_jit.Simulator(net, engine="cpu") as sim:
        assert sim._engine.threads == 2
        assert "`compile_python` is off" in str(sim.plan)
    with nengo_jit.Simulator(net, engine="cpu", threads=1, compile_python=True) as sim:
        assert sim._engine.threads == 1
        assert "compiled: " in str(sim.plan)


def test_a_report_is_printed_if_the_environment_says_so(monkeypatch, capsys):
    monkeypatch.setenv("NENGO_JIT_COMPILE_PYTHON", "report")
    with nengo.Network() as net:
        nengo.Ensemble(5, 1)
    nengo_jit.Simulator(net, progress_bar=False).close()
    assert capsys.readouterr().out == "no Python functions\n"


@pytest.mark.parametrize("value", ["slow", True, None])
def test_noise_must_be_one_of_two_words(value):
    with pytest.raises(ValidationError, match="noise: Must be 'nengo' or 'fast'"):
        Options(noise=value)


def test_noise_in_the_environment(monkeypatch):
    monkeypatch.setenv("NENGO_JIT_NOISE", "fast")
    assert Options.chosen().noise == "fast"
