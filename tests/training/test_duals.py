"""Dual numbers: their slopes are JAX's where those are finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nengo_jit.scalar as scalar
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.scalar import above, bind, clip, exp, expm1, floor, log1p, maximum, tanh, where
from nengo_jit.training.duals import Dual, vocabulary
from nengo_jit.training.surrogates import fast_sigmoid

X = np.array([-2.5, -0.7, 0.3, 1.9])


def arithmetic(x):
    return 2.0 * x + x * x - x / (3.0 + x) - 1.0 / x + (1.0 - x) ** 3 + abs(x) - (-x)


def elementary(x):
    return exp(x) + expm1(0.5 * x) * tanh(x) + log1p(3.0 + x)


def conditions(x):
    return where(x > 0.0, x * x, 2.0 * x) + maximum(0.5, x) + clip(x, -1.0, 1.0)


def slopes_of(step, x):
    """Return values and slopes of a formula, as dual numbers."""
    result = bind(step, vocabulary(fast_sigmoid))(Dual(jnp.asarray(x), jnp.ones(len(x))))
    return result.value, result.change


@pytest.mark.parametrize("step", [arithmetic, elementary, conditions])
def test_slopes_are_those_of_jax(step):
    with as_given():
        plain = bind(step, jnp)
        values, slopes = slopes_of(step, X)
        np.testing.assert_allclose(values, plain(jnp.asarray(X)), rtol=1e-14)
        np.testing.assert_allclose(slopes, jax.vmap(jax.grad(plain))(X), rtol=1e-12)


def test_numbers_of_numpy_may_come_first():
    def step(x):
        return np.float64(2.0) * x + np.float64(1.0) / x - (np.float64(3.0) - x)

    with as_given():
        _, slopes = slopes_of(step, X)
    np.testing.assert_allclose(slopes, 3.0 - 1.0 / X**2)


def test_what_is_not_selected_adds_nothing():
    def step(x):
        return where(x > 1.0, x * log1p(1.0 / (x - 1.0)), 3.0 * x)

    with as_given():
        _, slopes = slopes_of(step, np.array([0.5, 1.0]))
    np.testing.assert_array_equal(slopes, [3.0, 3.0])


def test_spikes_and_whole_numbers_have_other_slopes():
    with as_given():
        _, of_spike = slopes_of(lambda x: where(above(x, 2.0), 5.0, 1.0), np.array([2.0, 2.5]))
        _, of_count = slopes_of(lambda x: floor(x), X)
    np.testing.assert_allclose(of_spike, [4 / 2, 4 / 2 / (1 + 10 * 0.25) ** 2])
    np.testing.assert_array_equal(of_count, 1.0)


def test_all_words_of_formulas_are_known():
    words = {name for name, each in vars(scalar).items() if callable(each)}
    formulas = {each for each in words if getattr(scalar, each).__module__ == scalar.__name__}
    library = vocabulary(fast_sigmoid)
    for name in formulas - {"bind"}:
        for used in getattr(scalar, name).__code__.co_names:
            assert used == "np" or hasattr(library, used)
