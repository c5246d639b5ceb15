"""Products of large matrices: what NumPy computes, however many threads there are."""

import numpy as np
import pytest

from nengo_jit.builder import linalg
from nengo_jit.builder.linalg import dot, gram, solver_of


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.mark.parametrize("n", [1, 40, 300, 1001])
def test_gram_matrix(n, rng):
    matrix = rng.randn(2500, n)
    result = gram(matrix, 2)
    np.testing.assert_allclose(np.tril(result), np.tril(matrix.T @ matrix), rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(np.tril(gram(matrix, 1)), np.tril(result))
    np.testing.assert_array_equal(np.tril(gram(matrix, 5)), np.tril(result))


@pytest.mark.parametrize("shape", [(3, 2), (4000, 500), (500, 4000)])
@pytest.mark.parametrize("size", [1, 3])
def test_dot(shape, size, rng):
    a, b = rng.randn(*shape), rng.randn(shape[1], size)
    for left, right in ((a, b), (np.ascontiguousarray(a.T).T, b)):
        result = dot(left, right, 2)
        np.testing.assert_allclose(result, left @ right, rtol=1e-12, atol=1e-10)
        np.testing.assert_array_equal(dot(left, right, 1), result)


@pytest.mark.parametrize("n", [3, 700])
@pytest.mark.parametrize("scipy", [True, False])
def test_solver(n, scipy, rng, monkeypatch):
    if not scipy:
        monkeypatch.setattr(linalg, "scipy", None)
    matrix = rng.randn(2 * n, n)
    right = rng.randn(n, 2)
    full = matrix.T @ matrix + n * np.eye(n)
    below = gram(matrix, 1)
    below.flat[:: n + 1] += n
    above = np.triu_indices(n, 1)
    below[above] = np.nan  # nobody may look there
    solution = solver_of(below)(right)
    np.testing.assert_allclose(full @ solution, right, rtol=1e-10, atol=1e-10)
