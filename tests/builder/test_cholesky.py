"""Cholesky factorisation: the results of SciPy's LAPACK, from the library that NumPy has loaded."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg

from nengo_jit.builder import cholesky, linalg

available = pytest.mark.skipif(not cholesky.is_available(), reason="NumPy's library is unknown")


def make_matrix(n, seed=0):
    points = np.random.RandomState(seed).randn(2 * n, n)
    return points.T @ points + np.eye(n)


@available
@pytest.mark.parametrize("n", [1, 2, 50, 301])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_solutions_are_those_of_scipy(n, shape):
    matrix = make_matrix(n)
    right = np.random.RandomState(1).randn(n, *shape)
    below = np.tril(matrix)
    below[np.triu_indices(n, 1)] = np.nan  # these elements are not read
    cholesky.factorise(below)
    expected = scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix, lower=True), right)
    solution = cholesky.solve(below, right)
    assert solution.shape == right.shape
    np.testing.assert_allclose(solution, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.tril(below), np.linalg.cholesky(matrix), rtol=1e-12, atol=1e-13)


@available
def test_right_hand_sides_may_have_any_layout_and_stay_as_they_are():
    matrix = make_matrix(20)
    right = np.random.RandomState(1).randn(6, 40)[::2, ::2].T
    before = right.copy()
    cholesky.factorise(factor := matrix.copy())
    np.testing.assert_allclose(matrix @ cholesky.solve(factor, right), right, atol=1e-12)
    integers = np.arange(20)
    np.testing.assert_allclose(matrix @ cholesky.solve(factor, integers), integers, atol=1e-11)
    np.testing.assert_array_equal(right, before)


@available
def test_a_matrix_that_is_not_positive_definite_is_an_error():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        cholesky.factorise(np.array([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("n", [3, 450])
def test_without_a_known_library_scipy_solves(n, monkeypatch):
    monkeypatch.setattr(cholesky, "_routines", dict)
    matrix, right = make_matrix(n), np.random.RandomState(1).randn(n, 2)
    solution = linalg.solver_of(matrix.copy())(right)
    np.testing.assert_allclose(matrix @ solution, right, rtol=1e-10, atol=1e-9)


WITHOUT_SCIPY = """
import sys
import nengo
import nengo_jit

with nengo.Network(seed=0) as net:
    ens = nengo.Ensemble(50, 1)
    nengo.Connection(ens, ens, function=lambda x: x ** 2)
with nengo_jit.Simulator(net, engine="reference", progress_bar=False):
    assert "scipy.linalg" not in sys.modules
"""


@available
def test_the_default_solver_does_not_import_scipys_linear_algebra():
    subprocess.run([sys.executable, "-c", WITHOUT_SCIPY], check=True)
