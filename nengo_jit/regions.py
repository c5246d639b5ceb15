"""A table of the memory that kernels may touch, for bounds checks in a debug mode (`CHECKED`).

Kernels work on addresses: a wrong address in a row reads or writes arbitrary memory. With
``NENGO_JIT_CHECK=1`` in the environment, kernels are compiled with bounds checks. They look up each
address in a table of the arrays whose addresses kernels have got. Without it, there are no checks,
and the table stays empty.

The table is sorted by the arrays' start addresses. Kernels read it at any time, in any thread, so a
table is never changed: a new one replaces it.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from threading import RLock
from typing import Any
from weakref import ref

import numpy as np

CHECKED = os.environ.get("NENGO_JIT_CHECK", "0") not in ("", "0")
SYMBOL = "nengo_jit_regions"  # the name of `Regions.shared` in kernels

# Indices into `Regions.shared`
TABLE = 0  # address of the table: the number n of arrays, n start addresses and, for each, the
#            highest end address of all arrays that start there or before
READERS = 1  # number of threads that are reading the table
KERNEL = 2  # address of the name of the kernel that has failed a check; 0 if none has
ADDRESS = 3  # the address that it asked for; 0 for an index out of bounds
N_BYTES = 4
LENGTH = 5


class Regions:
    """The arrays that kernels may read and write, as long as the arrays exist.

    Attributes
    ----------
    shared : (LENGTH,) numpy.ndarray of int64
        The data that kernels read and write.
    """

    def __init__(self) -> None:
        self.shared = np.zeros(LENGTH, np.int64)
        self._lock: Any = RLock()
        self._known: dict[
            int, tuple[ref[np.ndarray], int, int]
        ] = {}  # by id: reference, start and end
        self._gone: deque[tuple[int, ref[np.ndarray]]] = deque()
        self._starts, self._ends = np.zeros((2, 0), np.int64)
        self._tables: list[np.ndarray] = []
        self._publish()

    def add(self, array: np.ndarray, part: np.ndarray | None = None) -> None:
        """Let kernels touch the memory of an array, or of the array that it is a view of.

        Parameters
        ----------
        array : numpy.ndarray
            The array.
        part : numpy.ndarray, optional
            A view of the array, if kernels may touch only that part.
        """
        while isinstance(array.base, np.ndarray):
            array = array.base
        key = id(array)
        with self._lock:
            known = self._known.get(key)
            if known is None or known[0]() is not array:
                if known is not None:
                    self._remove(key)
                start, end = _bounds(array if part is None else part)
                gone = ref(array, lambda reference: self._forget(key, reference))
                self._known[key] = gone, start, end
                place = int(np.searchsorted(self._starts, start))
                self._starts = np.insert(self._starts, place, start)
                self._ends = np.insert(self._ends, place, end)
                self._publish()
        self._settle()

    def _forget(self, key: int, reference: ref[np.ndarray]) -> None:
        """Note that an array is about to be freed. Python may call this within other methods."""
        self._gone.append((key, reference))
        self._settle()

    def _settle(self) -> None:
        """Remove freed arrays, unless a method holds the lock, which removes them at its end.

        Ctrl-C may raise KeyboardInterrupt as soon as the lock is acquired. So the method always
        tries to release it, and ignores the error if this thread does not own it.
        """
        lock = self._lock
        while self._gone and not lock._is_owned():
            try:
                if not lock.acquire(blocking=False):
                    return
                while self._gone:
                    key, reference = self._gone.popleft()
                    if key in self._known and self._known[key][0] is reference:
                        self._remove(key)
                self._publish()
            finally:
                try:  # noqa: SIM105  # Ctrl-C could interrupt the Python code of `suppress`
                    lock.release()
                except RuntimeError:  # this thread does not own it
                    pass

    def _remove(self, key: int) -> None:
        _, start, end = self._known.pop(key)
        place = int(np.searchsorted(self._starts, start))
        while self._ends[place] != end:  # several arrays start there
            place += 1
        self._starts, self._ends = np.delete(self._starts, place), np.delete(self._ends, place)

    def _publish(self) -> None:
        """Make a new table of the current arrays, and let kernels read that."""
        furthest = np.maximum.accumulate(self._ends)
        table = np.concatenate([[len(furthest)], self._starts, furthest]).astype(np.int64)
        if self.shared[READERS] == 0:  # no kernel is reading an older table
            del self._tables[:-1]
        self._tables.append(table)
        self.shared[TABLE] = pointer(table)

    def raise_failure(self) -> None:
        """Raise an error if a kernel has failed a check; to be called after each call of kernels.

        Raises
        ------
        SimulationError
            If a kernel has. The message names the kernel and the address.
        """
        if self.shared[KERNEL]:
            name, address, n_bytes = self.shared[[KERNEL, ADDRESS, N_BYTES]].tolist()
            from nengo.exceptions import SimulationError  # slow; not for workers

            self.shared[[KERNEL, ADDRESS, N_BYTES]] = 0
            outside = f"{n_bytes} bytes at {address:#x}, outside all arrays"
            what = outside if address else "an element with an index out of bounds"
            kernel = ctypes.string_at(name).decode()
            raise SimulationError(f"A kernel left its memory: `{kernel}` asked for {what}")


def pointer(array: np.ndarray) -> int:
    """Return the address of the first element of an array; TypeError if it is none."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"only arrays have an address, not {array!r}")
    return _address_at(id(array) + DATA).value or 0


def _bounds(array: np.ndarray) -> tuple[int, int]:
    """Return the addresses of the first byte of an array and of the byte after its last one."""
    start = pointer(array)
    if array.size == 0:
        return start, start
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides)]
    low = start + sum(step for step in steps if step < 0)
    return low, start + sum(step for step in steps if step > 0) + array.itemsize


# NumPy's C API fixes where an array object has the address of its data: after the object's header.
DATA = object.__basicsize__
_address_at = ctypes.c_void_p.from_address
REGIONS = Regions()
