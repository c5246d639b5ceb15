"""Kernels that reset, copy and multiply element by element."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from nengo_jit.engines.cpu.language.columns import Count, In, Out
from nengo_jit.engines.cpu.language.kernel import Row, kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    helper,
    int64s,
    vector,
    vector_from,
)
from nengo_jit.engines.cpu.program.contracts import contiguous, reaches
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.program.products import WIDE
from nengo_jit.ir.operator import Copy, ElementwiseInc, Reset
from nengo_jit.ir.selection import as_selection, has_repeats


@helper(forceinline=True)
def element(memory: Memory, address: int, stride: int, i: int) -> float:
    """Element ``i`` of a vector, by its stride in bytes; for use in kernels."""
    return vector(memory, address + i * stride, 1)[0]


@kernel()
def fill(memory: Memory, dst: Out, value: Address, n: Count) -> None:
    """``dst[:] = value[0]``."""
    target, number = vector(memory, dst, n), vector(memory, value, 1)[0]
    for i in range(n):
        target[i] = number


@kernel()
def copy(memory: Memory, src: In, dst: Out, n: Count) -> None:
    """``dst[:] = src``."""
    source, target = vector(memory, src, n), vector(memory, dst, n)
    for i in range(n):
        target[i] = source[i]


@kernel()
def copy_inc(memory: Memory, src: In, dst: Out, n: Count) -> None:
    """``dst[:] += src``."""
    source, target = vector(memory, src, n), vector(memory, dst, n)
    for i in range(n):
        target[i] += source[i]


@kernel()
def gather(
    memory: Memory, src: Address, dst: Address, indices: Address, size: int, inc: int
) -> None:
    """``dst[targets] = src[sources]``, or ``+=`` if ``inc``.

    The indices are ``size`` sources, then ``size`` targets.
    """
    given, changed = vector_from(memory, src), vector_from(memory, dst)
    source, target = int64s(indices, size), int64s(indices + 8 * size, size)
    for i in range(size):
        if inc:
            changed[target[i]] += given[source[i]]
        else:
            changed[target[i]] = given[source[i]]


@kernel()
def copy_strided(
    memory: Memory,
    src: Address,
    dst: Address,
    height: int,
    width: int,
    src_down: int,
    src_right: int,
    dst_down: int,
    dst_right: int,
    inc: int,
) -> None:
    """``dst = src``, or ``+=`` if ``inc``, for strided matrices.

    Strides are in bytes: "down" to the next row, "right" to the next column.
    """
    for i in range(height):
        source, target = src + i * src_down, dst + i * dst_down
        if inc:
            for j in range(width):
                number = element(memory, source, src_right, j)
                vector(memory, target + j * dst_right, 1)[0] += number
        else:
            for j in range(width):
                number = element(memory, source, src_right, j)
                vector(memory, target + j * dst_right, 1)[0] = number


@kernel()
def multiply_strided(
    memory: Memory,
    a: Address,
    x: Address,
    y: Address,
    height: int,
    width: int,
    a_down: int,
    a_right: int,
    x_down: int,
    x_right: int,
    y_down: int,
    y_right: int,
) -> None:
    """``y += a * x``, elementwise, for strided matrices; for the strides see `copy_strided`."""
    for i in range(height):
        a_row, x_row, y_row = a + i * a_down, x + i * x_down, y + i * y_down
        for j in range(width):
            product = element(memory, a_row, a_right, j) * element(memory, x_row, x_right, j)
            vector(memory, y_row + j * y_right, 1)[0] += product


@kernel()
def multiply_inc(memory: Memory, a: In, x: In, y: Out, n: Count) -> None:
    """``y += a * x``."""
    factors, numbers = vector(memory, a, n), vector(memory, x, n)
    total = vector(memory, y, n)
    for i in range(n):
        total[i] += factors[i] * numbers[i]


@kernel()
def scale_inc(memory: Memory, a: Address, x: In, y: Out, n: Count) -> None:
    """``y += a[0] * x``."""
    factor = vector(memory, a, 1)[0]
    numbers, total = vector(memory, x, n), vector(memory, y, n)
    for i in range(n):
        total[i] += factor * numbers[i]


def pieces(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield corresponding contiguous parts of arrays of one shape.

    These are the whole arrays, their rows or their elements: the largest that are contiguous.
    """
    if all(map(contiguous, arrays)):
        yield arrays
    elif arrays[0].ndim > 1:
        for parts in zip(*arrays):
            yield from pieces(*parts)
    else:
        for i in range(arrays[0].size):
            yield tuple(array[i : i + 1] for array in arrays)


