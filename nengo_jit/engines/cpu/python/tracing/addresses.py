"""Addresses of the machine code of NumPy's and the C library's functions.

A tape calls the same code as Python, so results are equal to the last bit.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from nengo_jit.engines.cpu.python.tracing.values import Unsupported
from nengo_jit.engines.cpu.toolchain.loader import in_c_library


class _Ufunc(ctypes.Structure):
    """The beginning of NumPy's ``PyUFuncObject``, see "UFunc API" in its documentation."""

    _fields_ = (
        ("reference_count", ctypes.c_ssize_t),
        ("type", ctypes.c_void_p),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
    )


@cache
def loop_of(ufunc: np.ufunc, signature: str) -> tuple[int, int]:
    """Addresses of an inner loop of a ufunc, and of the loop's data.

    Parameters
    ----------
    ufunc : numpy.ufunc
        The ufunc.
    signature : str
        Types of inputs and result, such as "dd->d".

    Raises
    ------
    Unsupported
        If there is no such loop.
    """
    described = _Ufunc.from_address(id(ufunc))
    is_known = (described.nin, described.nout, described.ntypes) == (
        ufunc.nin,
        ufunc.nout,
        ufunc.ntypes,
    )
    if not is_known or signature not in ufunc.types:
        raise Unsupported(f"calls `np.{ufunc.__name__}` on numbers that are not float64")
    index = ufunc.types.index(signature)
    function, data = described.functions[index], described.data[index]
    if not function:
        raise Unsupported(f"calls `np.{ufunc.__name__}`, whose machine code cannot be found")
    return int(function), int(data or 0)


@cache
def c_function(name: str) -> int:
    """Address of a function of the C library, by its name in `math`.

    Raises
    ------
    Unsupported
        If it cannot be found.
    """
    try:
        return in_c_library(name)
    except OSError:
        raise Unsupported(f"calls `math.{name}`, whose machine code cannot be found") from None
