"""Recorders own what they record; a clock says what of it counts."""

import numpy as np
import pytest
import scipy.sparse

from nengo_jit.engines import recorder as module
from nengo_jit.engines.recorder import LEAST, MOST, Clock, Recorder


@pytest.fixture
def clock():
    return Clock()


def test_a_clock_counts_steps_and_never_takes_a_tick_back(clock):
    for n_steps in (1, 2, 3):
        clock.complete(n_steps)
    assert (clock.ticks, clock.n_steps) == (3, 3)
    clock.n_steps = 0
    assert (clock.ticks, clock.n_steps) == (3, 0)
    clock.complete(1)
    assert (clock.ticks, clock.n_steps) == (4, 1)
    clock.complete(7)  # somebody has written to the counter
    assert (clock.ticks, clock.n_steps) == (5, 7)


@pytest.mark.parametrize("period", [0.5, 1, 1.5, 2, 2.5, 7])
def test_samples_count_when_their_step_is_complete(clock, period):
    source = np.zeros(2)
    recorder = Recorder(source, period, clock)
    first, expected = recorder.block, []
    for n_steps in range(1, 1000):
        source[:] = n_steps
        for attempt in range(2):  # the first one is interrupted
            assert recorder.count() == len(expected)
            if n_steps % period < 1:
                recorder.write()
            else:
                recorder.skip()
        clock.complete(n_steps)
        if n_steps % period < 1:
            expected.append(n_steps)
        assert recorder.count() == len(expected)
        if expected:
            block = recorder.block
            assert block.rows[len(expected) - 1 - block.first].tolist() == [expected[-1]] * 2
    for ticks in (0, 100, 990, 999):
        count, block = recorder.find(first, ticks)
        assert count == sum(step <= ticks for step in expected)
        assert block.next is None or block.next.first > count


def test_what_was_written_for_a_step_that_did_not_happen_does_not_count(clock):
    recorder = Recorder(np.zeros(1), 2, clock)
    recorder.write()
    recorder.skip()
    clock.complete(1)
    assert recorder.count() == 0


def test_blocks_grow_and_stay_where_they_are(clock):
    recorder = Recorder(np.zeros(3), 1, clock)
    first = block = recorder.block
    for n_steps in range(1, 3000):
        recorder.write()
        clock.complete(n_steps)
    blocks = []
    while block is not None:
        blocks.append(block)
        block = block.next
    assert len(blocks) < 10
    assert blocks[0] is first
    assert blocks[1].rows.nbytes <= LEAST
    sizes = [len(block.rows) for block in blocks]
    assert [block.first for block in blocks[1:]] == np.cumsum([0, *sizes[1:-1]]).tolist()


def test_blocks_are_as_large_as_they_must_be_but_do_not_grow_for_ever(clock):
    recorder = Recorder(np.zeros(MOST // 64), 1, clock)  # eight of them make the largest block
    block, row = recorder.reserve(30)
    assert (len(block.rows), row) == (30, 0)
    for n_steps in range(1, 31):
        clock.complete(n_steps)
    block, row = recorder.reserve(1)
    assert (len(block.rows), row) == (8, 0)
    assert recorder.reserve(8) == (block, 0)


def test_without_memory_nothing_has_changed(clock, monkeypatch):
    recorder = Recorder(np.zeros(1), 3, clock)
    recorder.write()
    clock.complete(1)
    block = recorder.block
    for name in ("empty", "full"):
        with monkeypatch.context() as patch:
            patch.setattr(module.np, name, no_memory)
            with pytest.raises(MemoryError):
                recorder.reserve(10_000)
        assert (recorder.block, recorder.count()) == (block, 1)
    recorder.reserve(10_000)
    assert recorder.count() == 1


def no_memory(*args, **kwargs):
    raise MemoryError


def test_of_a_sparse_matrix_the_stored_numbers_are_recorded(clock):
    matrix = scipy.sparse.csr_matrix([[0.0, 1.0], [2.0, 0.0]])
    recorder = Recorder(matrix, 1, clock)
    recorder.write()
    clock.complete(1)
    matrix.data[:] = 0
    assert recorder.copy(recorder.block.rows[0]).toarray().tolist() == [[0, 1], [2, 0]]
