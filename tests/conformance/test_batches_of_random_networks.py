"""Members of batches of random networks have the data of simulators of their own, bit for bit."""

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
