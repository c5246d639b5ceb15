"""Signals and views of them, random ones among them, and what NumPy makes of the same views."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices

from nengo_jit.ir.signal import Signal

DTYPES = [np.float64, np.float32, np.int64, np.int32, np.uint8]


def random_signal(*shape, seed=0):
    name = "x".join(["signal", *map(str, shape)])
    return Signal(np.random.RandomState(seed).uniform(0.1, 1, shape), name=name)


def numbered(shape, dtype=np.float64):
    """Array in which every element is another number."""
    return np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)


arrays = st.builds(
    numbered, array_shapes(min_dims=1, max_dims=3, max_side=5), st.sampled_from(DTYPES)
)


def draw_index(data, shape):
    """Integers and slices, of any step, into an array of at least one dimension."""
    index = data.draw(basic_indices(shape, min_dims=0, allow_ellipsis=False))
    assume(index != ())
    return index


def look_at(array, index):
    """What NumPy selects, with a dimension of length one where it would leave none."""
    items = index if isinstance(index, tuple) else (index,)
    selected = array[(*items, Ellipsis)]
    return selected if any(isinstance(i, slice) for i in items) else selected[np.newaxis]


def view_of(data, array):
    """A signal on ``array``, and a view of a view of it where there is anything to look at."""
    base = Signal(array, name="base")
    view, selected = base, array
    for _ in range(data.draw(st.integers(1, 2))):
        if selected.size == 0 or selected.ndim == 0:
            break
        index = draw_index(data, selected.shape)
        view, selected = view[index], look_at(selected, index)
    return base, view, selected


def lay_by_bytes(view, memory):
    return np.ndarray(view.shape, view.dtype, memory, view.offset, view.strides)
