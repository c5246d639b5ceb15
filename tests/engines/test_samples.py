"""Samples behave as a list of arrays does."""

import pickle
import threading
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.engines import samples as module
from nengo_jit.engines.recorder import Clock, Recorder, Span
from nengo_jit.engines.samples import Samples

numbers = st.floats(-1, 1, width=32)
actions = st.one_of(
    st.tuples(st.just("append"), numbers),
    st.tuples(st.just("extend"), st.lists(numbers, max_size=5)),
    st.tuples(st.just("insert"), st.tuples(st.integers(-9, 9), numbers)),
    st.tuples(st.just("delete"), st.slices(6)),
    st.tuples(st.just("set"), st.tuples(st.slices(6), numbers)),
    st.tuples(st.just("clear"), st.none()),
    st.tuples(st.just("reverse"), st.none()),
    st.tuples(st.just("pop"), st.integers(-3, 2)),
    st.tuples(st.just("sort"), st.booleans()),
    st.tuples(st.just("multiply"), st.integers(-1, 2)),
    st.tuples(st.just("replace"), st.tuples(st.slices(6), st.lists(numbers, max_size=5))),
)


def act(values, action, argument):
    if action == "append":
        values.append(np.full(2, argument))
    elif action == "extend":
        values.extend([np.full(2, number) for number in argument])
    elif action == "insert":
        values.insert(argument[0], np.full(2, argument[1]))
    elif action == "delete":
        del values[argument]
    elif action == "replace":
        if argument[0].step in (None, 1):  # others want as many as they replace
            values[argument[0]] = [np.full(2, number) for number in argument[1]]
    elif action == "pop":
        if -len(values) <= argument < len(values):
            values.pop(argument)
    elif action == "sort":
        values.sort(key=lambda row: round(row[0], 1), reverse=argument)
    elif action == "multiply":
        before = values
        values *= argument
        assert values is before
    else:
        getattr(values, action)()


@given(st.lists(actions, max_size=12))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_samples_change_as_a_list_does_and_leave_old_arrays_alone(steps):
    samples, expected, seen = Samples((2,), np.float32), [], []
    for action, argument in steps:
        if action == "set":
            samples[argument[0]] = argument[1]
            for i in range(len(expected))[argument[0]]:
                expected[i] = np.full(2, argument[1])
        else:
            act(samples, action, argument)
            act(expected, action, argument)
        seen.append((samples.array, samples.array.copy()))
        assert len(samples) == len(expected)
        assert np.array_equal(samples.array, np.reshape(expected, (-1, 2)))
        assert np.array_equal(pickle.loads(pickle.dumps(samples)).array, samples.array)
    for array, then in seen:
        assert np.array_equal(array, then)


def test_appending_one_by_one_joins_seldom():
    samples = Samples((3,), np.float64)
    for i in range(1000):
        samples.append(np.full(3, i))
    assert len(samples._latest().contents().parts) < 15
    assert np.array_equal(samples[-1], np.full(3, 999))
    assert np.array_equal(np.array(samples)[:, 0], np.arange(1000))


def test_arrays_that_are_handed_out_are_read_only():
    samples = Samples((1,), np.float64)
    samples.append([1.0])
    with pytest.raises(ValueError, match="read-only"):
        samples.array[0] = 2.0
    np.array(samples)[0] = 2.0  # a copy
    assert samples[0] == 1.0
    assert "1." in repr(samples)


@pytest.fixture
def recorded():
    """A list, and what records the number of the step into it."""
    source, clock = np.zeros(1), Clock()
    recorder = Recorder(source, 1, clock)

    def record(n=1):
        for _ in range(n):
            source[0] = clock.n_steps + 1
            recorder.write()
            clock.complete(clock.n_steps + 1)

    return Samples((1,), float, Span(recorder, 0), recorder.block), record


