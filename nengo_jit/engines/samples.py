"""Samples of a probe, as a list that grows while a simulation runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from nengo_jit.engines.recorder import Block, Span


class Contents:
    """An immutable sequence of samples, and its position in the recording.

    Attributes
    ----------
    parts : tuple of numpy.ndarray
        The samples, in order; read-only.
    seen : int
        Number of the next recorded sample.
    block : Block or None
        Block of that sample, or an earlier one.
    since : int
        Number of the first sample of the last part, if that is a view of ``block``; else -1.
    fresh : int
        Number of samples at the end that are unchanged and consecutive, as they were recorded.
    """

    __slots__ = ("block", "fresh", "parts", "seen", "since")

    def __init__(
        self,
        parts: tuple[np.ndarray, ...],
        seen: int,
        block: Block | None,
        since: int = -1,
        fresh: int = 0,
    ):
        self.parts, self.seen, self.fresh = parts, seen, fresh
        self.block, self.since = block, since

    def with_parts(self, *parts: np.ndarray, fresh: int = 0) -> Contents:
        """Other samples, at the same position in the recording."""
        return Contents(parts, self.seen, self.block, fresh=fresh)

    def up_to(self, end: int) -> Contents:
        """These samples, extended or shortened to the recorded sample before ``end``."""
        if end < self.seen:
            return self._down_to(end)
        parts, block = list(self.parts), self.block
        seen, since = self.seen, self.since
        while seen < end:
            assert block is not None
            following = block.next
            if following is not None and seen >= following.first:
                block, since = following, -1
                continue
            stop = end if following is None else min(end, following.first)
            if since < 0:
                since = seen
            else:
                parts.pop()
            parts.append(_read_only(block.rows[since - block.first : stop - block.first]))
            seen = stop
        return Contents(tuple(parts), seen, block, since, self.fresh + end - self.seen)

    def _down_to(self, end: int) -> Contents:
        parts, n = list(self.parts), min(self.seen - end, self.fresh)
        fresh = self.fresh - n
        while n > 0:
            last = parts.pop()
            if len(last) > n:
                parts.append(last[: len(last) - n])
            n -= len(last)
        return Contents(tuple(parts), end, None, fresh=fresh)


class Version:
    """Version of a list of samples, from one change to the next.

    Attributes
    ----------
    span : Span or None
        Source of more samples.
    recent : Contents
        The samples after the change, and those recorded since, up to the latest read.
    next : dict
        The next version, once there is one; see `Span.next`.
    """

    __slots__ = ("next", "recent", "span")

    def __init__(self, span: Span | None, contents: Contents):
        self.span, self.recent = span, contents
        self.next: dict[int, Version] = {}

    def contents(self) -> Contents:
        """Current contents of the list."""
        recent, span = self.recent, self.span
        if span is None:
            return recent
        end = span.end()
        if recent.seen != end:  # it has more if the next span begins before the latest read
            recent = self.recent = recent.up_to(end)
        if span.next and end == span.end():  # a complete version does not need the span
            self.next.setdefault(0, Version(None, recent))
        return recent


class Samples(MutableSequence[Any]):
    """Samples of a probe: a list of arrays of one shape.

    Any thread may read and change it at any time. Readers see all samples up to the last completed
    step; arrays that were handed out never change. The list is lock-free: a change makes a new
    version, and links it to the one before by one atomic operation. So a change that is
    interrupted has no effect.

    Parameters
    ----------
    shape : tuple of int
        Shape of a sample.
    dtype : numpy.dtype
        Type of the numbers.
    span : Span, optional
        Source of samples; none by default.
    block : Block, optional
        Block of the first of them, or an earlier one.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        span: Span | None = None,
        block: Block | None = None,
    ):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._version = Version(span, Contents((), 0 if span is None else span.first, block))

    def _latest(self) -> Version:
        while self._version.next:
            self._version = self._version.next[0]
        return self._version

    def _change(self, make: Callable[[Contents], Contents]) -> None:
        """Replace the contents by what ``make`` returns, unless it raises."""
        while True:
            version = self._latest()
            changed = Version(version.span, make(version.contents()))
            if version.next.setdefault(0, changed) is changed:
                return

    def _edit(self, make: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replace the array of all samples by a new one."""
        self._change(lambda old: old.with_parts(_read_only(make(self._array(old)))))

    def _array(self, contents: Contents) -> np.ndarray:
        if not contents.parts:
            return _read_only(np.empty((0, *self.shape), self.dtype))
        return contents.parts[0] if len(contents.parts) == 1 else np.concatenate(contents.parts)

    @property
    def array(self) -> np.ndarray:
        """(n_samples, *shape) numpy.ndarray: all samples up to now; read-only."""
        version = self._latest()
        contents = version.contents()
        array = self._array(contents)
        if len(contents.parts) > 1:  # join these parts only once
            version.recent = contents.with_parts(_read_only(array), fresh=contents.fresh)
        return array

    def append(self, value: ArrayLike) -> None:
        self.extend([value])

    def extend(self, values: Iterable[ArrayLike]) -> None:
        added = self._rows(values)

        def make(old: Contents) -> Contents:
            parts = [*old.parts, added]
            while len(parts) > 1 and len(parts[-1]) >= len(parts[-2]):
                parts[-2:] = [_read_only(np.concatenate(parts[-2:]))]
            return old.with_parts(*parts)

        if len(added):
            self._change(make)

    def insert(self, index: int, value: ArrayLike) -> None:
        def make(array: np.ndarray) -> np.ndarray:
            position = slice(index, None).indices(len(array))[
                0
            ]  # as for lists, any number is valid
            return np.insert(array, position, value, axis=0)

        self._edit(make)

    def pop(self, index: int = -1) -> np.ndarray:
        popped: list[np.ndarray] = []

        def make(array: np.ndarray) -> np.ndarray:
            popped.append(array[index])
            return np.delete(array, index, axis=0)

        self._edit(make)
        return popped[-1]

    def copy(self) -> list[np.ndarray]:
        """A list with all samples."""
        return list(self.array)

    def __add__(self, other: list[np.ndarray] | Samples) -> list[np.ndarray]:
        return self.copy() + _listed(other)

    def __radd__(self, other: list[np.ndarray]) -> list[np.ndarray]:
        return _listed(other) + self.copy()

    def __mul__(self, times: int) -> list[np.ndarray]:
        return self.copy() * times

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Samples:
        self._edit(lambda array: np.concatenate([array[:0], *[array] * index(times)]))
        return self

    __hash__ = None  # type: ignore[assignment]  # like `list`, which is declared in the same way

    def __eq__(self, other: object) -> bool:
        """Compare with a list, as lists of arrays compare."""
        if not isinstance(other, (list, Samples)):
            return NotImplemented
        return self is other or self.copy() == _listed(other)

    def clear(self) -> None:
        self._change(lambda old: old.with_parts())

    def sort(
        self, *, key: Callable[[np.ndarray], Any] | None = None, reverse: bool = False
    ) -> None:
        """Sort as lists do; samples of more than one number need a key."""
        options: Any = {"key": key, "reverse": reverse}
        self._edit(lambda array: self._rows(sorted(array, **options)))

    def reverse(self) -> None:
        self._edit(lambda array: array[::-1].copy())

    def _rows(self, values: ArrayLike | Iterable[ArrayLike]) -> np.ndarray:
        """Convert values to samples."""
        array = _array_of(values)
        if len(array) and array.dtype.kind not in "biuf":
            raise TypeError(
                f"Samples of a probe must be numbers, not {array.dtype}. To keep other objects "
                "with them, replace them by a list: sim.data.raw[probe] = [...]"
            )
        rows: np.ndarray = np.empty((len(array), *self.shape), self.dtype)
        if len(array):
            rows[...] = array
        return _read_only(rows)

    def __len__(self) -> int:
        return sum(map(len, self._latest().contents().parts))

    def __getitem__(self, index: Any) -> Any:
        """A sample; for a slice, as for lists, a copy."""
        if not isinstance(index, slice):
            return self.array[index]
        chosen, part = Samples(self.shape, self.dtype), self.array[index]
        chosen._change(lambda old: old.with_parts(part))
        return chosen

    def __setitem__(self, index: Any, value: ArrayLike | Iterable[ArrayLike]) -> None:
        new = _array_of(value)
        if isinstance(index, slice) and (new.ndim > len(self.shape) or new.shape == (0,)):
            new = self._rows(new)

        def make(array: np.ndarray) -> np.ndarray:
            if isinstance(index, slice) and new.ndim > len(self.shape):
                first, last, step = index.indices(len(array))
                if step == 1:  # as for lists, the length may change
                    return np.concatenate([array[:first], new, array[max(first, last) :]])
                n_selected = len(range(first, last, step))
                if len(new) != n_selected:
                    raise ValueError(f"{index} selects {n_selected} samples, not {len(new)}")
            changed = array.copy()
            changed[index] = new
            return changed

        self._edit(make)

    def __delitem__(self, index: Any) -> None:
        if isinstance(index, slice) and index == slice(None):
            self.clear()
            return
        self._edit(lambda array: np.delete(array, index, axis=0))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        array = self.array
        return array.astype(dtype or array.dtype, copy=bool(copy) or copy is None)

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (self.shape, self.dtype, np.array(self))

    def __repr__(self) -> str:
        return f"Samples({self.array!r})"


def _restored(shape: tuple[int, ...], dtype: np.dtype, array: np.ndarray) -> Samples:
    samples = Samples(shape, dtype)
    samples.extend(array)
    return samples


def _array_of(values: Any) -> np.ndarray:
    is_one = isinstance(values, (Samples, np.ndarray)) or not isinstance(values, Iterable)
    return np.asarray(values if is_one else list(values))


def _listed(values: list[np.ndarray] | Samples) -> list[np.ndarray]:
    return values.copy() if isinstance(values, Samples) else values


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