def places(array: np.ndarray) -> tuple[Address, np.ndarray]:
    """Return an array's lowest address, and the offset of each element from it, in elements."""
    grids = np.indices(array.shape)
    steps = [stride // array.itemsize for stride in array.strides]
    offsets = np.zeros(array.shape, np.int64)
    for grid, step in zip(grids, steps):
        offsets += grid * step
    lowest = int(offsets.min(initial=0))
    return offset(start(array), lowest * array.itemsize), offsets - lowest


@lowers(Reset)
def lower_reset(operator: Reset, lowering: Lowering) -> Lowered:
    """Fill the destination with a constant."""
    value = lowering.arena.numbers([operator.value])
    dst = lowering.array(operator.dst)
    if wide(dst):
        return [fill.row(dst=start(part), value=value, n=part.size) for (part,) in pieces(dst)]
    number: np.ndarray = np.empty(1, dst.dtype)
    everywhere = np.broadcast_to(number, dst.shape)
    return [copy_plane(value, u, v, inc=False) for u, v in planes(everywhere, dst)]


@lowers(Copy)
def lower_copy(operator: Copy, lowering: Lowering) -> Lowered | None:
    """Copy contiguous parts, or with strides, or by indices."""
    src, dst = lowering.array(operator.src), lowering.array(operator.dst)
    if operator.src_slice is not None or operator.dst_slice is not None:
        return _gather(operator, src, dst, lowering)
    if contiguous(dst) and lowering.facts.is_fixed(operator.src) and not operator.inc:
        src_start = lowering.copied(operator.src, spread(src, dst.shape))
        return [copy.row(src=src_start, dst=start(dst), n=dst.size)]
    src = spread(src, dst.shape)
    if wide(src, dst):
        used = copy_inc if operator.inc else copy
        return [used.row(src=start(a), dst=start(b), n=a.size) for a, b in pieces(src, dst)]
    return copy_planes(src, dst, operator.inc)


def spread(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return ``np.broadcast_to(array, shape)``, which is slow even where nothing is to be done."""
    return array if array.shape == shape else np.broadcast_to(array, shape)


def _gather(operator: Copy, src: np.ndarray, dst: np.ndarray, lowering: Lowering) -> Lowered | None:
    lowering.assumptions.rely_on(
        operator, partial(_contents, operator.src_slice, operator.dst_slice)
    )
    selected, target = as_selection(operator.src_slice), as_selection(operator.dst_slice)
    is_list = isinstance(target, np.ndarray)
    if is_list and not operator.inc and has_repeats(target, len(dst)):
        return None
    (src_start, src_places), (dst_start, dst_places) = places(src), places(dst)
    try:
        src_places, dst_places = src_places[selected], dst_places[target]
    except IndexError:
        return None
    if not reaches(src_places.shape, dst_places.shape):
        return None
    src_places = np.broadcast_to(src_places, dst_places.shape)
    indices = np.concatenate([src_places.ravel(), dst_places.ravel()])
    row = gather.row(
        src=src_start,
        dst=dst_start,
        indices=lowering.arena.constant(indices, np.int64),
        size=dst_places.size,
        inc=int(operator.inc),
    )
    return [row]


def _contents(*selections: object) -> list[object]:
    """Return selections as lists, which can be compared."""
    return [each if each is None else np.array(each).tolist() for each in selections]


def wide(*arrays: np.ndarray) -> bool:
    """Return whether contiguous `pieces` of arrays of one shape are long enough to work on."""
    return all(map(contiguous, arrays)) or (
        arrays[0].ndim > 1
        and arrays[0].shape[-1] >= WIDE
        and all(array.strides[-1] == array.itemsize for array in arrays)
    )


def planes(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield corresponding matrices of arrays of one shape, transposed if rows are short."""
    if arrays[0].size == 0:
        return
    if arrays[0].ndim < 2:
        yield from planes(*(array[np.newaxis] for array in arrays))
    elif arrays[0].ndim == 2:
        n, m = arrays[0].shape
        yield tuple(array.T for array in arrays) if m < min(WIDE, n) else arrays
    else:
        for parts in zip(*arrays):
            yield from planes(*parts)


def copy_planes(src: np.ndarray, dst: np.ndarray, inc: bool) -> Lowered:
    """Copy, or add if ``inc``, between arrays of one shape with any strides."""
    return [copy_plane(start(u), u, v, inc) for u, v in planes(src, dst)]


def copy_plane(address: Address, src: np.ndarray, dst: np.ndarray, inc: bool) -> Row:
    """Copy, or add if ``inc``, to ``dst`` a matrix at an address with the strides of ``src``."""
    height, width = dst.shape
    (src_down, src_right), (dst_down, dst_right) = src.strides, dst.strides
    return copy_strided.row(
        src=address,
        dst=start(dst),
        height=height,
        width=width,
        src_down=src_down,
        src_right=src_right,
        dst_down=dst_down,
        dst_right=dst_right,
        inc=int(inc),
    )


@lowers(ElementwiseInc)
def lower_elementwise_inc(operator: ElementwiseInc, lowering: Lowering) -> Lowered:
    """Multiply by a vector or by a scalar."""
    return multiply(*(lowering.array(signal) for signal in (operator.A, operator.X, operator.Y)))


def multiply(a: np.ndarray, x: np.ndarray, y: np.ndarray) -> Lowered:
    """Add ``a * x`` to y; a and x broadcast to its shape."""
    if x.size == 1:
        a, x = x, a
    x = np.broadcast_to(x, y.shape)
    if a.size == 1 and wide(x, y):
        return [
            scale_inc.row(a=start(a), x=start(u), y=start(v), n=u.size) for u, v in pieces(x, y)
        ]
    a = np.broadcast_to(a, y.shape)
    if wide(a, x, y):
        return [
            multiply_inc.row(a=start(u), x=start(v), y=start(w), n=u.size)
            for u, v, w in pieces(a, x, y)
        ]
    return [_multiply_plane(*parts) for parts in planes(a, x, y)]


def _multiply_plane(a: np.ndarray, x: np.ndarray, y: np.ndarray) -> Row:
    height, width = y.shape
    (a_down, a_right), (x_down, x_right), (y_down, y_right) = a.strides, x.strides, y.strides
    return multiply_strided.row(
        a=start(a),
        x=start(x),
        y=start(y),
        height=height,
        width=width,
        a_down=a_down,
        a_right=a_right,
        x_down=x_down,
        x_right=x_right,
        y_down=y_down,
        y_right=y_right,
    )
