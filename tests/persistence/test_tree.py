"""Trees come back as they were, and what cannot be saved is named."""

import math

import numpy as np
import pytest

from nengo_jit.persistence.tree import flatten, rebuild


def back(tree):
    return rebuild(*flatten(tree))


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs):
            assert_same(mine, other)
    elif isinstance(ours, (np.ndarray, np.generic)):
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "tree",
    [
        *[None, True, 0, 2**200, -1.5, math.inf, "", "µ/x", [], {}, (), [()], [[], {}]],
        {"a": {"b": [1, np.arange(3), np.zeros((0, 2)), np.float32(1.5)]}, "a/b": np.ones(2)},
        {"3": (3, (1, 2), None), "~1": np.array(True), "/": np.int8(3)},
        [np.float16([1]), np.array(["text"]), np.bool_(True), np.array(5)],
    ],
    ids=repr,
)
def test_they_come_back(tree):
    assert_same(back(tree), tree)


def test_not_a_number_and_complex_numbers():
    assert math.isnan(back([math.nan])[0])
    assert back([1 + 2j])[0] == 1 + 2j


def test_arrays_have_the_names_of_their_places():
    _, arrays = flatten({"state": {"signals": [np.zeros(1), np.ones(1)]}, "a/b": np.ones(1)})
    assert sorted(arrays) == ["a~1b", "state/signals/0", "state/signals/1"]


@pytest.mark.parametrize(
    "tree, place",
    [
        ({"a": [1, object()]}, "'a/1'"),
        ({"a": np.array([None])}, "'a'"),
        ({"a": {3: 4}}, "'a'"),
        ({"a": {"$array": 4}}, "'a'"),
        ({"a": {1, 2}}, "'a'"),
        ({"a": len}, "'a'"),
    ],
)
def test_what_cannot_be_saved_is_named(tree, place):
    with pytest.raises(TypeError, match=place):
        flatten(tree)
