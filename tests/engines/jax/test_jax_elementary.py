"""expm1 and log1p on processors."""

import jax
import numpy as np
import pytest

from nengo_jit.engines.jax.arrays import xp
from nengo_jit.engines.jax.compilation import as_given

SPECIAL = {
    "float64": [1e308, 709.7, 710.0, -745.0, 5e-324],
    "float32": [3e38, 88.7, 88.8, -103.0, 1e-45],
}


def on_device(name, x):
    with as_given():
        return np.asarray(jax.jit(getattr(xp, name))(x))


@pytest.mark.parametrize("name", ["expm1", "log1p"])
@pytest.mark.parametrize("dtype, most", [("float64", 2.5), ("float32", 2.5)])
def test_error_in_units_in_the_last_place(name, dtype, most):
    rng = np.random.default_rng(0)
    parts = [rng.uniform(-0.999, 3, 100_000), rng.exponential(6, 100_000)]
    parts += [rng.normal(size=10_000) * scale for scale in (1e-12, 1e-3, 0.1)]
    x = np.concatenate(parts).astype(dtype)
    exact = getattr(np, name)(x.astype(np.longdouble))
    error = np.abs(on_device(name, x) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= most


@pytest.mark.parametrize("name", ["expm1", "log1p"])
@pytest.mark.parametrize("dtype", SPECIAL)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_numbers(name, dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, -2.0, *SPECIAL[dtype]], dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x)
    result = on_device(name, x)
    np.testing.assert_allclose(result, expected, rtol=5 * np.finfo(dtype).eps)
    assert np.array_equal(np.signbit(result[:2]), [False, True])
