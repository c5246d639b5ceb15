"""The strides of arrays of registers."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.python.tracing.instruction import CONSTANTS


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
