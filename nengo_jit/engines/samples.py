"""Samples of a probe, as a list that grows while a simulation runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence
from typing import Any

import numpy as np

from nengo_jit.engines.recorder import Block, Span


class State:
    """What a list of samples contains. It is never changed, but followed by another one.

    Attributes
    ----------
    parts : tuple of numpy.ndarray
        The samples, in order, not to be written to.
    span : Span or None
        Where more of them come from.
    seen : int
        The number of the sample of the span that comes next.
    block : Block or None
        Where that sample is, or one of the blocks before.
    since : int
        The number of the sample that the last part begins with, if it lies in ``block``; else -1.
    fresh : int
        How many of the last samples have come from the span since anything else was changed.
    next : dict
        The state that follows, once there is one; see `Span.next`.
    """

    __slots__ = ("block", "fresh", "next", "parts", "seen", "since", "span")

    def __init__(
        self,
        parts: tuple[np.ndarray, ...],
        span: Span | None = None,
        seen: int = 0,
        block: Block | None = None,
        since: int = -1,
        fresh: int = 0,
    ):
        self.parts, self.span, self.seen = parts, span, seen
        self.block, self.since, self.fresh = block, since, fresh
        self.next: dict[int, State] = {}

    def with_parts(self, *parts: np.ndarray, fresh: int = 0) -> State:
        """The state with other samples."""
        return State(parts, self.span, self.seen, self.block, fresh=fresh)

    def up_to_date(self) -> State:
        """The state with what has been recorded since; itself if that is nothing."""
        span = self.span
        if span is None:
            return self
        is_over, end = bool(span.next), span.end()
        if end == self.seen and not is_over:
            return self
        if end < self.seen:  # the next span begins with what came after somebody looked here
            return self._without(self.seen - end)
        parts, block = list(self.parts), self.block
        seen, since = self.seen, self.since
        while seen < end:
            assert block is not None
            stop = end if block.next is None else min(end, block.next.first)
            if seen == stop:
                block, since = block.next, -1
                continue
            if since < 0:
                since = seen
            else:
                parts.pop()
            parts.append(_read_only(block.rows[since - block.first : stop - block.first]))
            seen = stop
        fresh = self.fresh + end - self.seen
        if is_over:
            return State(tuple(parts), fresh=fresh)
        return State(tuple(parts), span, seen, block, since, fresh)

    def _without(self, n: int) -> State:
        """The state with ``n`` samples of the span less, as far as they are still there."""
        array = _whole(self.parts)
        kept = array[: len(array) - min(n, self.fresh)].copy()
        return State((kept,))


class Samples(MutableSequence[Any]):
    """What was recorded for a probe: a list of arrays of one shape.

    Any thread may read it and change it at any time. Whoever looks sees all samples up to the last
    completed step; arrays that were handed out never change. A change is made at once or, if it is
    interrupted, not at all, and nobody ever waits for anybody: the contents are states of which
    each follows another one, by one operation that Python cannot interrupt.

    Parameters
    ----------
    shape : tuple of int
        Of a sample.
    dtype : numpy.dtype
        Type of the numbers.
    span : Span, optional
        Where samples come from; from nowhere by default.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, span: Span | None = None):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._state = State(())
        if span is not None:
            self._state = State((), span, span.first, span.recorder.block)

    def _latest(self) -> State:
        """The contents, with all that has been recorded."""
        while True:
            state = self._state
            while state.next:
                state = state.next[0]
            recent = state.up_to_date()
            if recent is state or state.next.setdefault(0, recent) is recent:
                self._state = recent
                return recent

    def _change(self, make: Callable[[State], State]) -> None:
        """Let a state follow that is made of the latest one."""
        while True:
            state = self._latest()
            changed = make(state)
            if state.next.setdefault(0, changed) is changed:
                self._state = changed
                return

    def _edit(self, make: Callable[[np.ndarray], np.ndarray]) -> None:
        """Change the array of all samples into another one, which nobody else has."""
        self._change(lambda state: state.with_parts(_read_only(make(self._array(state)))))

    def _array(self, state: State) -> np.ndarray:
        if not state.parts:
            return np.empty((0, *self.shape), self.dtype)
        return _whole(state.parts)

    @property
    def array(self) -> np.ndarray:
        """(n_samples, *shape) numpy.ndarray: all samples, as they are now; not to be written to."""
        state = self._latest()
        array = self._array(state)
        if len(state.parts) > 1:  # next time there is less to join
            joined = state.with_parts(_read_only(array), fresh=state.fresh)
            if state.next.setdefault(0, joined) is joined:
                self._state = joined
        array = array.view()
        array.setflags(write=False)
        return array

    def append(self, value: Any) -> None:
        self.extend([value])

    def extend(self, values: Iterable[Any]) -> None:
        added = self._rows(values)

        def make(state: State) -> State:
            parts = [*state.parts, added]
            while len(parts) > 1 and len(parts[-1]) >= len(parts[-2]):
                parts[-2:] = [_read_only(np.concatenate(parts[-2:]))]
            return state.with_parts(*parts)

        if len(added):
            self._change(make)

    def insert(self, index: int, value: Any) -> None:
        def make(array: np.ndarray) -> np.ndarray:
            position = slice(index, None).indices(len(array))[0]  # lists accept any number
            return np.insert(array, position, value, axis=0)

        self._edit(make)

    def pop(self, index: int = -1) -> Any:
        popped = []

        def make(array: np.ndarray) -> np.ndarray:
            popped.append(array[index])
            return np.delete(array, index, axis=0)

        self._edit(make)
        return popped[-1]

    def clear(self) -> None:
        self._change(lambda state: state.with_parts())

    def reverse(self) -> None:
        self._edit(lambda array: array[::-1].copy())

    def _rows(self, values: Any) -> np.ndarray:
        """Values as samples."""
        array = _array_of(values)
        rows: np.ndarray = np.empty((len(array), *self.shape), self.dtype)
        if len(array):
            rows[...] = array
        return _read_only(rows)

    def __len__(self) -> int:
        return sum(map(len, self._latest().parts))

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        value = _array_of(value)
        are_rows = value.ndim > len(self.shape) or value.shape == (0,)

        def make(array: np.ndarray) -> np.ndarray:
            if isinstance(index, slice) and are_rows:
                first, last, step = index.indices(len(array))
                if step == 1 and len(value) != max(0, last - first):  # as in lists
                    rest = array[max(first, last) :]
                    return np.concatenate([array[:first], self._rows(value), rest])
            changed = array.copy()
            changed[index] = value
            return changed

        self._edit(make)

    def __delitem__(self, index: Any) -> None:
        self._edit(lambda array: np.delete(array, index, axis=0))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.array
        return array.astype(dtype or array.dtype, copy=bool(copy) or copy is None)

    def __reduce__(self) -> tuple[Any, ...]:
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


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _whole(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
