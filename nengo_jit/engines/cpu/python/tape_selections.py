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
