"""Products are NumPy's, and SciPy's, by any array library."""

import numpy as np
import pytest
import scipy.sparse
from libraries import Library, every_library

from nengo_jit.ir.products import dot, dot_by_groups, outer, rows_of

SHAPES = [((), ()), ((), (3,)), ((3,), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4))]


def numbers(*shape, seed=0):
    """Numbers whose products and sums are exact, in whatever order they are added up."""
    return np.asarray(np.random.RandomState(seed).randint(-16, 16, shape) / 16.0)


@every_library
@pytest.mark.parametrize("a, b", SHAPES)
def test_dot(name, a, b):
    library, a, b = Library(name), numbers(*a), numbers(*b, seed=1)
    product = dot(library.xp.asarray(a), library.xp.asarray(b))
    np.testing.assert_array_equal(np.asarray(product), a.dot(b))


@every_library
@pytest.mark.parametrize("a, b", [((3,), (4,)), ((), (4,)), ((3,), ()), ((2, 2), (3, 1))])
def test_outer(name, a, b):
    xp, a, b = Library(name).xp, numbers(*a), numbers(*b, seed=1)
    product = outer(xp, xp.asarray(a), xp.asarray(b))
    np.testing.assert_array_equal(np.asarray(product), np.outer(a, b))


@every_library
def test_dot_by_groups(name):
    xp, a, b = Library(name).xp, numbers(3, 4, 5), numbers(3, 5, 2, seed=1)
    product = np.asarray(dot_by_groups(xp, xp.asarray(a), xp.asarray(b)))
    assert product.shape == (4, 3, 2)
    for group in range(3):
        np.testing.assert_array_equal(product[:, group], a[group].dot(b[group]))


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_rows_give_the_product_of_scipy_to_the_bit(form):
    matrix = scipy.sparse.random(20, 30, 0.3, form, random_state=np.random.RandomState(0))
    x = np.random.RandomState(1).randn(30)
    np.testing.assert_array_equal(rows_of(matrix).dot(x), matrix.dot(x))


def test_rows_of_a_sparse_matrix():
    matrix = scipy.sparse.coo_matrix(([1.0, 2.0, 3.0, 4.0], ([0, 2, 2, 0], [1, 0, 3, 1])), (3, 4))
    rows = rows_of(matrix)
    assert rows.numbers.shape == rows.columns.shape == (2, 3)
    np.testing.assert_array_equal(rows.dot(np.array([1.0, 10.0, 100.0, 1000.0])), [50, 0, 3002])
    empty = rows_of(scipy.sparse.csr_matrix((3, 4)))
    np.testing.assert_array_equal(empty.dot(np.ones(4)), np.zeros(3))
