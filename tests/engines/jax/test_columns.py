"""Columns: the fewest parts of blocks, in order, and no element twice in a turn."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nengo_jit.engines.jax.blocks import Region
from nengo_jit.engines.jax.columns import MOST_PARTS, column_of, in_turns

regions = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(0, 9), max_size=6)), min_size=1, max_size=20
)


def made(drawn):
    return [Region(block, np.array(elements, int)) for block, elements in drawn]


@given(regions)
def test_parts_have_all_elements_in_order(drawn):
    column = column_of(made(drawn), (-1,))
    blocks = [np.arange(10) + 100 * block for block in range(3)]
    found = [blocks[part.block][part.index] for part in column.parts]
    found = np.concatenate([*found, np.array([], int)])
    expected = [100 * block + element for block, elements in drawn for element in elements]
    assert (found if column.order is None else found[column.order]).tolist() == expected
    for part in column.parts:
        assert (np.array(expected)[part.places] == blocks[part.block][part.index]).all()
    assert len(column.parts) <= MOST_PARTS
    assert column.size == len(expected)


@given(regions)
def test_increments_in_turns_are_those_of_numpy(drawn):
    column = column_of(made(drawn), (-1,))
    added = np.random.RandomState(0).randn(column.size)
    blocks = np.zeros((3, 10))
    for part in in_turns(column):
        assert np.unique(np.arange(10)[part.index]).size == part.size  # no element twice
        blocks[part.block][part.index] += added[part.places]
    expected, start = np.zeros((3, 10)), 0
    for block, elements in drawn:
        np.add.at(expected[block], elements, added[start : start + len(elements)])
        start += len(elements)
    np.testing.assert_array_equal(blocks, expected)


def test_adjacent_regions_are_one_slice():
    (part,) = column_of(made([(1, [2, 3]), (1, [4]), (1, [5, 6])]), (5,)).parts
    assert (part.block, part.index) == (1, slice(2, 7))
