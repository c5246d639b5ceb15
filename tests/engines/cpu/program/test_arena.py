"""Memory for constants and buffers."""

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.program.arena import CHUNK, Arena, Pool


def arena():
    return Arena(np.dtype(np.float64))


def test_constants_of_a_pool_lie_side_by_side():
    memory = arena()
    first = memory.constant([1.0, 2.0], pool=Pool.COLUMNS)
    memory.constant([0.0])
    memory.constant([0.0], pool=Pool.BEGINNINGS)
    assert memory.constant([3.0], pool=Pool.COLUMNS) == first + 16


def test_constants_have_the_type_that_is_asked_for_and_its_alignment():
    memory = arena()
    small = memory.copy([1, 2, 3], np.int32)
    large = memory.copy([1.5])
    assert (small.dtype, large.dtype) == (np.int32, np.float64)
    assert start(large) % 8 == 0
    assert start(large) == start(small) + 16


def test_constants_stay_where_they_are_when_more_are_made():
    memory = arena()
    copies = [memory.copy(np.full(CHUNK // 32, i)) for i in range(10)]
    large = memory.copy(np.arange(CHUNK))
    assert all((each == i).all() for i, each in enumerate(copies))
    assert large[-1] == CHUNK - 1


def test_equal_parameters_and_small_matrices_are_shared():
    memory = arena()
    assert memory.parameters([1, 2]) == memory.parameters(np.array([1.0, 2.0]))
    assert memory.parameters([0.0]) != memory.parameters([-0.0])
    matrix = np.arange(6.0).reshape(2, 3)
    columns = memory.columns(matrix)
    assert columns.tolist() == matrix.T.tolist()
    assert memory.columns(matrix.copy()) is columns
    assert memory.columns(matrix.reshape(3, 2)) is not columns


def test_large_matrices_are_kept_where_they_lie_if_they_are_stored_by_column():
    memory = arena()
    matrix = np.zeros((400, 400))
    assert memory.columns(matrix.T) is None
    assert memory.columns(matrix).flags.c_contiguous


def test_buffers_of_an_operator_are_made_once():
    memory = arena()
    owner = object()
    gain = memory.numbers_of(owner, "gain", 3)
    assert memory.numbers_of(owner, "gain", 3) is gain
    assert memory.numbers_of(owner, "loss", 3) is not gain
    assert memory.numbers_of(object(), "gain", 3) is not gain
    assert gain.tolist() == [0, 0, 0]
