"""Samples of probes, in a few large arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, MutableSequence
from typing import Any

import numpy as np

from nengo_jit.builder.signal import address


class Samples(MutableSequence[Any]):
    """What was recorded for a probe: a list of arrays of one shape.

    They are kept in blocks, of which a new one is as large as all before it, and which become one
    when somebody looks at them.

    Parameters
    ----------
    shape : tuple of int
        Of a sample.
    dtype : numpy.dtype
        Type of the numbers.
    """

    _block: np.ndarray
    _address: int
    _used: int
    _capacity: int

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._n_bytes = math.prod(shape) * self.dtype.itemsize
        self._full: list[np.ndarray] = []
        self._n_full = 0
        self._begin(np.empty((0, *shape), dtype), 0)

    def _begin(self, block: np.ndarray, used: int) -> None:
        """Go on in a block, of which a part is used already."""
        self._block, self._address = block, address(block)
        self._used, self._capacity = used, len(block)

    def _replace(self, array: np.ndarray) -> None:
        """Take an array for all samples, since those that were handed out must not change."""
        self._full, self._n_full = [], 0
        self._begin(array, len(array))

    @property
    def array(self) -> np.ndarray:
        """(n_samples, *shape) numpy.ndarray: all samples, as they are now; not to be written to."""
        if self._full:
            self._replace(np.concatenate([*self._full, self._block[: self._used]]))
        array = self._block[: self._used]
        array.setflags(write=False)
        return array

    def reserve(self, n: int) -> int:
        """Address of room for ``n`` more samples, to be written to before `advance`."""
        if self._used + n > self._capacity:
            if self._used:
                self._full.append(self._block[: self._used])
                self._n_full += self._used
            self._begin(np.empty((max(n, self._n_full), *self.shape), self.dtype), 0)
        return self._address + self._used * self._n_bytes

    def advance(self, n: int) -> None:
        """Count ``n`` samples that were written to where `reserve` said."""
        self._used += n

    def append(self, value: Any) -> None:
        self.extend([value])

    def extend(self, values: Iterable[Any]) -> None:
        array = np.asarray(values if isinstance(values, (Samples, np.ndarray)) else list(values))
        if len(array):
            self.reserve(len(array))
            self._block[self._used : self._used + len(array)] = array
            self._used += len(array)

    def insert(self, index: int, value: Any) -> None:
        position = slice(index, None).indices(len(self))[0]  # lists accept any number
        self._replace(np.insert(self.array, position, value, axis=0))

    def __len__(self) -> int:
        return self._n_full + self._used

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        changed = self.array.copy()
        changed[index] = value
        self._replace(changed)

    def __delitem__(self, index: Any) -> None:
        self._replace(np.delete(self.array, index, axis=0))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.array
        return array.astype(dtype or array.dtype, copy=bool(copy) or copy is None)

    def __repr__(self) -> str:
        return f"Samples({self.array!r})"
