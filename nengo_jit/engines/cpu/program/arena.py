"""The arena: memory that kernels use besides that of signals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.ir.memory import ALIGNMENT, align, aligned_block

CHUNK = 1 << 20  # bytes that are allocated at a time

Pool = Enum("Pool", "COLUMNS BEGINNINGS OTHERS")
"""Constants that rows list side by side are kept apart from others: see `Arena.constant`."""


class Arena:
    """Memory for constants, and for what kernels write to; it stays where it is.

    Parameters
    ----------
    dtype : numpy.dtype
        Type of the numbers, where nothing else is said.
    """

    def __init__(self, dtype: np.dtype):
        self._dtype = dtype
        self._kept: list[Any] = []
        self._chunks = dict.fromkeys(Pool, np.empty(0, np.uint8))
        self._used = dict.fromkeys(Pool, 0)  # bytes of the chunk
        self._parameters: dict[bytes, Address] = {}
        self._matrices: dict[tuple[Any, bytes], np.ndarray] = {}
        self._buffers: dict[tuple[Any, str], np.ndarray] = {}

    def finish(self) -> None:
        """Forget what only lowering needs, since everything has been lowered."""
        self._matrices.clear()
        self._buffers.clear()

    def constant(self, values: Any, dtype: Any = None, pool: Pool = Pool.OTHERS) -> Address:
        """Address of a copy of an array, next to the constant of its pool that was made before.

        Rows that use neighbours are joined where the rest of them goes on, too.
        """
        return start(self.copy(values, dtype, pool))

    def copy(self, values: Any, dtype: Any = None, pool: Pool = Pool.OTHERS) -> np.ndarray:
        """What `constant` has the address of."""
        array = np.asarray(values)
        dtype = np.dtype(self._dtype if dtype is None else dtype)
        begin = align(self._used[pool], dtype.itemsize)
        n_bytes = array.size * dtype.itemsize
        if begin + n_bytes > self._chunks[pool].size:
            self._chunks[pool] = aligned_block(max(CHUNK, n_bytes + ALIGNMENT))
            self._kept.append(self._chunks[pool])
            begin = 0
        self._used[pool] = begin + n_bytes
        view: np.ndarray = np.ndarray(array.shape, dtype, self._chunks[pool], begin)
        view[...] = array
        return view

    def columns(self, matrix: np.ndarray) -> np.ndarray | None:
        """A matrix, column by column: a copy; None if it lies so, and is so large that it is kept.

        Small matrices are shared: connections that decode the same have the same one.
        """
        if matrix.nbytes >= CHUNK:
            if not matrix.T.flags.c_contiguous:
                return self.copy(matrix.T, pool=Pool.COLUMNS)
            self.keep(matrix)
            return None
        content = matrix.shape, hashlib.blake2b(matrix.tobytes()).digest()
        if content not in self._matrices:
            self._matrices[content] = self.copy(matrix.T, pool=Pool.COLUMNS)
        return self._matrices[content]

    def parameters(self, values: Iterable[float]) -> Address:
        """Address of a few numbers; the same address for the same numbers."""
        array = np.array(list(values), self._dtype)
        key = array.tobytes()
        if key not in self._parameters:
            self._parameters[key] = self.constant(array)
        return self._parameters[key]

    def buffer(self, size: int, dtype: Any = np.int64) -> np.ndarray:
        """Zeros that kernels may write to, at ``start(buffer)``."""
        array = np.zeros(size, dtype)
        self._kept.append(array)
        return array

    def numbers_of(self, owner: Any, name: str, size: int) -> np.ndarray:
        """The buffer of an operator by a name, which whoever asks first makes."""
        key = owner, name
        if key not in self._buffers:
            self._buffers[key] = self.buffer(size, self._dtype)
        return self._buffers[key]

    def keep(self, *objects: Any) -> None:
        """Keep what kernels have the address of, for as long as they may run."""
        self._kept.extend(objects)
