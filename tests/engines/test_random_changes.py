"""Random networks in which random signals are changed at random times: the results are nengo's."""

import pytest
from random_changes import differences

SEEDS = range(25)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_random_changes(seed, engine):
    assert differences(seed, engine) == []


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_random_changes_with_threads(seed):
    assert differences(seed, "cpu", threads=2) == []


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_random_changes_where_all_functions_stay_in_python(seed):
    assert differences(seed, "cpu", compile_python=False) == []
