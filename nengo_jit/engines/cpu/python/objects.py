"""How objects of Python and NumPy lie in memory, for kernels that look at what Python returns.

`KINDS` has the addresses of types, by which kernels know an object's type. A type whose objects
turn out to lie in memory in another way than this file says has zero there, so that kernels never
find one.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

HEADER = (("reference_count", ctypes.c_ssize_t), ("type", ctypes.c_void_p))


class _Object(ctypes.Structure):
    """``PyObject``."""

    _fields_ = HEADER


class _Float(ctypes.Structure):
    """``PyFloatObject``; NumPy's numbers of double precision are the same."""

    _fields_ = (*HEADER, ("value", ctypes.c_double))


class _List(ctypes.Structure):
    """``PyListObject``."""

    _fields_ = (*HEADER, ("size", ctypes.c_ssize_t), ("items", ctypes.c_void_p))


class _Tuple(ctypes.Structure):
    """``PyTupleObject``, which ends with its elements."""

    _fields_ = (*HEADER, ("size", ctypes.c_ssize_t))


class _Array(ctypes.Structure):
    """``PyArrayObject_fields``, see "Python types and C-structures" in NumPy's documentation."""

    _fields_ = (
        *HEADER,
        ("data", ctypes.c_void_p),
        ("ndim", ctypes.c_int),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("base", ctypes.c_void_p),
        ("dtype", ctypes.c_void_p),
        ("flags", ctypes.c_int),
    )


# Distances from the beginning of an object (bytes)
TYPE = _Object.type.offset
FLOAT_VALUE = _Float.value.offset
SIZE = _List.size.offset
LIST_ITEMS = _List.items.offset
TUPLE_ITEMS = tuple.__basicsize__
ARRAY_DATA = _Array.data.offset
ARRAY_NDIM = _Array.ndim.offset
ARRAY_SHAPE = _Array.shape.offset
ARRAY_STRIDES = _Array.strides.offset
ARRAY_DTYPE = _Array.dtype.offset
ARRAY_FLAGS = _Array.flags.offset

# What stands where in `KINDS`
FLOAT = 0
FLOAT64 = 1
INT = 2
BOOL = 3
LIST = 4
TUPLE = 5
ARRAY = 6
DOUBLE = 7  # the dtype, which is an object of its own
N_KINDS = 8


def _float_is_known(value: float) -> bool:
    return bool(_Float.from_address(id(value)).value == value)


def _list_is_known() -> bool:
    value = [0.5, "text"]
    described = _List.from_address(id(value))
    return described.size == 2 and _pointers(described.items, 2) == [id(each) for each in value]


def _tuple_is_known() -> bool:
    value = (0.5, "text")
    described = _Tuple.from_address(id(value))
    items = _pointers(id(value) + TUPLE_ITEMS, 2)
    return described.size == 2 and items == [id(each) for each in value]


def _array_is_known() -> bool:
    value = np.zeros((4, 6))[::2, 1::3]
    described = _Array.from_address(id(value))
    return (
        described.data == value.ctypes.data
        and described.ndim == 2
        and _pointers(described.shape, 2) == list(value.shape)
        and _pointers(described.strides, 2) == list(value.strides)
        and described.base == id(value.base)
        and described.dtype == id(value.dtype)
        and described.flags == value.flags.num
    )


def header_of(array: np.ndarray) -> list[tuple[int, int]]:
    """Where it stands what an array is, and what stands there now.

    Parameters
    ----------
    array : numpy.ndarray
        Its data, shape, strides, type and flags can all be replaced.

    Returns
    -------
    list of tuple of int
        Addresses of 64-bit integers, and their values. Those of pointers come before what they
        point to.
    """
    fields = ARRAY_DATA, ARRAY_NDIM, ARRAY_SHAPE, ARRAY_STRIDES, ARRAY_DTYPE, ARRAY_FLAGS
    places = [id(array) + field for field in fields]
    described = _Array.from_address(id(array))
    for start in (described.shape, described.strides):
        places += [start + 8 * axis for axis in range(array.ndim)]
    return [(place, _pointers(place, 1)[0]) for place in places]


def _pointers(address: int, n: int) -> list[int]:
    return list((ctypes.c_ssize_t * n).from_address(address))


def _kinds() -> np.ndarray:
    kinds = np.zeros(N_KINDS, np.int64)
    samples: list[Any] = [0.5, np.float64(0.5), 1, True, [], (), np.zeros(1)]
    if any(_Object.from_address(id(each)).type != id(type(each)) for each in samples):
        return kinds
    kinds[[INT, BOOL]] = id(int), id(bool)
    if _float_is_known(0.5):
        kinds[FLOAT] = id(float)
    if _float_is_known(np.float64(0.5)):
        kinds[FLOAT64] = id(np.float64)
    if _list_is_known():
        kinds[LIST] = id(list)
    if _tuple_is_known():
        kinds[TUPLE] = id(tuple)
    if _array_is_known():
        kinds[[ARRAY, DOUBLE]] = id(np.ndarray), id(np.dtype(np.float64))
    return kinds


KINDS = _kinds()
