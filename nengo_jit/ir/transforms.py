"""Operators that convolve."""

from __future__ import annotations

from typing import Any

import nengo.builder.transforms as reference
import numpy as np
from nengo.transforms import Convolution, ConvolutionTranspose
from numpy.lib.stride_tricks import sliding_window_view

from nengo_jit.ir.base import Operator, Step, operand
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal


class GeneralConvInc(Operator, reference.GeneralConvInc):
    """Add a convolution or transposed convolution of one or two dimensions.

    Implements what `ConvInc` or `ConvTransposeInc` does, according to ``conv``.

    Parameters
    ----------
    W : Signal
        The kernel, of shape ``(*kernel size, channels in, channels out)``, where a grouped
        convolution has the input channels of one group.
    X : Signal
        The input, flat.
    Y : Signal
        What is incremented, flat.
    conv : nengo.Convolution or nengo.ConvolutionTranspose
        Shapes, strides and padding.
    tag : str, optional
        What the operator is for.

    Raises
    ------
    NotImplementedError
        By `make_step`, for more than two dimensions.

    Notes
    -----
    sets ``[]``, incs ``[Y]``, reads ``[W, X]``, updates ``[]``
    """

    W = operand("reads", 0)
    X = operand("reads", 1)
    Y = operand("incs")

    def __init__(
        self,
        W: Signal,
        X: Signal,
        Y: Signal,
        conv: Convolution | ConvolutionTranspose,
        tag: str | None = None,
    ):
        Operator.__init__(self, tag, sets=[], incs=[Y], reads=[W, X], updates=[])
        self.conv = conv

    @property
    def is_transpose(self) -> bool:
        """bool: whether the convolution is transposed."""
        return isinstance(self.conv, ConvolutionTranspose)

    @property
    def _descstr(self) -> str:
        name = "convtranspose2d" if self.is_transpose else "conv2d"
        return f"{name}({self.W}, {self.X}) -> {self.Y}"

    def _images(self, signals: SignalDict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Kernel, input and output as ``(rows, columns, channels, ...)`` views.

        One dimension becomes one row.
        """
        conv = self.conv
        if conv.dimensions > 2:
            raise NotImplementedError(f"Convolution > 2D not supported ({self})")
        W = signals[self.W]
        X = signals[self.X].reshape(conv.input_shape.shape)
        Y = signals[self.Y].reshape(conv.output_shape.shape)
        if not conv.channels_last:
            X, Y = np.moveaxis(X, 0, -1), np.moveaxis(Y, 0, -1)
        return (W, X, Y) if conv.dimensions == 2 else (W[np.newaxis], X[np.newaxis], Y[np.newaxis])

    @property
    def _strides(self) -> tuple[int, int]:
        return (1,) * (2 - self.conv.dimensions) + tuple(self.conv.strides)

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        kind = ConvTransposeInc if self.is_transpose else ConvInc
        return kind.make_step(self, signals, dt, rng)


class ConvInc(GeneralConvInc, reference.ConvInc):
    """Add a convolution (a correlation, as in machine learning) of one or two dimensions.

    Implements ``Y[i, j, f] += sum_{k, l, c} W[k, l, c, f] X[s i + k - p, s j + l - p, c]`` with
    strides s and padding p by zeros. "same" padding that is odd has the odd one at the end. In
    a grouped convolution, c runs over the channels of the group that f belongs to.

    Parameters, errors and roles are those of `GeneralConvInc`.
    """

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        W, X, Y = self._images(signals)
        strides = self._strides
        same = self.conv.padding == "same"
        padding = [
            same_padding(X.shape[axis], Y.shape[axis], W.shape[axis], strides[axis]) if same
            else (0, 0)
            for axis in (0, 1)
        ]  # fmt: skip
        groups = X.shape[2] // W.shape[2]
        correlate = correlate_windows if groups == 1 else correlate_grouped_windows

        def step_convinc() -> None:
            image = np.pad(X, (*padding, (0, 0)))
            Y[...] += correlate(windows(image, W.shape[:2], strides), W)

        return step_convinc


class ConvTransposeInc(GeneralConvInc, reference.ConvTransposeInc):
    """Add a transposed convolution of one or two dimensions.

    Implements ``Y[s i + k - p, s j + l - p, f] += sum_c W[k, l, c, f] X[i, j, c]`` for all i, j,
    k, l for which that is inside Y, with strides s and cropping p: the gradient of a
    convolution. It is computed as a correlation of X, spread out by zeros, with the kernel
    turned round.

    Parameters, errors and roles are those of `GeneralConvInc`.
    """

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        W, X, Y = self._images(signals)
        strides = self._strides
        same = self.conv.padding == "same"
        size = [Y.shape[axis] + W.shape[axis] - 1 for axis in (0, 1)]
        canvas = np.zeros((*size, X.shape[2]), dtype=X.dtype)
        spread = []  # where the pixels of X lie on the canvas
        for axis in (0, 1):
            extent = (X.shape[axis] - 1) * strides[axis]
            crop = max(extent + W.shape[axis] - Y.shape[axis], 0) if same else 0
            start = W.shape[axis] - 1 - crop // 2
            spread.append(slice(start, start + extent + 1, strides[axis]))
        kernel = W[::-1, ::-1]

        def step_convtransposeinc() -> None:
            canvas[spread[0], spread[1]] = X
            Y[...] += correlate_windows(windows(canvas, W.shape[:2], (1, 1)), kernel)

        return step_convtransposeinc


def same_padding(size_in: int, size_out: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros "same" padding puts before and after ``size_in`` pixels."""
    total = max((size_out - 1) * stride + kernel - size_in, 0)
    return total // 2, total - total // 2


def windows(image: np.ndarray, size: tuple[int, int], strides: tuple[int, int]) -> np.ndarray:
    """What a kernel sees at each place where it is put.

    Parameters
    ----------
    image : (rows, columns, channels) numpy.ndarray
        The padded image.
    size : tuple of int
        Rows and columns of the kernel.
    strides : tuple of int
        Distances between places.

    Returns
    -------
    (places down, places across, kernel rows, kernel columns, channels) numpy.ndarray
        A view.
    """
    view = sliding_window_view(image, (*size, image.shape[2]))
    return view[:: strides[0], :: strides[1], 0]


def correlate_windows(view: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sum of products of each window with each filter.

    Parameters
    ----------
    view : (down, across, rows, columns, channels) numpy.ndarray
        What `windows` returned.
    kernel : (rows, columns, channels, filters) numpy.ndarray
        The filters.

    Returns
    -------
    (down, across, filters) numpy.ndarray
    """
    filters = kernel.shape[-1]
    down, across = view.shape[:2]
    product = view.reshape(down * across, -1).dot(kernel.reshape(-1, filters))
    return product.reshape(down, across, filters)


def correlate_grouped_windows(view: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """`correlate_windows` for a kernel whose filters see one group of channels each.

    Parameters
    ----------
    view : (down, across, rows, columns, channels) numpy.ndarray
        What `windows` returned.
    kernel : (rows, columns, channels in a group, filters) numpy.ndarray
        The filters, group by group.

    Returns
    -------
    (down, across, filters) numpy.ndarray
    """
    rows, columns, channels, filters = kernel.shape
    down, across = view.shape[:2]
    groups = view.shape[-1] // channels
    # one matrix per group: (groups, places, inputs) and (groups, inputs, filters in a group)
    grouped = view.reshape(down * across, rows * columns, groups, channels)
    inputs = np.moveaxis(grouped, 2, 0).reshape(groups, down * across, -1)
    weights = np.moveaxis(kernel.reshape(-1, groups, filters // groups), 1, 0)
    product = np.einsum("gpi,gif->pgf", inputs, np.ascontiguousarray(weights))
    return product.reshape(down, across, filters)
