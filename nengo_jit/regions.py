"""Which memory compiled kernels may touch: for a debug switch, `CHECKED`.

Kernels work on addresses, so a row with a wrong number in it reads or writes whatever lies there.
With ``NENGO_JIT_CHECK=1`` in the environment, kernels are compiled so that they look up all memory
before they touch it, in a table of the arrays whose addresses kernels have been told. Without it,
nothing is noted and nothing is looked up.

The table is sorted by where arrays start. Kernels read it at any time, in any thread, so it is
never changed: a new one takes its place.
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
SYMBOL = "nengo_jit_regions"  # by which kernels know `Regions.shared`

# What stands where in `Regions.shared`
TABLE = 0  # address of the table: the number n of arrays, n addresses and, for each, the furthest
#            end of all arrays that start there or before
READERS = 1  # how many threads are looking something up
KERNEL = 2  # address of the name of the kernel that has failed a check, if one has
ADDRESS = 3  # where it wanted to go, if not to an index that an array does not have
N_BYTES = 4
LENGTH = 5


class Regions:
    """Arrays that kernels may read and write, for as long as the arrays exist.

    Attributes
    ----------
    shared : (LENGTH,) numpy.ndarray of int64
        What kernels see.
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
        """Let kernels go wherever the memory is that an array is a view of.

        Parameters
        ----------
        array : numpy.ndarray
            Of any kind.
        part : numpy.ndarray, optional
            A view of the array, if kernels may go there only.
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
        """An array is about to be freed; called at any time, even within other methods."""
        self._gone.append((key, reference))
        self._settle()

    def _settle(self) -> None:
        """Remove what is gone, unless somebody is at work who will do it afterwards.

        Ctrl-C may come as soon as the lock is acquired. So what tells whether it is to be released
        is the call that releases it.
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
                try:  # noqa: SIM105  # what `suppress` does in Python could be interrupted
                    lock.release()
                except RuntimeError:  # it was not acquired
                    pass

    def _remove(self, key: int) -> None:
        _, start, end = self._known.pop(key)
        place = int(np.searchsorted(self._starts, start))
        while self._ends[place] != end:  # of several that start there
            place += 1
        self._starts, self._ends = np.delete(self._starts, place), np.delete(self._ends, place)

    def _publish(self) -> None:
        """Let kernels see the arrays that are known now."""
        furthest = np.maximum.accumulate(self._ends)
        table = np.concatenate([[len(furthest)], self._starts, furthest]).astype(np.int64)
        if self.shared[READERS] == 0:  # so nobody reads any but the latest
            del self._tables[:-1]
        self._tables.append(table)
        self.shared[TABLE] = pointer(table)

    def raise_failure(self) -> None:
        """Raise an error if a kernel has failed a check since the last time.

        To be called after each call of kernels.

        Raises
        ------
        SimulationError
            That says which kernel, and what it did.
        """
        name, address, n_bytes = self.shared[[KERNEL, ADDRESS, N_BYTES]].tolist()
        if name:
            from nengo.exceptions import SimulationError  # takes long; compiling does without

            self.shared[[KERNEL, ADDRESS, N_BYTES]] = 0
            asked = f"{n_bytes} bytes at {address:#x}, which are not those of any array"
            what = asked if address else "an element that an array does not have"
            kernel = ctypes.string_at(name).decode()
            raise SimulationError(f"A kernel left its memory: `{kernel}` asked for {what}")


def pointer(array: np.ndarray) -> int:
    """Memory address of the first element of an array, in bytes."""
    return int(array.__array_interface__["data"][0])


def _bounds(array: np.ndarray) -> tuple[int, int]:
    """Address of the first byte of an array, and of the one after the last."""
    start = pointer(array)
    if array.size == 0:
        return start, start
    steps = [(n - 1) * stride for n, stride in zip(array.shape, array.strides)]
    low = start + sum(step for step in steps if step < 0)
    return low, start + sum(step for step in steps if step > 0) + array.itemsize


REGIONS = Regions()
