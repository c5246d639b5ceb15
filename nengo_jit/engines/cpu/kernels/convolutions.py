"""Lowering of convolutions, to the kernels in `correlations.py`.

A transposed convolution is a correlation, too: with strides of two, each second pixel of the output
sees the same part of the kernel, so there are two *phases* along each axis.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nengo_jit.engines.cpu.kernels.correlations import (
    AT_ONCE,
    correlate_filters,
    correlate_pixels,
)
from nengo_jit.engines.cpu.kernels.operator import copy_planes, copy_strided
from nengo_jit.engines.cpu.language.kernel import Address, offset, start
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc, same_padding

VECTOR = 64  # bytes of the vectors that costs are estimated for
COPY_COST = 3  # of a number of an image, in multiplications of vectors

# runs after a convolution; `copy_strided` itself runs before it
copy_result = copy_strided.but(stage=2)


class Walk(NamedTuple):
    """Which pixels windows see along an axis, for one phase of the output.

    Attributes
    ----------
    first : int
        The pixel that the first tap of the first window sees; negative in the margin.
    step : int
        Pixels from window to window.
    taps : int
        How many pixels a window sees.
    tap_step : int
        Pixels from tap to tap.
    kernel : range
        The row or column of the kernel that each tap is multiplied by.
    """

    first: int
    step: int
    tap_step: int
    kernel: range

    @property
    def taps(self) -> list[int]:
        """List of int: the pixels that the first window sees."""
        return [self.first + k * self.tap_step for k in range(len(self.kernel))]


class Image(NamedTuple):
    """Where the pixels of an input lie; all distances are in bytes.

    Attributes
    ----------
    start : Address
        Of the first number.
    down, right, channel : int
        Distances of neighbouring rows, columns and channels.
    margins : tuple of int
        Rows above the image, and columns to its left.
    interleaved : int
        If it is two, say, even and odd columns lie apart.
    apart : int
        Distance of odd columns from even ones.
    """

    start: Address
    down: int
    right: int
    channel: int
    margins: tuple[int, int] = (0, 0)
    interleaved: int = 1
    apart: int = 0

    def rows(self, numbers: list[int]) -> list[int]:
        """Offsets of rows, of which some may be in the margin."""
        return [(number + self.margins[0]) * self.down for number in numbers]

    def columns(self, numbers: list[int]) -> list[int]:
        """Offsets of columns, of which some may be in the margin."""
        places = [divmod(number + self.margins[1], self.interleaved) for number in numbers]
        return [place * self.right + phase * self.apart for place, phase in places]


@lowers(ConvInc)
@lowers(ConvTransposeInc)
@lowers(GeneralConvInc)
def lower_conv_inc(operator: GeneralConvInc, lowering: Lowering) -> Lowered:
    """Correlate, with pixels or filters side by side, whichever is the least work."""
    W, X, Y = operator._images(lowering.facts.signals)
    walks = [walks_of(operator, axis, W, X, Y) for axis in (0, 1)]
    margins = [
        margins_of(axis_walks, n_in, n_out)
        for axis_walks, n_in, n_out in zip(walks, X.shape, Y.shape)
    ]
    if cost_by_pixels(W, X, Y, walks, margins) < cost_by_filters(W, X, Y, walks, margins):
        return _by_pixels(W, X, Y, walks, margins, lowering)
    skip = lowering.facts.is_fixed(operator.W) and bool(np.isfinite(W).all())
    if skip:
        lowering.assumptions.assume(operator.W, lambda: bool(np.isfinite(W).all()))
    return _by_filters(W, X, Y, walks, margins, skip, lowering)


def walks_of(
    operator: GeneralConvInc, axis: int, W: np.ndarray, X: np.ndarray, Y: np.ndarray
) -> list[Walk]:
    """Return how windows are moved along an axis, for each phase."""
    n_taps, stride = W.shape[axis], operator._strides[axis]
    small, large = (X, Y) if operator.is_transpose else (Y, X)
    before = 0
    if operator.conv.padding == "same":
        before, _ = same_padding(large.shape[axis], small.shape[axis], n_taps, stride)
    if not operator.is_transpose:
        return [Walk(-before, stride, 1, range(n_taps))]
    kernels = [range((phase + before) % stride, n_taps, stride) for phase in range(stride)]
    firsts = [(phase + before) // stride for phase in range(stride)]
    return [Walk(first, 1, -1, kernel) for first, kernel in zip(firsts, kernels)]


def margins_of(walks: list[Walk], n_in: int, n_out: int) -> tuple[int, int]:
    """Return how many pixels are seen before an image of ``n_in`` pixels, and after it."""
    seen = [
        pixel + i * walk.step
        for phase, walk in enumerate(walks)
        for pixel in walk.taps
        for i in (0, len(range(phase, n_out, len(walks))) - 1)
        if i >= 0
    ]
    return max(0, -min(seen, default=0)), max(0, max(seen, default=0) - n_in + 1)


def cost_by_filters(W: np.ndarray, X: np.ndarray, Y: np.ndarray, walks, margins) -> float:
    """Return about how many multiplications of vectors `correlate_filters` is worth."""
    lanes, groups = VECTOR // W.itemsize, X.shape[2] // W.shape[2]
    pixels, taps = Y.shape[0] * Y.shape[1], W[..., 0].size / (len(walks[0]) * len(walks[1]))
    copied = X.size * bool(np.any(margins)) + Y.size * (not contiguous(Y))
    if _is_channelwise(W, X):
        copied += X.size * (X.strides[2] != X.itemsize)
        return 3 * pixels * taps * -(-groups // lanes) + COPY_COST * copied
    vectors = 2 * groups * -(-(Y.shape[2] // groups) // (2 * lanes))
    return pixels * taps * vectors + COPY_COST * copied


def cost_by_pixels(W: np.ndarray, X: np.ndarray, Y: np.ndarray, walks, margins) -> float:
    """Return about how many multiplications of vectors `correlate_pixels` is worth."""
    lanes, groups = VECTOR // W.itemsize, X.shape[2] // W.shape[2]
    phases = len(walks[0]) * len(walks[1])
    width = -(-Y.shape[1] // len(walks[1]))
    rows = Y.shape[2] * Y.shape[0] * len(walks[1])
    copied = X.size * (not _is_planar(X, walks, margins))
    copied += Y.size * (phases > 1 or not contiguous(np.moveaxis(Y, 2, 0)))
    slowness = 1 if Y.shape[2] // groups >= AT_ONCE else 2
    products = rows * -(-width // lanes) * W[..., 0].size / phases
    return slowness * products + COPY_COST * copied


def _is_channelwise(W: np.ndarray, X: np.ndarray) -> bool:
    """Return whether each filter has a channel for itself."""
    return W.shape[2] == 1 and W.shape[3] == X.shape[2] > 1


def _is_planar(X: np.ndarray, walks, margins) -> bool:
    """Return whether neighbouring windows lie side by side in an image."""
    return not np.any(margins) and X.strides[1] * walks[1][0].step == X.itemsize


def _by_filters(
    W: np.ndarray, X: np.ndarray, Y: np.ndarray, walks, margins, skip: bool, lowering: Lowering
) -> Lowered:
    """Return rows of `correlate_filters`; copy images with margins, or with channels first."""
    before: Lowered = []
    after: Lowered = []
    begin = Y
    is_channelwise = _is_channelwise(W, X)
    if np.any(margins) or (is_channelwise and X.strides[2] != X.itemsize):
        (top, bottom), (left, right) = margins
        shape = top + X.shape[0] + bottom, left + X.shape[1] + right, X.shape[2]
        padded = lowering.arena.buffer(int(np.prod(shape)), lowering.dtype).reshape(shape)
        inside = padded[top : top + X.shape[0], left : left + X.shape[1]]
        before = copy_planes(X, inside, inc=False)
        image = Image(start(padded), *padded.strides, (top, left))
    else:
        image = Image(start(X), *X.strides)
    if not contiguous(Y):
        result, begin = (
            lowering.arena.buffer(Y.size, lowering.dtype).reshape(Y.shape) for _ in range(2)
        )
        after = [row.by(copy_result) for row in copy_planes(result, Y, inc=True)]
        Y = result
    tables = [runs_of(W, image, down, across) for down in walks[0] for across in walks[1]]
    size = max(map(len, tables))
    filters, groups = W.shape[3], X.shape[2] // W.shape[2]
    geometry = [
        *(filters, filters // groups, Y.shape[1], int(is_channelwise)),
        *(len(walks[0]), len(walks[1])),
        *(image.down * walks[0][0].step, image.right * walks[1][0].step),
        *(image.channel * W.shape[2], int(skip), size),
    ]
    padded_tables = [table + [0] * (size - len(table)) for table in tables]
    row = correlate_filters.row(
        begin=start(begin),
        y=start(Y),
        first_y=start(Y),
        x=image.start,
        weights=start(W),
        geometry=lowering.arena.constant(geometry, np.int64),
        runs=lowering.arena.constant(padded_tables, np.int64),
        n=Y.size,
        m=max(W[..., 0].size // len(tables), 1),
    )
    return [*before, row, *after]


def _by_pixels(
    W: np.ndarray, X: np.ndarray, Y: np.ndarray, walks, margins, lowering: Lowering
) -> Lowered:
    """Return rows of `correlate_pixels`; copy images unless they have channels first."""
    before: Lowered = []
    after: Lowered = []
    step, itemsize = walks[1][0].step, X.itemsize
    if _is_planar(X, walks, margins):
        image = Image(start(X), *X.strides)
    else:
        (top, bottom), (left, right) = margins
        n_columns = -(-(left + X.shape[1] + right) // step)
        shape = X.shape[2], step, top + X.shape[0] + bottom, n_columns
        padded = lowering.arena.buffer(int(np.prod(shape)), lowering.dtype).reshape(shape)
        channel, apart, down, _ = padded.strides
        image = Image(start(padded), down, itemsize, channel, (top, left), step, apart)
        planes = np.moveaxis(X, 2, 0)
        for phase in range(step):
            source = planes[:, :, (phase - left) % step :: step]
            place = -((left - (phase - left) % step - left) // step)
            place = (left + (phase - left) % step) // step
            target = padded[:, phase, top : top + X.shape[0], place : place + source.shape[2]]
            before += copy_planes(source, target, inc=False)
    target = begin = np.moveaxis(Y, 2, 0)
    rows: Lowered = []
    groups = X.shape[2] // W.shape[2]
    is_direct = len(walks[0]) == len(walks[1]) == 1 and contiguous(target)
    for i, down in enumerate(walks[0]):
        for j, across in enumerate(walks[1]):
            part = target[:, i :: len(walks[0]), j :: len(walks[1])]
            if part.size == 0:
                continue
            begin = result = part
            if not is_direct:
                result, begin = (
                    lowering.arena.buffer(part.size, lowering.dtype).reshape(part.shape)
                    for _ in range(2)
                )
                after += [row.by(copy_result) for row in copy_planes(result, part, inc=True)]
            _, height, width = part.shape
            below = image.down * down.step
            if below == width * itemsize:  # all rows are one
                height, width = 1, height * width
            geometry = [
                *(height * width, width, W.shape[3] // groups),
                *(below, image.channel * W.shape[2]),
            ]
            table = runs_of(W, image, down, across, by_pixels=True)
            rows.append(
                correlate_pixels.row(
                    begin=start(begin),
                    y=start(result),
                    first_y=start(result),
                    x=image.start,
                    weights=start(W),
                    geometry=lowering.arena.constant(geometry, np.int64),
                    runs=lowering.arena.constant(table, np.int64),
                    n=part.size,
                    m=max(len(down.kernel) * len(across.kernel) * W.shape[2], 1),
                )
            )
    return [*before, *rows, *after]


def runs_of(
    W: np.ndarray, image: Image, down: Walk, across: Walk, by_pixels: bool = False
) -> list[int]:
    """Return a table of runs, see `correlations.py`, for windows of an image.

    The numbers are of the image and the vectors of the kernel, or the other way ``by_pixels``.
    """
    rows = list(zip(image.rows(down.taps), W.strides[0] * np.array(down.kernel)))
    columns = list(zip(image.columns(across.taps), W.strides[1] * np.array(across.kernel)))
    length, distances = W.shape[2], (image.channel, W.strides[2])
    if image.interleaved == 1 and columns:
        steps = image.right * across.tap_step, W.strides[1] * across.kernel.step
        if length == 1 or steps == (length * distances[0], length * distances[1]):
            # neighbouring taps are one run
            distances = steps if length == 1 else distances
            length, columns = length * len(columns), columns[:1]
    runs = [(u + s, v + t) for u, v in rows for s, t in columns]
    order = -1 if by_pixels else 1
    table = [len(runs), length, *distances[::order]]
    return [int(each) for each in (*table, *(each for run in runs for each in run[::order]))]
