"""NumPy's settings in a step, and after it."""

import contextvars
import threading

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu.python.errstate import ErrorState, settings_variable

IS_NUMPY_1 = np.lib.NumpyVersion(np.__version__) < "2.0.0"


@pytest.fixture(params=["variable", "none"])
def arithmetic(request):
    """As it is found for this NumPy, and as for one that keeps its settings elsewhere."""
    return ErrorState(settings_variable() if request.param == "variable" else None)


def test_numpys_variable_is_found():
    assert (settings_variable() is None) is IS_NUMPY_1


def test_settings_are_those_of_a_step_and_then_those_of_before(arithmetic):
    with np.errstate(over="raise", under="warn", invalid="ignore", divide="raise"):
        before = np.geterr()
        within = arithmetic.call(lambda n: (n, np.geterr()), 3)
        assert within == (3, {**before, "invalid": "raise", "divide": "ignore"})
        assert np.geterr() == before


def test_settings_are_those_of_before_if_it_raises(arithmetic):
    before = np.geterr()
    with pytest.raises(FloatingPointError):
        arithmetic.call(lambda n: np.float64(np.inf) - np.inf, 0)
    assert np.geterr() == before


def test_calls_within_calls(arithmetic):
    def inner(n):
        with np.errstate(invalid="ignore", under="raise"):
            arithmetic.call(lambda n: seen.append(np.geterr()), n)
            seen.append(np.geterr())

    seen, before = [], np.geterr()
    arithmetic.call(inner, 0)
    assert [each["invalid"] for each in seen] == ["raise", "ignore"]
    assert [each["under"] for each in seen] == ["raise", "raise"]
    assert np.geterr() == before


def test_it_follows_the_settings(arithmetic):
    for _ in range(2):
        assert arithmetic.ignores_underflow is (np.geterr()["under"] == "ignore")
        with np.errstate(under="raise"):
            assert not arithmetic.ignores_underflow
            assert arithmetic.call(lambda n: np.geterr()["under"], 0) == "raise"
        with np.errstate(under="ignore"):
            assert arithmetic.ignores_underflow
            assert arithmetic.call(lambda n: np.geterr()["under"], 0) == "ignore"


def test_threads_and_contexts_have_settings_of_their_own(arithmetic):
    def ask():
        answers.append((arithmetic.ignores_underflow, arithmetic.call(lambda n: np.geterr(), 0)))

    answers = []
    with np.errstate(under="raise", over="ignore"):
        ask()
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        contextvars.Context().run(ask)
        ask()
    assert [each for each, _ in answers] == [False, True, not IS_NUMPY_1, False]
    assert [each["over"] for _, each in answers][::3] == ["ignore", "ignore"]


def test_functions_of_a_model_see_what_the_caller_has_set():
    seen = []
    with nengo.Network() as net:
        nengo.Node(lambda t: seen.append(np.geterr()["under"]))
    with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
        seen.clear()
        for under in ("ignore", "raise", "warn", "raise"):
            with np.errstate(under=under):
                sim.step()
    assert seen == ["ignore", "raise", "warn", "raise"]
