"""The layouts of arrays in memory, and of arrays of registers."""

from __future__ import annotations

from typing import Any

import numpy as np

from nengo_jit.engines.cpu.python.tracing.instruction import CONSTANTS
from nengo_jit.engines.cpu.python.tracing.values import MOST_ITEMS


def affine(registers: np.ndarray) -> tuple[int, list[tuple[int, int]]]:
    """The strides of an array of registers, as far as there are any.

    Returns
    -------
    int
        The first register.
    list of (int, int)
        Length and step of each dimension, the last one last. Neighbours that can be one are joined.
        Empty if the registers have no strides.
    """
    first = int(registers.flat[0])
    rest = registers
    expected = np.array(first)
    dimensions: list[tuple[int, int]] = []
    for axis, (length, stride) in enumerate(zip(registers.shape, registers.strides)):
        if length == 1:
            continue
        index = [0] * registers.ndim
        index[axis] = 1
        step = int(registers[tuple(index)]) - first
        if dimensions and dimensions[-1][1] == step * length:
            dimensions[-1] = dimensions[-1][0] * length, step
        else:
            dimensions.append((length, step))
        if stride == 0:
            rest = np.take(rest, [0], axis)
        else:
            shape = [1] * registers.ndim
            shape[axis] = length
            expected = expected + step * np.arange(length).reshape(shape)
    are_constants = rest >= CONSTANTS
    if not (rest == expected).all() or are_constants.any() != are_constants.all():
        return first, []
    return first, dimensions


def laid_out_as_of(*arrays: np.ndarray) -> np.ndarray:
    """An empty array in the layout that NumPy chooses for the result of an elementwise function."""
    flags: list[Any] = [*(["readonly"] for _ in arrays), ["writeonly", "allocate"]]
    with np.nditer((*arrays, None), ["zerosize_ok"], flags, order="K") as iterator:
        return iterator.operands[-1]


def share_memory(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether arrays have an element in common; also true if that takes long to find out."""
    try:
        return np.shares_memory(a, b, max_work=MOST_ITEMS)
    except np.exceptions.TooHardError:
        return True


def span_of(array: np.ndarray) -> tuple[np.ndarray, int]:
    """All memory from an array's first element, or from its last, to the other one.

    Returns
    -------
    numpy.ndarray, int
        The memory as a vector, and the index of the array's first element in it.
    """
    reaches = [(n - 1) * step // array.itemsize for n, step in zip(array.shape, array.strides)]
    if not array.size or array.flags.c_contiguous:
        return array, 0
    start = array[tuple(slice(-1, None) if step < 0 else slice(1) for step in array.strides)]
    n = sum(map(abs, reaches)) + 1
    span = np.lib.stride_tricks.as_strided(start.reshape(-1), (n,), (array.itemsize,))
    return span, -sum(min(each, 0) for each in reaches)


def laid_out_as(array: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """Registers, which are in the order of memory, in the shape and layout of an array."""
    steps = [step // array.itemsize * registers.itemsize for step in array.strides]
    return np.lib.stride_tricks.as_strided(registers, array.shape, steps)


def empty_with(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype, skipped: int = 0
) -> np.ndarray:
    """A new array with strides (elements), which need not be contiguous or positive.

    As many elements as are to be skipped precede it in memory.
    """
    reaches = [(n - 1) * stride for n, stride in zip(shape, strides)]
    first = skipped - sum(min(each, 0) for each in reaches)
    buffer = np.zeros(first + sum(max(each, 0) for each in reaches) + 1, dtype)
    steps = [each * dtype.itemsize for each in strides]
    return np.lib.stride_tricks.as_strided(buffer[first:], shape, steps)
