"""Instructions of tapes that select elements by conditions, and those that call Python.

Helpers of the virtual machine, `nengo_jit.engines.cpu.python.tape_vm`.
"""

# Numba infers the types of helpers, which have no annotations.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.primitives import (
    float64s,
    helper,
    int64s,
    scratch,
)
from nengo_jit.engines.cpu.language.python_objects import (
    acquire_gil,
    call_object,
    decref,
    fetch_error,
    release_gil,
)
from nengo_jit.engines.cpu.python.instructions import Field

BLOCK = 8  # flags that are tested at once


@helper()
def positions_of(flags, before, result, count):
    """Store the positions where flags are not zero; returns how many there are.

    Blocks without any are skipped. A flag that is not zero has bits that are not zero.

    Parameters
    ----------
    flags : numpy.ndarray of int64
        The flags.
    before : int
        How many flags are before them.
    result : numpy.ndarray of int64
        Where to store positions, of which there are as many as flags at most.
    count : int
        How many positions are stored already.
    """
    n = flags.size
    n_whole = n - n % BLOCK
    for start in range(0, n_whole, BLOCK):
        bits = 0
        for i in range(BLOCK):
            bits |= flags[start + i]
        if bits != 0:
            for i in range(BLOCK):
                result[count] = before + start + i
                count += flags[start + i] != 0
    for i in range(n_whole, n):
        result[count] = before + i
        count += flags[i] != 0
    return count


@helper()
def put(word, result):
    """Copy numbers, and replace those at some positions."""
    n, source, stride = result.size, word[Field.A], word[Field.A_STRIDE]
    values, value_stride = word[Field.B], word[Field.B_STRIDE]
    count = np.int64(float64s(word[Field.N_POSITIONS], 1)[0])
    positions = int64s(word[Field.POSITIONS], count)
    if stride == 1:
        if source != word[Field.RESULT]:
            whole = float64s(source, n)
            for i in range(n):
                result[i] = whole[i]
    else:
        for i in range(n):
            result[i] = float64s(source + 8 * i * stride, 1)[0]
    for i in range(positions.size):
        result[positions[i]] = float64s(values + 8 * i * value_stride, 1)[0]


@helper()
def find(values, number):
    """Index of the first value that equals a number; infinity if none does."""
    for i in range(values.size):
        if values[i] == number:
            return np.float64(i)
    return np.inf


@helper()
def succeeds(called, expected):
    """Call a Python object; returns whether it returns the expected object."""
    state = acquire_gil()
    value = call_object(called)
    if value == 0:
        error = scratch(24)
        fetch_error(error, error + 8, error + 16)
        parts = int64s(error, 3)
        for i in range(3):
            if parts[i] != 0:
                decref(parts[i])
    else:
        decref(value)
    release_gil(state)
    return value == expected
