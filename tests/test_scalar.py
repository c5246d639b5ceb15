"""The vocabulary of formulas, in NumPy: on arrays and on single numbers alike."""

import math
from types import ModuleType

import numpy as np
import pytest

from nengo_jit import scalar
from nengo_jit.scalar import clip, where
from nengo_jit.scalar import exp as scalar_exp

NUMBERS = [-2.5, -1.0, -0.0, 0.0, 1e-300, 0.3, 2.0]


@pytest.mark.parametrize(
    "function, expected, numbers",
    [
        (scalar.exp, math.exp, NUMBERS),
        (scalar.expm1, math.expm1, NUMBERS),
        (scalar.log1p, math.log1p, NUMBERS[2:]),
        (scalar.tanh, math.tanh, NUMBERS),
        (scalar.floor, math.floor, NUMBERS),
    ],
)
def test_functions_of_one_number(function, expected, numbers):
    want = [expected(x) for x in numbers]
    np.testing.assert_allclose(function(np.array(numbers)), want, rtol=1e-15)
    np.testing.assert_allclose([function(x) for x in numbers], want, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_keep_the_precision_of_arrays(dtype):
    x = np.array([0.5, 1.5], dtype=dtype)
    results = [
        *(getattr(scalar, name)(x) for name in ("exp", "expm1", "log1p", "tanh", "floor")),
        scalar.where(x > 1.0, x, 0.0),
        scalar.maximum(x, 1.0),
        scalar.minimum(1.0, x),
        scalar.clip(x, 0.0, 1.0),
    ]
    assert [result.dtype for result in results] == [dtype] * len(results)


def test_where_selects_elements():
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(scalar.where(x > 0.0, x, 7.0), [7.0, 7.0, 2.0])
    assert scalar.where(True, 1.0, 2.0) == 1.0


def test_conditions_of_spikes_are_comparisons():
    x = np.array([-1.0, 1.0, np.nextafter(1.0, 2.0), np.inf, np.nan])
    np.testing.assert_array_equal(scalar.above(x, 1.0), x > 1.0)
    np.testing.assert_array_equal(scalar.reached(x, 1.0), x >= 1.0)
    assert scalar.above(2.0, 1.0) and scalar.reached(1.0, 1.0) and not scalar.above(1.0, 1.0)


def test_larger_smaller_and_limits():
    x = np.array([-3.0, 0.5, 3.0, np.nan])
    np.testing.assert_array_equal(scalar.maximum(x, 0.0), [0.0, 0.5, 3.0, np.nan])
    np.testing.assert_array_equal(scalar.minimum(0.0, x), [-3.0, 0.0, 0.0, np.nan])
    np.testing.assert_array_equal(scalar.clip(x, -1.0, 1.0), [-1.0, 0.5, 1.0, np.nan])


def halved(x):
    return scalar_exp(x) / 2.0


def formula(x, low=0.0):
    return halved(x) + clip(x, low, 1.0), where(x > 0.0, x, low)


def test_a_formula_can_be_bound_to_another_library():
    called = []

    def word(name):
        def call(*arguments):
            called.append(name)
            return getattr(np, name)(*arguments)

        return call

    library = ModuleType("library")
    for name in ("exp", "minimum", "maximum", "where"):
        setattr(library, name, word(name))
    x = np.array([-1.0, 0.5])
    bound = scalar.bind(formula, library)
    np.testing.assert_array_equal(bound(x), formula(x))
    assert called == ["exp", "maximum", "minimum", "where"]
    assert scalar.bind(formula, library) is bound
    formula(x)
    assert len(called) == 4
