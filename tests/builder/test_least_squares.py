"""Least-squares solutions by the Gram matrix: NumPy's, or none where rounding may matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.utils.least_squares_solvers import Cholesky

from nengo_jit.builder import least_squares
from nengo_jit.builder.least_squares import Truncated, can_solve, solve_well_conditioned
from nengo_jit.builder.linalg import gram

CLOSE = 1e-9  # relative


def matrix_with(singular_values, m, rng):
    """A random matrix of m rows with given singular values."""
    n = len(singular_values)
    left, right = (np.linalg.qr(rng.randn(size, n))[0] for size in (m, n))
    return left * singular_values @ right.T


def assert_close(ours, numpys):
    assert np.linalg.norm(ours - numpys) <= CLOSE * np.linalg.norm(numpys)


def solve(matrix, targets, rcond):
    truncated = Truncated(gram(matrix, 1), rcond)
    return truncated, truncated.solve(matrix.T @ targets)


@pytest.mark.parametrize("rcond", [1e-3, 0.01, 0.3, 0.999])
@pytest.mark.parametrize("shape", [(3, 3), (20, 4), (100, 100), (600, 450)])
def test_truncated_solutions_are_numpys(shape, rcond):
    rng = np.random.RandomState(0)
    matrix = matrix_with(np.geomspace(1, 1e-5, shape[1]) * 300, shape[0], rng)
    targets = rng.randn(shape[0], 2)
    truncated, solution = solve(matrix, targets, rcond)
    expected, _, rank, singular_values = np.linalg.lstsq(matrix, targets, rcond=rcond)
    assert truncated.rank == rank
    np.testing.assert_allclose(
        truncated.singular_values, singular_values, rtol=0, atol=1e-8 * singular_values[0]
    )
    if rcond >= 0.01:
        assert solution is not None
    if solution is not None:
        assert_close(solution, expected)


@given(
    m=st.integers(0, 40),
    n=st.integers(3, 30),
    rank=st.integers(1, 30),
    decay=st.floats(0, 12),
    rcond=st.floats(1e-3, 0.99),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=200, deadline=None)
def test_truncated_solutions_are_never_wrong(m, n, rank, decay, rcond, seed):
    rng = np.random.RandomState(seed)
    values = np.sort(10.0 ** -rng.uniform(0, decay, n))[::-1]
    values[rank:] = 0
    matrix, targets = matrix_with(values, m + n, rng), rng.randn(m + n, 2)
    _, solution = solve(matrix, targets, rcond)
    if solution is not None:
        assert_close(solution, np.linalg.lstsq(matrix, targets, rcond=rcond)[0])


def test_all_singular_values_may_be_used():
    rng = np.random.RandomState(0)
    matrix, targets = matrix_with(np.linspace(1, 2, 9), 30, rng), rng.randn(30, 1)
    truncated, solution = solve(matrix, targets, 0.01)
    assert truncated.rank == 9
    assert_close(solution, np.linalg.lstsq(matrix, targets)[0])


@pytest.mark.parametrize("distance", [1e-16, 1e-14, 1e-12])
def test_there_is_no_solution_if_a_singular_value_is_at_the_limit(distance):
    rng = np.random.RandomState(0)
    for near in ([0.01 + distance], [0.01 - distance], [0.01 + distance, 0.01 - distance]):
        values = np.array([1, 0.5, 0.1, *near, 0.001])
        matrix, targets = matrix_with(values, 30, rng), rng.randn(30, 2)
        assert solve(matrix, targets, 0.01)[1] is None


def test_a_target_of_zeros_has_decoders_of_zero():
    matrix = matrix_with(np.geomspace(1, 1e-5, 10), 30, np.random.RandomState(0))
    np.testing.assert_array_equal(solve(matrix, np.zeros((30, 2)), 0.01)[1], 0)


@pytest.mark.parametrize("shape", [(3, 3), (50, 20), (900, 450)])
def test_solutions_of_well_conditioned_systems_are_nengos(shape):
    rng = np.random.RandomState(0)
    matrix, targets = (
        matrix_with(np.linspace(1, 50, shape[1]), shape[0], rng),
        rng.randn(shape[0], 2),
    )
    ours = solve_well_conditioned(matrix, targets, 1)
    assert_close(ours, Cholesky()(matrix, targets, 0)[0])
    np.testing.assert_array_equal(ours, solve_well_conditioned(matrix, targets, 3))


def test_the_scale_of_columns_does_not_matter():
    rng = np.random.RandomState(0)
    matrix = matrix_with(np.linspace(1, 50, 20), 50, rng) * np.geomspace(1, 1e-6, 20)
    targets = rng.randn(50, 2)
    ours = solve_well_conditioned(matrix, targets, 1)
    np.testing.assert_allclose(ours, Cholesky()(matrix, targets, 0)[0], rtol=1e-9)


@pytest.mark.parametrize("least", [0, 1e-9, 1e-5])
def test_ill_conditioned_systems_have_no_solution(least):
    rng = np.random.RandomState(0)
    matrix = matrix_with(np.array([1, 0.5, 0.1, least]), 30, rng)
    assert solve_well_conditioned(matrix, rng.randn(30, 2), 1) is None


@pytest.mark.parametrize("value", [0, np.nan])
def test_columns_of_zeros_or_nan_have_no_solution(value):
    matrix = np.random.RandomState(0).randn(30, 4)
    matrix[:, 1] = value
    assert solve_well_conditioned(matrix, np.ones((30, 1)), 1) is None


def test_which_matrices_can_be_solved(monkeypatch):
    matrix = np.ones((5, 4))
    assert can_solve(matrix)
    assert not can_solve(matrix.T)
    assert not can_solve(matrix[:, :2])
    assert not can_solve(matrix.astype(np.float32))
    assert not can_solve(np.full((5, 4), np.nan))
    assert not can_solve(np.full((5, 4), np.inf))
    monkeypatch.setattr(least_squares, "lapack", lambda: None)
    assert not can_solve(matrix)
