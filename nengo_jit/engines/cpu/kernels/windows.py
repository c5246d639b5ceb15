"""Windows that are moved over an image: where they are, and what moving them costs.

A transposed convolution moves windows, too: with strides of two, each second pixel of the output
sees the same part of the kernel, so there are two *phases* along each axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nengo_jit.engines.cpu.kernels.correlations import AT_ONCE
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.ir.transforms import GeneralConvInc, same_padding

VECTOR = 64  # bytes of the vectors that costs are estimated for
COPY_COST = 3  # of a number of an image, in products of vectors


class Walk(NamedTuple):
    """Which pixels windows see along an axis, for one phase of the output.

    Attributes
    ----------
    first : int
        The pixel that the first tap of the first window sees; negative in the margin.
    step : int
        Pixels from window to window.
    tap_step : int
        Pixels from tap to tap.
    kernel : range
        The row or column of the kernel that each tap is multiplied by.
    """

    first: int
    step: int
    tap_step: int
    kernel: range

    def pixels(self) -> list[int]:
        """Return the pixels that the first window sees."""
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


@dataclass(frozen=True)
class Correlation:
    """A convolution as windows that are moved over an image.

    Attributes
    ----------
    W : (rows, columns, channels of a group, filters) numpy.ndarray
        The kernel.
    X, Y : (rows, columns, channels) numpy.ndarray
        Input and output.
    down, across : list of Walk
        How windows are moved along the axes, for each phase.
    """

    W: np.ndarray
    X: np.ndarray
    Y: np.ndarray
    down: list[Walk]
    across: list[Walk]

    @property
    def groups(self) -> int:
        """int: how many groups of channels have filters of their own."""
        return self.X.shape[2] // self.W.shape[2]

    @property
    def n_phases(self) -> int:
        """int: how many phases there are."""
        return len(self.down) * len(self.across)

    @property
    def is_channelwise(self) -> bool:
        """bool: whether each filter has a channel for itself."""
        return self.W.shape[2] == 1 and self.W.shape[3] == self.X.shape[2] > 1

    @property
    def margins(self) -> list[tuple[int, int]]:
        """List of tuple: rows that are seen above and below the image, then columns beside it."""
        return [
            _margins(walks, n_in, n_out)
            for walks, n_in, n_out in zip((self.down, self.across), self.X.shape, self.Y.shape)
        ]

    @property
    def can_be_read_by_filters(self) -> bool:
        """bool: whether the image need not be copied for `correlate_filters`."""
        is_spread = self.is_channelwise and self.X.strides[2] != self.X.itemsize
        return not np.any(self.margins) and not is_spread

    @property
    def can_be_read_by_pixels(self) -> bool:
        """bool: whether neighbouring windows lie side by side in the image."""
        step = self.X.strides[1] * self.across[0].step
        return not np.any(self.margins) and step == self.X.itemsize

    def cost_by_filters(self) -> float:
        """Return about how many products of vectors `correlate_filters` is worth."""
        lanes, taps = VECTOR // self.W.itemsize, self.W[..., 0].size / self.n_phases
        vectors = 2 * self.groups * -(-self.Y.shape[2] // (2 * lanes * self.groups))
        if self.is_channelwise:
            vectors = 2 * -(-self.groups // lanes)
        copied = self.X.size * (not self.can_be_read_by_filters)
        copied += self.Y.size * (not contiguous(self.Y))
        return self.Y[..., 0].size * taps * vectors + COPY_COST * copied

    def cost_by_pixels(self) -> float:
        """Return about how many products of vectors `correlate_pixels` is worth."""
        lanes, taps = VECTOR // self.W.itemsize, self.W[..., 0].size / self.n_phases
        height, width, filters = self.Y.shape
        vectors = -(-width // (len(self.across) * lanes)) * len(self.across) * height * filters
        is_alone = filters // self.groups < AT_ONCE
        is_direct = self.n_phases == 1 and contiguous(planes_of(self.Y))
        copied = self.X.size * (not self.can_be_read_by_pixels) + self.Y.size * (not is_direct)
        return vectors * taps * (2 if is_alone else 1) + COPY_COST * copied


def correlation_of(
    operator: GeneralConvInc, W: np.ndarray, X: np.ndarray, Y: np.ndarray
) -> Correlation:
    """Return what an operator does with kernel, input and output."""
    down, across = (_walks(operator, axis, W, X, Y) for axis in (0, 1))
    return Correlation(W, X, Y, down, across)


def _walks(
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
    return [
        Walk((phase + before) // stride, 1, -1, range((phase + before) % stride, n_taps, stride))
        for phase in range(stride)
    ]


def _margins(walks: list[Walk], n_in: int, n_out: int) -> tuple[int, int]:
    """Return how many pixels are seen before an image of ``n_in`` pixels, and after it."""
    lowest, highest = 0, n_in - 1
    for phase, walk in enumerate(walks):
        n_windows = len(range(phase, n_out, len(walks)))
        for pixel in walk.pixels() if n_windows > 0 else []:
            lowest = min(lowest, pixel)
            highest = max(highest, pixel + (n_windows - 1) * walk.step)
    return -lowest, highest - (n_in - 1)


def planes_of(image: np.ndarray) -> np.ndarray:
    """Return an image as a view with channels first."""
    return np.moveaxis(image, 2, 0)


def runs_of(
    W: np.ndarray, image: Image, down: Walk, across: Walk, by_pixels: bool = False
) -> list[int]:
    """Return a table of runs, see `correlations.py`, for windows of an image.

    The numbers are of the image and the vectors of the kernel, or the other way ``by_pixels``.
    """
    rows = list(zip(image.rows(down.pixels()), W.strides[0] * np.array(down.kernel)))
    columns = list(zip(image.columns(across.pixels()), W.strides[1] * np.array(across.kernel)))
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
