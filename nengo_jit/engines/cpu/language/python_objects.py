"""Primitives for Python's objects: their memory, and Python's C interface. See `primitives`."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.primitives import only_in_kernels

# Memory of Python objects, which is not bounds-checked


def foreign_int64s(address: int, size: int) -> np.ndarray:
    """Array of 64-bit integers in a Python object."""
    return only_in_kernels()


def foreign_float64s(address: int, size: int) -> np.ndarray:
    """Array of double-precision numbers in a Python object."""
    return only_in_kernels()


def foreign_int64(address: int) -> int:
    """Load a 64-bit integer from a Python object."""
    return only_in_kernels()


def foreign_int32(address: int) -> int:
    """Load a 32-bit integer from a Python object."""
    return only_in_kernels()


def foreign_float64(address: int) -> float:
    """Load a double-precision number from a Python object."""
    return only_in_kernels()


# Python's C interface. All but `acquire_gil` need the GIL. Objects are given by address.


def acquire_gil() -> int:
    """Acquire the GIL; returns the state that `release_gil` takes."""
    return only_in_kernels()


def release_gil(state: int) -> None:
    """Release the GIL."""
    only_in_kernels()


def call_object(function: int) -> int:
    """Call an object without arguments; returns a new reference, or zero if it raised."""
    return only_in_kernels()


def call_object_of_one(function: int, argument: int) -> int:
    """Call an object with one argument; returns a new reference, or zero if it raised."""
    return only_in_kernels()


def decref(value: int) -> None:
    """Release a reference to an object."""
    only_in_kernels()


def fetch_error(kind: int, value: int, traceback: int) -> None:
    """Clear the current exception, and store its type, value and traceback at three addresses."""
    only_in_kernels()


def as_integer(value: int, overflow: int) -> int:
    """Convert an ``int`` object to an integer; sets a 32-bit flag at an address on overflow."""
    return only_in_kernels()
