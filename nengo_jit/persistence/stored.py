"""Samples of a probe that stream to disk: an array that is read when it is indexed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from nengo.exceptions import ReadonlyError, SimulationError
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import DTypeLike

from nengo_jit.engines.recorder import Block, Span
from nengo_jit.engines.samples import Contents


class Held(NamedTuple):
    """What is known of samples at a time.

    Attributes
    ----------
    n_stored : int
        Number of samples in complete chunks of the store.
    contents : Contents
        The samples after those.
    read : callable or None
        Reads samples from the store, by the numbers of the first and of the one after the last.
        None for samples that have been deleted.
    """

    n_stored: int
    contents: Contents
    read: Callable[[int, int], np.ndarray] | None


class Stored(NDArrayOperatorsMixin):
    """Samples of a probe, of which most are on disk. It behaves like a read-only array.

    Indexing reads what is needed; ``numpy.asarray`` reads all. It grows with the simulation, and
    any thread may read it at any time.

    Parameters
    ----------
    shape : tuple of int
        Shape of a sample.
    dtype : numpy.dtype
        Type of the numbers.
    span : Span
        Source of samples.
    block : Block
        Block of the first of them, or an earlier one.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, span: Span, block: Block):
        self._shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._span = span
        self._held = Held(0, Contents((), span.first, block), self._read_nothing)

    def _read_nothing(self, first: int, end: int) -> np.ndarray:
        return np.empty((0, *self._shape), self.dtype)

    # For the stream

    def begin(
        self, n_stored: int, rows: np.ndarray | None, read: Callable[[int, int], np.ndarray]
    ) -> None:
        """Continue from samples in a store, and some more."""
        contents = self._held.contents
        if rows is not None and len(rows):
            contents = Contents((rows, *contents.parts), contents.seen, contents.block)
        self._held = Held(n_stored, contents, read)

    def catch_up(self) -> Held:
        """Take note of all samples up to now."""
        n_stored, contents, read = self._held
        self._held = Held(n_stored, contents.up_to(self._span.end()), read)
        return self._held

    def drop(self, n: int) -> None:
        """Take note that the first ``n`` samples that were not stored are in the store now."""
        n_stored, contents, read = self._held
        parts, n_left = [], n
        for part in contents.parts:
            n_dropped = min(n_left, len(part))
            n_left -= n_dropped
            if n_dropped < len(part):
                parts.append(part[n_dropped:])
        self._held = Held(n_stored + n, Contents(tuple(parts), contents.seen, contents.block), read)

    def delete(self) -> None:
        """Take note that the samples have been deleted from the store."""
        self._held = Held(0, Contents((), 0, None), None)

    # For users

    def _latest(self) -> Held:
        n_stored, contents, read = self._held
        if read is None:
            raise SimulationError("These samples have been deleted, by clear_probes or reset.")
        return Held(n_stored, contents.up_to(self._span.end()), read)

    def __len__(self) -> int:
        n_stored, contents, _ = self._latest()
        return n_stored + sum(map(len, contents.parts))

    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple of int: number of samples, and shape of a sample."""
        return len(self), *self._shape

    @property
    def ndim(self) -> int:
        """int: number of dimensions."""
        return 1 + len(self._shape)

    @property
    def size(self) -> int:
        """int: number of elements."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """int: size of all samples (bytes)."""
        return self.size * self.dtype.itemsize

    @property
    def array(self) -> np.ndarray:
        """(n_samples, *shape) numpy.ndarray: all samples up to now, read into memory."""
        return self[:]

    def _read(self, first: int, end: int) -> np.ndarray:
        """Samples from number ``first`` to the one before ``end``."""
        while True:
            n_stored, contents, read = held = self._latest()
            assert read is not None
            parts = []
            if first < min(end, n_stored):
                parts.append(read(first, min(end, n_stored)))
            if end > n_stored:
                parts += slices_of(contents.parts, max(first - n_stored, 0), end - n_stored)
            if self._held.read is held.read:  # else they were deleted meanwhile
                rows = joined(parts, self._shape, self.dtype)
                rows.setflags(write=False)
                return rows

    def __getitem__(self, key: Any) -> Any:
        """Read samples, by an index or a slice of an array."""
        place, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        n = len(self)
        if isinstance(place, (int, np.integer)) and not isinstance(place, (bool, np.bool_)):
            if not -n <= place < n:
                raise IndexError(f"index {place} is out of bounds for {n} samples")
            return self._read(int(place) % n, int(place) % n + 1)[(0, *rest)]
        if isinstance(place, slice):
            chosen = range(n)[place]
            if not chosen:
                return self._read(0, 0)[(slice(None), *rest)]
            first, end = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1]) + 1
            rows = self._read(first, end)
            return rows[(slice(None, None, chosen.step), *rest)]
        return self._read(0, n)[key]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[number] for number in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("The samples are read from disk, which makes a copy")
        return self.array.astype(dtype or self.dtype, copy=bool(copy))

    def __getattr__(self, name: str) -> Any:
        """Attributes and methods of arrays, such as ``mean``, of all samples up to now."""
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(self.array, name)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(each, Stored) for each in options.get("out", ())):
            self._refuse()
        arrays = [each.array if isinstance(each, Stored) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __reduce__(self) -> tuple[object, ...]:
        """Copy and pickle as an array in memory."""
        return np.array, (self.array,)

    def __repr__(self) -> str:
        return f"<{len(self)} samples of shape {self._shape} and type {self.dtype}, on disk>"

    def _refuse(self, *arguments: object, **options: object) -> NoReturn:
        """Raise ReadonlyError: samples on disk cannot be changed."""
        raise ReadonlyError(
            "record",
            msg="Probe data that stream to disk cannot be changed. sim.clear_probes() and "
            "sim.reset() delete all of them",
        )

    __setitem__ = __delitem__ = append = extend = insert = pop = remove = clear = _refuse


def slices_of(parts: Sequence[np.ndarray], first: int, end: int) -> list[np.ndarray]:
    """Views of the rows from ``first`` to the one before ``end``, of arrays one after the other."""
    found, start = [], 0
    for part in parts:
        view = part[max(first - start, 0) : max(end - start, 0)]
        if len(view):
            found.append(view)
        start += len(part)
    return found


def joined(parts: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Join arrays of rows."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty((0, *shape), dtype)
