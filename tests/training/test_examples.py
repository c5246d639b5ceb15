"""The examples of training learn, and the frozen networks do in Nengo what was learned."""

import importlib
from pathlib import Path

import nengo
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def example(name, monkeypatch, package=None):
    if package is not None:
        pytest.importorskip(package, reason="an extra of the examples")
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(f"examples.training.{name}")


@pytest.fixture(autouse=True)
def single_precision(monkeypatch):
    """The examples choose it; put it back."""
    bits = nengo.rc["precision"]["bits"]
    yield
    nengo.rc["precision"]["bits"] = bits


CASES = [
    ("permuted_digits", None, 300, 100, 4, 0.4),
    ("delayed_match", None, 64, 32, 1, 0.5),
    ("japanese_vowels", "aeon", 270, 60, 6, 0.6),
    ("mnist_1d", "mnist1d", 64, 16, 1, 0.0),
]


@pytest.mark.parametrize("name, package, n_train, n_test, epochs, least", CASES)
def test_a_short_training_learns_and_freezes(
    name, package, n_train, n_test, epochs, least, monkeypatch
):
    module = example(name, monkeypatch, package)
    tasks = example("tasks", monkeypatch)
    nengo.rc["precision"]["bits"] = "32"
    training, test = module.TASK.load()
    assert not {each.tobytes() for each in training.x} & {each.tobytes() for each in test.x}
    training, test = training.at(np.arange(n_train)), test.at(np.arange(len(test.x))[-n_test:])
    outcome = tasks.learn(module.TASK, training, test, 0, epochs)
    assert outcome.trained >= least
    assert abs(outcome.trained - outcome.frozen) <= max(0.01, 1 / n_test)
    assert tasks.draw(module.TASK, test, outcome).axes


def test_the_rule_adapts_in_a_trial_to_targets_that_training_has_not_seen(monkeypatch):
    adaptation = example("adaptation", monkeypatch)
    nengo.rc["precision"]["bits"] = "32"
    monkeypatch.setattr(adaptation, "N_STEPS", 100)
    monkeypatch.setattr(adaptation, "BEGUN", 50)
    training, test = adaptation.trials(64, seed=1), adaptation.trials(20, seed=3)
    found = adaptation.learn(training, test, 0, epochs=80)
    np.testing.assert_allclose(found.frozen, found.trained, atol=1e-5)
    untrained, adapted = map(adaptation.size_of, (found.untrained, found.frozen))
    without_the_rule = adaptation.size_of(test.y)  # functions have a mean of zero
    assert adapted < 0.5 * untrained
    assert adapted < 0.25 * without_the_rule
    assert adaptation.draw(test, found).axes
