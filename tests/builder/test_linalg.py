"""Products and solutions: what NumPy and SciPy compute, however many threads there are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from nengo_jit.builder import linalg
from nengo_jit.builder.linalg import dot, dot_transposed, gram, solve_nonnegative, solver_of


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
def test_products_with_few_columns(shape, size, rng):
    a = rng.randn(*shape)
    for product, left, b in (
        (dot, a, rng.randn(shape[1], size)),
        (dot_transposed, a.T, rng.randn(shape[0], size)),
    ):
        result = product(a, b, 2)
        np.testing.assert_allclose(result, left @ b, rtol=1e-12, atol=1e-10)
        np.testing.assert_array_equal(product(a, b, 1), result)


@pytest.mark.parametrize("n", [3, 700])
@pytest.mark.parametrize("scipy", [True, False])
def test_solver(n, scipy, rng, monkeypatch):
    if not scipy:
        monkeypatch.setattr(linalg, "lapack", lambda: None)
    matrix = rng.randn(2 * n, n)
    right = rng.randn(n, 2)
    full = matrix.T @ matrix + n * np.eye(n)
    below = gram(matrix, 1)
    below.flat[:: n + 1] += n
    above = np.triu_indices(n, 1)
    below[above] = np.nan  # nobody may look there
    solution = solver_of(below)(right)
    np.testing.assert_allclose(full @ solution, right, rtol=1e-10, atol=1e-10)


def test_solver_of_a_matrix_that_is_not_positive_definite():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        solver_of(np.array([[1.0, 2.0], [2.0, 1.0]]))


def make_system(rng, n, regularisation, offset):
    """A system like those of decoders: rates, most of them of one sign."""
    rates = np.maximum(rng.randn(2 * n + 5, n) + offset, 0) * rng.uniform(100, 300, n)
    rates[0] = 100
    matrix = rates.T @ rates
    matrix.flat[:: n + 1] += len(rates) * (regularisation * rates.max()) ** 2
    return matrix, rates.T @ np.maximum(rng.randn(len(rates)) + 0.5, 0)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    seed=st.integers(0, 2**31 - 1),
    n=st.integers(1, 60),
    regularisation=st.sampled_from([0.02, 0.1, 0.5]),
    offset=st.sampled_from([-1.0, 0.0, 1.0]),
)
def test_nonnegative_solution_is_that_of_scipy(seed, n, regularisation, offset):
    matrix, right = make_system(np.random.RandomState(seed), n, regularisation, offset)
    expected, distance = nnls(matrix, right)
    solution = solve_nonnegative(solver_of(matrix.copy()), right)
    if solution is None:  # left to SciPy
        return
    x, error = solution
    assert (x >= 0).all()
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-9 * expected.max())
    np.testing.assert_allclose(error, matrix @ x - right, rtol=0, atol=1e-9 * np.abs(right).max())
    np.testing.assert_allclose(np.linalg.norm(error), distance, atol=1e-9 * np.abs(right).max())


def test_nonnegative_solutions_are_found_where_few_elements_are_zero(rng):
    found = 0
    for _ in range(50):
        matrix, right = make_system(rng, 50, 0.1, 0.0)
        found += solve_nonnegative(solver_of(matrix), right) is not None
    assert found >= 45


@pytest.mark.parametrize("right", [np.zeros(3), np.ones(3)])
def test_nonnegative_solution_without_anything_to_exchange(right):
    x, error = solve_nonnegative(solver_of(2 * np.eye(3)), right)
    np.testing.assert_allclose(x, right / 2)
    np.testing.assert_array_equal(error, np.zeros(3))


def test_nonnegative_solution_is_not_sought_if_most_elements_are_negative():
    assert solve_nonnegative(solver_of(np.eye(3)), np.array([-1.0, -1.0, 1.0])) is None
    assert solve_nonnegative(solver_of(np.eye(3)), np.array([-1.0, 1.0, 1.0])) is not None


def test_nonnegative_solution_by_single_exchanges(rng, monkeypatch):
    """Without patience, one element at a time changes sides as soon as that brings nothing."""
    monkeypatch.setattr(linalg, "PATIENCE", 0)
    n_compared = 0
    for _ in range(30):
        matrix, right = make_system(rng, 30, 0.02, 0.0)
        solution = solve_nonnegative(solver_of(matrix.copy()), right)
        if solution is not None:
            expected, _ = nnls(matrix, right)
            np.testing.assert_allclose(solution[0], expected, rtol=0, atol=1e-9 * expected.max())
            n_compared += 1
    assert n_compared > 20
