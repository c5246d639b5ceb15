"""The memory of a batch: arrays of all members, of all kinds of signals."""

import numpy as np
import pytest
from nengo.exceptions import SignalError

from nengo_jit.engines.batch.memory import BatchMemory
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal


def test_arrays_have_an_axis_for_members():
    numbers = np.arange(6.0).reshape(2, 3)
    written = Signal(numbers, name="written")
    other = Signal(np.asfortranarray(numbers), name="by columns")
    view, constant = written[:, 1:], Signal(numbers, name="constant", readonly=True)
    count, empty = Signal(np.array(0), name="count"), Signal(np.zeros(0), name="empty")
    engines = SignalDict([written, other, view, constant, count, empty])
    memory = BatchMemory(engines, 4)
    rows = memory.empty_like()
    for member in range(4):
        engines[written] = 10 * member
        engines[other][0] = member
        engines[count] = member
        for block, row in zip(engines.blocks, rows, strict=True):
            row[member, : block.size] = block
    memory.commit(rows)
    np.testing.assert_array_equal(memory[written][:, 1, 2], [0, 10, 20, 30])
    np.testing.assert_array_equal(memory[other][:, 0, 2], [0, 1, 2, 3])
    np.testing.assert_array_equal(memory[count], [0, 1, 2, 3])
    assert memory[view].shape == (4, 2, 2)
    assert memory[empty].shape == (4, 0)
    assert memory[written] is memory[written]
    memory[view] = -1.0
    np.testing.assert_array_equal(memory[written][:, :, 1:], -1)
    np.testing.assert_array_equal(memory[written][2, :, 0], 20)
    memory.load(2, engines.blocks)
    np.testing.assert_array_equal(engines[written], [[20, -1, -1], [20, -1, -1]])
    np.testing.assert_array_equal(memory[constant], [numbers] * 4)
    with pytest.raises(ValueError, match="read-only"):
        memory[constant] = 1.0
    assert set(memory) == set(engines)
    assert {signal for signal, _ in memory.items()} == set(engines)
    memory.reset(written)
    np.testing.assert_array_equal(memory[written][3], numbers)
    with pytest.raises(SignalError, match="no memory in a batch"):
        memory.init(Signal(np.zeros(2), name="another"))
    with pytest.raises(KeyError):
        memory[Signal(np.zeros(2), name="another")]
