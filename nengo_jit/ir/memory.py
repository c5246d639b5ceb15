"""Keep memory where it is while something holds its address, or a view of it."""

from __future__ import annotations

import array
import mmap
import weakref
from typing import Any

import numpy as np

EXPORTING = (bytes, bytearray, array.array, mmap.mmap)  # which stay while a memoryview is there


def owner_of(array: np.ndarray) -> np.ndarray:
    """The array that a view is a view of, as far as it is an array."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def hold(owner: Any) -> list[Any] | None:
    """Keep memory from being moved or freed by the object that it belongs to.

    NumPy refuses to resize an array that has a weak reference, even without its reference check.
    Bytearrays and memory maps refuse to be resized or closed while a memoryview looks at them.

    Parameters
    ----------
    owner : object
        An array or buffer; if it is a view, what it is a view of is held, too.

    Returns
    -------
    list or None
        Memory stays for as long as this is kept. None if nothing keeps the owner from moving it,
        as with the buffers of `ctypes` and those of other libraries.
    """
    held: list[Any] = []
    while isinstance(owner, np.ndarray):
        if owner.flags.owndata:
            return [*held, weakref.ref(owner), owner]
        owner = owner.base
    while type(owner) is memoryview:
        try:
            held.append(memoryview(owner))
        except ValueError:  # it has been released
            return None
        owner = owner.obj
        if isinstance(owner, np.ndarray):
            below = hold(owner)
            return None if below is None else held + below
    return [*held, memoryview(owner)] if type(owner) in EXPORTING else None
