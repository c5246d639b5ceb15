"""Where the machine code of NumPy's and of the C library's functions lies.

A tape calls the very code that Python would call, so that results are the same to the last bit.
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
    """Addresses of the loop of one of NumPy's functions, and of its data.

    Parameters
    ----------
    ufunc : numpy.ufunc
        The function.
    signature : str
        Its types, such as "dd->d".

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
        raise Unsupported(f"calls `{ufunc.__name__}` on other numbers than float64")
    index = ufunc.types.index(signature)
    function, data = described.functions[index], described.data[index]
    if not function:
        raise Unsupported(f"calls `{ufunc.__name__}`, whose code is nowhere to be found")
    return int(function), int(data or 0)


@cache
def c_function(name: str) -> int:
    """Address of one of the C library's functions, of the name that it has in `math`.

    Raises
    ------
    Unsupported
        If there is none.
    """
    try:
        return in_c_library(name)
    except OSError:
        raise Unsupported(f"calls `math.{name}`, whose code is nowhere to be found") from None
