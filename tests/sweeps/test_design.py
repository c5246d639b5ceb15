"""The runs of a sweep, and the coordinates of its results."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_jit.sweeps.design import Design, coordinate


def function():
    pass


def test_a_grid_has_all_combinations_with_the_seed_last():
    design = Design.of({"a": [1, 2], "b": iter("xy")}, np.array([5, 6]))
    assert design.dims == ("a", "b", "seed")
    assert design.n_runs == 8
    assert [design.run(number) for number in (0, 1, 2, 7)] == [
        ({"a": 1, "b": "x"}, 5),
        ({"a": 1, "b": "x"}, 6),
        ({"a": 1, "b": "y"}, 5),
        ({"a": 2, "b": "y"}, 6),
    ]
    assert design.index(7) == (1, 1, 1)
    assert type(design.run(0)[1]) is int


def test_cases_are_run_as_they_are():
    design = Design.of(iter([{"a": 1}, {"a": 2, "b": 3}]), None)
    assert design.dims == ("case",)
    assert [design.run(number) for number in (0, 1)] == [({"a": 1}, None), ({"a": 2, "b": 3}, None)]
    assert {name: dim for name, (dim, _) in design.coordinates.items()} == {
        "a": "case",
        "b": "case",
    }


def test_numbers_that_a_case_lacks_are_nan():
    design = Design.of([{"a": 1}, {"b": "x", "a": 2.5}, {}], None)
    np.testing.assert_array_equal(design.coordinates["a"][1], [1, 2.5, np.nan])
    assert design.coordinates["b"][1].tolist() == ["None", "x", "None"]
    assert design.run(2) == ({}, None)


def test_there_may_be_a_single_run():
    design = Design.of(None, None)
    assert (design.n_runs, design.shape, design.run(0)) == (1, (), ({}, None))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, 0.5, np.float32(2)], [1, 0.5, 2]),
        ([True, False], [True, False]),
        (["a", "b"], ["a", "b"]),
        (["x" * 99, "y"], ["x" * 99, "y"]),
        ([nengo.LIF(), nengo.Tanh()], ["LIF()", "Tanh()"]),
        ([nengo.LIF(), nengo.LIF()], [0, 1]),
        ([function, None], ["function", "None"]),
        ([0.1, None, 10 / 100], ["0.1", "None", "0.1"]),
        ([[1], [2]], ["[1]", "[2]"]),
        ([np.zeros(99), np.ones(99)], [0, 1]),
        ([2**70, 1], ["1180591620717411303424", "1"]),
    ],
)
def test_objects_appear_by_name_or_place(values, names):
    assert coordinate(values).tolist() == names


@pytest.mark.parametrize(
    ("parameters", "seeds", "named"),
    [
        ({"a": 3}, None, "Values of 'a' must be a list"),
        ({"a": "xyz"}, None, "Values of 'a' must be a list"),
        ({"a": np.array(3)}, None, "Values of 'a' must be a list"),
        ({"a": []}, None, "no a"),
        ([1, 2], None, "dictionary"),
        ([], None, "no case"),
        ({"time": [1]}, None, "'time'"),
        ({"seed": [1]}, None, "'seed'"),
        ({"a/b": [1]}, None, "'a/b'"),
        ({"..": [1]}, None, "'..'"),
        ({"a.0.size": [1]}, None, "'a.0.size'"),
        ([{3: 1}], None, "3"),
        (None, 5, "Seeds must be a list"),
        (None, [1, 1], "different"),
        (None, [-1], "from 0"),
        (None, [1.5], "whole"),
        (None, [], "no seed"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(parameters, seeds, named):
    with pytest.raises(ValidationError, match=named):
        Design.of(parameters, seeds)
