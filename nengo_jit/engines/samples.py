"""Samples of probes, one after the other in a growing array."""

from __future__ import annotations

import math
from collections.abc import Iterable, MutableSequence
from typing import Any

import numpy as np

from nengo_jit.builder.signal import address


class Samples(MutableSequence[Any]):
    """What was recorded for a probe: a list of arrays of one shape, kept in a single array.

    Parameters
    ----------
    shape : tuple of int
        Of a sample.
    dtype : numpy.dtype
        Type of the numbers.
    """

    _buffer: np.ndarray
    _address: int
    _size: int
    _capacity: int
    _n_bytes: int

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self._replace(np.empty((0, *shape), dtype))

    @property
    def dtype(self) -> np.dtype:
        """numpy.dtype: type of the numbers."""
        return self._buffer.dtype

    @property
    def array(self) -> np.ndarray:
        """(n_samples, *shape) numpy.ndarray: all samples, as they are now; not to be written to."""
        array = self._buffer[: self._size]
        array.setflags(write=False)
        return array

    def reserve(self, n: int) -> int:
        """Address of room for ``n`` more samples, to be written to before `advance`.

        Arrays that were handed out before stay as they are.
        """
        end = self._size + n
        if end > self._capacity:
            size = self._size
            buffer: np.ndarray = np.empty((max(end, 2 * size), *self._buffer.shape[1:]), self.dtype)
            buffer[:size] = self._buffer[:size]
            self._replace(buffer)
            self._size = size
        return self._address + self._size * self._n_bytes

    def advance(self, n: int) -> None:
        """Count ``n`` samples that were written to where `reserve` said."""
        self._size += n

    def append(self, value: Any) -> None:
        self.extend([value])

    def extend(self, values: Iterable[Any]) -> None:
        array = np.asarray(values if isinstance(values, (Samples, np.ndarray)) else list(values))
        if len(array):
            self.reserve(len(array))
            self._buffer[self._size : self._size + len(array)] = array
            self._size += len(array)

    def insert(self, index: int, value: Any) -> None:
        position = slice(index, None).indices(self._size)[0]  # lists accept any number
        self._replace(np.insert(self.array, position, value, axis=0))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        changed = self.array.copy()
        changed[index] = value
        self._replace(changed)

    def __delitem__(self, index: Any) -> None:
        self._replace(np.delete(self.array, index, axis=0))

    def _replace(self, array: np.ndarray) -> None:
        """Take a new array, since those that were handed out must not change."""
        self._buffer, self._address = array, address(array)
        self._size = self._capacity = len(array)
        self._n_bytes = math.prod(array.shape[1:]) * array.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.array
        return array.astype(dtype or array.dtype, copy=bool(copy) or copy is None)

    def __repr__(self) -> str:
        return f"Samples({self.array!r})"
