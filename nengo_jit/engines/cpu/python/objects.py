"""Memory layout of Python's and NumPy's objects, for kernels that read Python's results.

`KINDS` has the addresses of types; kernels compare an object's type with them. When this module is
imported, it checks the layout of each type on an example. If the layout is not the one below, the
type's entry is zero, so that no object matches it.
"""

from __future__ import annotations

import ctypes

import numpy as np

HEADER = (("reference_count", ctypes.c_ssize_t), ("type", ctypes.c_void_p))


class _Object(ctypes.Structure):
    """``PyObject``."""

    _fields_ = HEADER


class _Float(ctypes.Structure):
    """``PyFloatObject``; a `numpy.float64` has the same layout."""

    _fields_ = (*HEADER, ("value", ctypes.c_double))


class _List(ctypes.Structure):
    """``PyListObject``."""

    _fields_ = (*HEADER, ("size", ctypes.c_ssize_t), ("items", ctypes.c_void_p))


class _Tuple(ctypes.Structure):
    """``PyTupleObject``; the elements follow."""

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


# Offsets in an object (bytes)
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

# Indices into `KINDS`
FLOAT = 0
FLOAT64 = 1
INT = 2
BOOL = 3
LIST = 4
TUPLE = 5
ARRAY = 6
DOUBLE = 7  # the dtype object of float64
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
    """The parts of an array's header, all of which Python code can replace.

    Parameters
    ----------
    array : numpy.ndarray
        The array.

    Returns
    -------
    list of tuple of int
        Addresses of 64-bit integers, and their values now: data, shape, strides, type and flags.
        Pointers precede what they point to.
    """
    fields = ARRAY_DATA, ARRAY_NDIM, ARRAY_SHAPE, ARRAY_STRIDES, ARRAY_DTYPE, ARRAY_FLAGS
    addresses = [id(array) + field for field in fields]
    described = _Array.from_address(id(array))
    for start in (described.shape, described.strides):
        addresses += [start + 8 * axis for axis in range(array.ndim)]
    return [(each, _pointers(each, 1)[0]) for each in addresses]


def _pointers(address: int, n: int) -> list[int]:
    return list((ctypes.c_ssize_t * n).from_address(address))


def _kinds() -> np.ndarray:
    kinds = np.zeros(N_KINDS, np.int64)
    samples: list[object] = [0.5, np.float64(0.5), 1, True, [], (), np.zeros(1)]
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
