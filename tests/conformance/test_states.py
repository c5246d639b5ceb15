"""Going on from a state equals never having stopped: bit for bit, on each engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiling import compiled
from hypothesis import HealthCheck, assume, given, settings
from nengo.exceptions import BuildError
from sharing import sharing

from nengo_jit.builder import Model
from nengo_jit.engines import ENGINES
from nengo_jit.persistence.tree import flatten, rebuild

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from models import MODELS
from random_networks import NodeRecipe, Recipe, recipes


def build(network: Any) -> Model:
    model = Model()
    model.build(network)
    return model


def contents(engine: Any) -> list[bytes]:
    """Every bit of the signals and samples, in the order of the model."""
    live = [engine.signals[each] for op in engine.plan.operators for each in op.all_signals]
    numbers = [each if isinstance(each, np.ndarray) else each.data for each in live]
    samples = [np.array(engine.samples[planned.probe]) for planned in engine.plan.probes]
    return [array.tobytes() for array in (*numbers, *samples)]


def went_on(engine: Any, n_steps: int) -> list[bytes]:
    engine.run(n_steps)
    engine.settle()
    return contents(engine)


def check(models: list[Model], name: str, n_steps: tuple[int, int], threads: int = 1) -> None:
    """Run one model, and another one from its state in mid-run; compare what comes of it.

    Parameters
    ----------
    models : list of Model
        Two, built alike.
    name : str
        Of the engine.
    n_steps : tuple of int
        How many to the state, and from there.
    threads : int
        Of the engine that goes on.
    """
    engine, other = compiled(models[0], name, threads=1), compiled(models[1], name, threads=threads)
    engine.reset(1)
    engine.run(n_steps[0])
    state = rebuild(*flatten(engine.state()))  # as in a file
    engine.clear_samples()
    expected = went_on(engine, n_steps[1])
    other.reset(2)
    other.run(3)  # so that there is something to be forgotten
    other.load_state(state)
    assert (other.n_steps, other.time) == (n_steps[0], n_steps[0] * models[0].dt)
    assert went_on(other, n_steps[1]) == expected
    engine.load_state(state)  # back again
    assert went_on(engine, n_steps[1]) == expected


@pytest.mark.parametrize("name", ENGINES)
@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(recipe=recipes())
def test_random_networks(name: str, recipe: Recipe) -> None:
    try:
        models = [build(recipe.build()) for _ in range(2)]
        engine = compiled(models[0], "reference")
        engine.reset(1)
        engine.run(40)
    except (BuildError, ArithmeticError, ValueError):  # such as negative means of Poisson numbers
        assume(False)
    models[0] = build(recipe.build())
    with np.errstate(all="ignore"), sharing():
        check(models, name, (17, 23), threads=3)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("model, sizes", [("noisy_mix", {"n_neurons": 20}), ("unsupervised", {})])
def test_benchmark_models(name: str, model: str, sizes: dict[str, int]) -> None:
    models = [build(MODELS[model](**sizes)) for _ in range(2)]
    with sharing():
        check(models, name, (30, 60), threads=2)


def test_generators_of_functions_are_in_the_state() -> None:
    recipe = Recipe((NodeRecipe("stateful", 1, 0), NodeRecipe("time", 1, 0)), (), (), 0)
    engine = compiled(build(recipe.build()))
    engine.reset(0)
    state = engine.state()
    assert len(state["objects"]) == 1
    (hidden,) = state["hidden"]  # the other function has an array to itself
    assert "SimPyFunc" in hidden
