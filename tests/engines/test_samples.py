"""Samples behave as a list of arrays does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.engines.samples import Samples

numbers = st.floats(-1, 1, width=32)
actions = st.one_of(
    st.tuples(st.just("append"), numbers),
    st.tuples(st.just("extend"), st.lists(numbers, max_size=5)),
    st.tuples(st.just("insert"), st.tuples(st.integers(-9, 9), numbers)),
    st.tuples(st.just("delete"), st.slices(6)),
    st.tuples(st.just("set"), st.tuples(st.slices(6), numbers)),
    st.tuples(st.just("clear"), st.none()),
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
    elif action == "clear":
        values.clear()


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
    for array, then in seen:
        assert np.array_equal(array, then)


def test_room_is_made_seldom():
    samples = Samples((3,), np.float64)
    buffers = set()
    for i in range(1000):
        samples.append(np.full(3, i))
        buffers.add(samples._address)
    assert len(buffers) < 15
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