@given(st.lists(st.integers(0, 300) | st.slices(400), max_size=8))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_what_is_recorded_is_appended_whatever_was_deleted(steps):
    source, clock = np.zeros(1), Clock()
    recorder = Recorder(source, 1, clock)
    samples, expected, seen = Samples((1,), float, Span(recorder, 0), recorder.block), [], []
    for step in steps:
        if isinstance(step, slice):
            del samples[step], expected[step]
        else:
            for _ in range(step):
                source[0] += 1
                recorder.write()
                clock.complete(clock.n_steps + 1)
                expected.append(source[0])
        if len(steps) % 2:
            seen.append((samples.array, list(expected)))
    assert samples.array.ravel().tolist() == expected
    for array, then in seen:
        assert array.ravel().tolist() == then


def test_one_block_is_shown_without_copying_it(recorded):
    samples, record = recorded
    record(10)
    first = samples.array
    record(10)
    assert np.shares_memory(first, samples.array)
    assert len(first) == 10


CHANGES = [
    lambda s: s.append([0.5]),
    lambda s: s.extend([[0.5], [0.25]]),
    lambda s: s.insert(1, [0.5]),
    lambda s: s.pop(1),
    lambda s: s.__delitem__(slice(0, 2)),
    lambda s: s.__setitem__(0, [0.5]),
    lambda s: s.__setitem__(slice(1, 2), []),
    lambda s: s.reverse(),
    lambda s: s.sort(reverse=True),
    lambda s: s.__imul__(2),
    lambda s: s.array,
    lambda s: len(s),
]


@pytest.mark.parametrize("change", CHANGES)
def test_without_memory_nothing_changes(recorded, monkeypatch, change):
    samples, record = recorded
    record(5)
    samples.append([7.0])
    record(600)  # goes on in another block
    expected = [*range(1, 6), 7.0, *range(6, 606)]
    for name in ("empty", "concatenate", "delete", "insert"):
        with monkeypatch.context() as patch:
            patch.setattr(module.np, name, no_memory)
            with suppress(MemoryError):
                change(samples)
        assert_prefix_changed_or_not(samples, expected, change)
        samples[:] = np.reshape(expected, (-1, 1))


def no_memory(*args, **kwargs):
    raise MemoryError


def assert_prefix_changed_or_not(samples, expected, change):
    changed = Samples((1,), float)
    changed.extend(np.reshape(expected, (-1, 1)))
    before = changed.array.ravel().tolist()
    change(changed)
    assert samples.array.ravel().tolist() in (before, changed.array.ravel().tolist())


def test_many_threads_change_one_list():
    samples, n = Samples((1,), float), 200
    gate = threading.Barrier(8)

    def work(number):
        gate.wait()
        for i in range(n):
            samples.append([number * n + i])
            if i % 2:
                samples.pop(0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(samples) == 8 * n // 2
    left = samples.array.ravel().tolist()
    assert len(set(left)) == len(left)


def test_a_slice_is_a_list_of_its_own():
    samples = Samples((2,), np.float64)
    samples.extend(np.arange(8.0).reshape(4, 2))
    last = samples[-3:]
    last.append([7.0, 8.0])
    last[0] = [0.0, 0.0]
    assert np.array(last).tolist() == [[0, 0], [4, 5], [6, 7], [7, 8]]
    assert np.array(samples).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_what_cannot_be_sorted_or_repeated_stays_as_it_is(recorded):
    samples, record = recorded
    record(3)
    samples.sort(key=lambda row: -row[0])
    assert samples.array.ravel().tolist() == [3, 2, 1]
    record(2)
    assert samples.array.ravel().tolist() == [3, 2, 1, 4, 5]
    samples.sort()
    assert samples.array.ravel().tolist() == [1, 2, 3, 4, 5]
    pairs = Samples((2,), float)
    pairs.extend([[2.0, 1.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="ambiguous"):  # as lists of arrays say
        pairs.sort()
    with pytest.raises(TypeError):
        pairs *= 1.5
    assert pairs.array.tolist() == [[2, 1], [1, 2]]


def test_an_extended_slice_takes_as_many_samples_as_it_has():
    samples = Samples((1,), np.float64)
    samples.extend([[1.0], [2.0], [3.0]])
    with pytest.raises(ValueError, match="selects 2 samples, not 1"):
        samples[0:3:2] = [[9.0]]
    assert np.array(samples).tolist() == [[1], [2], [3]]
    samples[0:3:2] = [[8.0], [9.0]]
    assert np.array(samples).tolist() == [[8], [2], [9]]
