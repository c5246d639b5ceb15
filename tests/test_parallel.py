"""Threads: results in order, errors where they belong, and linear algebra on one thread."""

import threading

import pytest

from nengo_jit.parallel import n_cores, one_thread_in_blas, parallel_map


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads):
    is_done = [threading.Event() for _ in range(20)]

    def late_for_even(x):
        if x % 2 == 0 and threads > 1:
            is_done[x + 1].wait()
        is_done[x].set()
        return x**2

    assert list(parallel_map(late_for_even, range(20), threads)) == [x**2 for x in range(20)]
    assert list(parallel_map(late_for_even, [], threads)) == []


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_errors_come_in_their_place(threads):
    def invert(x):
        return 1 / x

    results = parallel_map(invert, [1, 2, 0, 4], threads)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_only_so_many_calls_are_made_ahead():
    before = threading.active_count()
    calls = []
    results = parallel_map(calls.append, range(100), 2)
    next(results)
    results.close()
    assert len(calls) <= 6
    assert threading.active_count() == before


def test_one_thread_in_blas():
    with one_thread_in_blas() as limited, one_thread_in_blas() as again:
        assert not again
    with one_thread_in_blas() as afterwards:
        assert afterwards == limited


def test_there_is_a_core():
    assert n_cores() >= 1
