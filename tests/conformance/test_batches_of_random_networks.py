"""Batches of random networks: members equal single runs; engines agree on what users give."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import Recipe, recipes

import nengo_jit

SEEDS = (7, 8, 8)


def outcome(recipe: Recipe, cuts: list[int], **options: Any) -> list[np.ndarray] | str:
    """The data of all probes after some runs, or the error that ended them."""
    try:
        with nengo_jit.Simulator(recipe.build(), progress_bar=False, **options) as sim:
            for cut in cuts:
                sim.run_steps(cut)
            return [np.array(sim.data[probe]) for probe in sim.model.probes]
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("threads", [1, 2])
@given(recipe=recipes(), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=3))
@settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_members_equal_single_runs(threads: int, recipe: Recipe, cuts: list[int]):
    batch = outcome(recipe, cuts, threads=threads, batch=len(SEEDS), seeds=SEEDS)
    singles = {seed: outcome(recipe, cuts, threads=threads, seed=seed) for seed in set(SEEDS)}
    if isinstance(batch, str):
        assert batch in singles.values()
        return
    for member, seed in enumerate(SEEDS):
        single = singles[seed]
        assert not isinstance(single, str), single
        for ours, other in zip(batch, single, strict=True):
            np.testing.assert_array_equal(ours[member], other)


def outcome_of_inputs(recipe: Recipe, engine: str) -> list[np.ndarray] | str:
    """The data of all probes if users give the outputs of some nodes, or an error."""
    network, rng = recipe.build(), np.random.RandomState(0)
    nodes = [node for node in network.all_nodes if node.output is not None][:2]
    try:
        with nengo_jit.Simulator(
            network, progress_bar=False, engine=engine, batch=2, seeds=[1, 2]
        ) as sim:
            sim.run_steps(3)
            for some, n_steps in ((nodes, 9), ([], 3), (nodes[:1], 5), ([], 3)):
                shapes = {node: (2, n_steps, node.size_out) for node in some}
                inputs = {node: rng.uniform(-1, 1, shape) for node, shape in shapes.items()}
                sim.run_steps(n_steps, inputs=inputs)
            return [np.array(sim.data[probe]) for probe in sim.model.probes]
    except Exception as error:
        return type(error).__name__


@given(recipe=recipes())
@settings(
    deadline=None,
    derandomize=True,  # in other examples, rounding might shift a spike
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_engines_agree_on_inputs(recipe: Recipe):
    ours, expected = outcome_of_inputs(recipe, "cpu"), outcome_of_inputs(recipe, "reference")
    assert isinstance(ours, str) == isinstance(expected, str)
    if not isinstance(ours, str):
        for array, other in zip(ours, expected, strict=True):
            np.testing.assert_allclose(array, other, rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
@given(recipe=recipes())
@settings(
    deadline=None,
    derandomize=True,
    max_examples=4,  # each is compiled for some seconds
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_jax_agrees_on_seeds_and_inputs(recipe: Recipe):
    for outcome_with in (outcome_of_inputs, outcome_of_seeds):
        ours, expected = outcome_with(recipe, "jax"), outcome_with(recipe, "reference")
        assert isinstance(ours, str) == isinstance(expected, str)
        if not isinstance(ours, str):
            for array, other in zip(ours, expected, strict=True):
                np.testing.assert_allclose(array, other, rtol=1e-9, atol=1e-9)


def outcome_of_seeds(recipe: Recipe, engine: str) -> list[np.ndarray] | str:
    """The data of all probes if members differ in seeds, or an error."""
    return outcome(recipe, [4, 12], engine=engine, batch=len(SEEDS), seeds=SEEDS)
