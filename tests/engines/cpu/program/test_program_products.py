"""Which way of computing a product is chosen."""

import numpy as np
import pytest

from nengo_jit.engines.cpu.program.products import (
    Strategy,
    as_matrix,
    is_worth_holding,
    strategy_of,
)

WIDE_MATRIX, FLAT_MATRIX = np.ones((3, 20)), np.ones((40, 9))


def chosen(a, x=None, y=None, is_fixed=True, has_spikes=False):
    x = np.zeros(a.shape[-1:]) if x is None else x
    y = np.zeros(a.shape[:1]) if y is None else y
    return strategy_of(a, x, y, is_fixed, has_spikes)


@pytest.mark.parametrize(
    "a, is_fixed, has_spikes, expected",
    [
        (WIDE_MATRIX, True, True, Strategy.EVENTS),
        (WIDE_MATRIX, False, True, Strategy.ROWS_OF_EVENTS),
        (WIDE_MATRIX.T, False, True, Strategy.EVENTS),
        (WIDE_MATRIX, True, False, Strategy.ROWS),
        (WIDE_MATRIX, False, False, Strategy.ROWS),
        (WIDE_MATRIX.T, True, False, Strategy.COLUMNS),
        (WIDE_MATRIX.T, False, False, Strategy.STRIDED),
        (FLAT_MATRIX, True, False, Strategy.COLUMNS),
        (FLAT_MATRIX, False, False, Strategy.ROWS),
        (FLAT_MATRIX[:20], True, False, Strategy.ROWS),
        (FLAT_MATRIX[:, ::2][:5, :3], False, True, Strategy.STRIDED),
        (np.ones((4, 2))[:, ::2], False, False, Strategy.ROWS),  # of one column
        (np.ones((0, 3)), True, True, Strategy.NONE),
        (np.ones((3, 0)), False, False, Strategy.NONE),
    ],
)
def test_the_way_of_least_work_is_chosen(a, is_fixed, has_spikes, expected):
    assert chosen(a, is_fixed=is_fixed, has_spikes=has_spikes) is expected


def test_vectors_with_gaps_are_stepped_through():
    gaps = np.zeros((20, 2))[:, :1]
    assert chosen(WIDE_MATRIX, x=gaps, has_spikes=True) is Strategy.STRIDED
    assert chosen(WIDE_MATRIX.T, y=gaps) is Strategy.STRIDED
    assert chosen(WIDE_MATRIX, x=np.zeros((20, 1)), has_spikes=True) is Strategy.EVENTS


def test_scalars_are_multiplied_by_elements():
    assert chosen(np.array(2.0), np.zeros(3), np.zeros(3)) is Strategy.ELEMENTWISE
    assert chosen(np.ones(3), np.array(2.0), np.zeros(3)) is Strategy.ELEMENTWISE


def test_a_vector_stands_for_a_matrix_of_one_row():
    vector = np.arange(3.0)
    assert as_matrix(vector, 1, 3).tolist() == [[0, 1, 2]]
    assert as_matrix(WIDE_MATRIX, 3, 20) is WIDE_MATRIX
    assert chosen(vector, np.zeros(3), np.zeros(1), is_fixed=False) is Strategy.ROWS


@pytest.mark.parametrize("shape", [(300, 300), (1000, 20), (10, 3000)])
def test_matrices_that_are_almost_all_zeros(shape):
    matrix = np.zeros(shape)
    for share, is_scarce in ((0.0, True), (0.05, True), (0.07, False), (1.0, False)):
        matrix.flat[: int(share * matrix.size)] = -1.5
        assert (chosen(matrix) is Strategy.NONZEROS) is is_scarce
        assert chosen(matrix, is_fixed=False) is Strategy.ROWS
        assert chosen(matrix, has_spikes=True) is Strategy.EVENTS
    assert chosen(np.eye(1000)[:, :900]) is Strategy.NONZEROS
    assert chosen(np.zeros((10, 20))) is Strategy.ROWS


def test_what_is_worth_holding():
    assert is_worth_holding(100 * 1000, 1000)
    assert is_worth_holding(1000 * 64, 64)
    assert not is_worth_holding(100_000, 1)
    assert not is_worth_holding(100_000, 100_000)
    assert not is_worth_holding(50 * 50, 50)
