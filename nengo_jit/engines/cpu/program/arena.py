"""The arena: memory that kernels use besides that of signals."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import FLOAT16, FLOAT64, Address
from nengo_jit.ir.base import Operator
from nengo_jit.ir.memory import ALIGNMENT, align, aligned_block

CHUNK = 1 << 20  # bytes of constants allocated at a time
BUFFERS = 1 << 13  # bytes of small buffers allocated at a time

Pool = Enum("Pool", "COLUMNS BEGINNINGS OTHERS")
"""Kinds of constants: rows can be joined if their constants of one kind lie side by side."""


class Arena:
    """Memory for constants and buffers; it never moves.

    Parameters
    ----------
    dtype : numpy.dtype
        Default type of the numbers.
    """

    def __init__(self, dtype: np.dtype):
        self._dtype = dtype
        self._kept: list[object] = []
        self._chunks = dict.fromkeys(Pool, np.empty(0, np.uint8))
        self._used = dict.fromkeys(Pool, 0)  # bytes of each chunk
        self._numbers: dict[tuple[np.dtype, bytes], Address] = {}
        self._matrices: dict[tuple[tuple[int, ...], bytes], np.ndarray] = {}
        self._buffers: dict[tuple[Operator, str], np.ndarray] = {}
        self._blocks: list[np.ndarray] = []  # of buffers; small ones share a block
        self._small, self._used_by_small = np.empty(0, np.uint8), 0

    def finish(self) -> None:
        """Free what only lowering needs."""
        self._matrices.clear()
        self._buffers.clear()

    def constant(
        self, values: ArrayLike, dtype: DTypeLike | None = None, pool: Pool = Pool.OTHERS
    ) -> Address:
        """Copy an array next to the previous constant of its pool; returns its address.

        Consecutive rows whose constants lie side by side can be joined.
        """
        return start(self.copy(values, dtype, pool))

    def copy(
        self, values: ArrayLike, dtype: DTypeLike | None = None, pool: Pool = Pool.OTHERS
    ) -> np.ndarray:
        """Copy an array as `constant` does; returns the copy."""
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
        """Copy a matrix, stored column by column.

        Equal small matrices share a copy: connections may have equal decoders. A large matrix that
        is stored by columns already is kept alive and not copied; returns None then.
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

    def numbers(self, values: Iterable[float], dtype: np.dtype | None = None) -> Address:
        """Address of a few numbers; the same for equal numbers."""
        array = np.array(list(values), dtype or self._dtype)
        key = array.dtype, array.tobytes()
        if key not in self._numbers:
            self._numbers[key] = self.constant(array, array.dtype)
        return self._numbers[key]

    def parameters(self, values: Iterable[float]) -> Address:
        """Address of a few parameters, which kernels read by `primitives.scalars`."""
        return self.numbers(values, FLOAT64 if self._dtype == FLOAT16 else None)

    def buffer(self, size: int, dtype: DTypeLike = np.int64) -> np.ndarray:
        """Allocate zeros that kernels may write to, at ``start(buffer)``."""
        n_bytes = size * np.dtype(dtype).itemsize
        if n_bytes > BUFFERS:
            self._blocks.append(aligned_block(n_bytes))
            return np.ndarray(size, dtype, self._blocks[-1])
        begin = align(self._used_by_small, ALIGNMENT)
        if begin + n_bytes > self._small.size:
            self._small, begin = aligned_block(BUFFERS), 0
            self._blocks.append(self._small)
        self._used_by_small = begin + n_bytes
        return np.ndarray(size, dtype, self._small, begin)

    @property
    def contents(self) -> list[np.ndarray]:
        """List of numpy.ndarray: copies of the memory of all buffers."""
        used = {id(self._small): self._used_by_small}
        return [block[: used.get(id(block))].copy() for block in self._blocks]

    @contents.setter
    def contents(self, value: list[np.ndarray]) -> None:
        for block, saved in zip(self._blocks, value):
            block[: saved.size] = saved

    def numbers_of(self, owner: Operator, name: str, size: int) -> np.ndarray:
        """The buffer of an operator with a name, allocated on the first call."""
        key = owner, name
        if key not in self._buffers:
            self._buffers[key] = self.buffer(size, self._dtype)
        return self._buffers[key]

    def keep(self, *objects: object) -> None:
        """Keep objects alive whose addresses kernels have."""
        self._kept.extend(objects)
