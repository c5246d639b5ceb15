"""Operators for convolutions and transposed convolutions."""

from __future__ import annotations

import nengo.builder.transforms as reference
import numpy as np
from nengo.exceptions import BuildError
from nengo.transforms import ChannelShape, Convolution, ConvolutionTranspose
from numpy.lib.stride_tricks import sliding_window_view

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, operand
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.products import dot, dot_by_groups
from nengo_jit.ir.signal import Signal


class GeneralConvInc(Operator, reference.GeneralConvInc):
    """Add a convolution or transposed convolution of one or two dimensions.

    Implements `ConvInc` or `ConvTransposeInc`, depending on ``conv``.

    Parameters
    ----------
    W : Signal
        The kernel, of shape ``(*kernel size, channels in, channels out)``. For a grouped
        convolution, the channels in are those of one group.
    X : Signal
        The input, flat.
    Y : Signal
        The output, flat, which is incremented.
    conv : nengo.Convolution or nengo.ConvolutionTranspose
        Shapes, strides and padding.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    NotImplementedError
        By `make_step`, for more than two dimensions.
    BuildError
        By `make_step`, if the number of filters in the kernel is not that of ``conv``.

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
        """Kernel, input and output as ``(rows, columns, channels, ...)`` views."""
        if self.conv.dimensions > 2:
            raise NotImplementedError(f"Convolution > 2D not supported ({self})")
        W = signals[self.W]
        return (
            W if self.conv.dimensions == 2 else W[np.newaxis],
            image_of(signals[self.X], self.conv.input_shape),
            image_of(signals[self.Y], self.conv.output_shape),
        )

    @property
    def _strides(self) -> tuple[int, int]:
        return in_two_dimensions(self.conv.strides)

    def parameters(self, dt: float) -> tuple[object, ...]:
        places = _places_of_transpose if self.is_transpose else _places
        table = places(self.conv, self.W.shape)
        inside = table >= 0
        return (
            self.is_transpose,
            self.conv.channels_last,
            self.Y.shape,
            np.maximum(table, 0),
            None if inside.all() else inside,
        )

    def check(self, signals: SignalDict) -> None:
        self._images(signals)
        if self.W.shape[-1:] != (self.conv.n_filters,):
            raise BuildError(
                f"{self}: the kernel has shape {self.W.shape}; the last dimension must be "
                f"the number of filters, {self.conv.n_filters}"
            )

    @staticmethod
    def compute(
        xp: Namespace,
        is_transpose: bool,
        channels_last: bool,
        shape: tuple[int, ...],
        table: Array,
        inside: Array | None,
        W: Array,
        X: Array,
    ) -> tuple[Array, ...]:
        seen = xp.reshape(X, (-1,))[table]
        if inside is not None:
            seen = xp.where(inside, seen, 0.0)
        if is_transpose:
            W = xp.flip(W, axis=tuple(range(W.ndim - 2)))
        n_groups, n_places, _ = table.shape
        n_filters = W.shape[-1]
        if n_groups == 1:
            product = dot(seen[0, ...], xp.reshape(W, (-1, n_filters)))
        else:
            kernels = xp.reshape(W, (-1, n_groups, n_filters // n_groups))
            product = dot_by_groups(xp, seen, xp.moveaxis(kernels, 1, 0))
            product = xp.reshape(product, (n_places, n_filters))
        return (xp.reshape(product if channels_last else product.T, shape),)


class ConvInc(GeneralConvInc, reference.ConvInc):
    """Add a convolution (a correlation, as in machine learning) of one or two dimensions.

    Implements ``Y[i, j, f] += sum_{k, l, c} W[k, l, c, f] X[s i + k - p, s j + l - p, c]`` with
    strides s and zero padding p. If the total of "same" padding is odd, there is one more at the
    end. In a grouped convolution, c runs over the channels of f's group.

    Parameters, errors and roles are those of `GeneralConvInc`.
    """


class ConvTransposeInc(GeneralConvInc, reference.ConvTransposeInc):
    """Add a transposed convolution of one or two dimensions.

    Implements ``Y[s i + k - p, s j + l - p, f] += sum_c W[k, l, c, f] X[i, j, c]`` for all i, j,
    k, l with an element inside Y, with strides s and cropping p: the gradient of a convolution. It
    is computed as the correlation of X, dilated with zeros, with the flipped kernel.

    Parameters, errors and roles are those of `GeneralConvInc`.
    """


def image_of(values: np.ndarray, shape: ChannelShape) -> np.ndarray:
    """Return a view of a flat image in the shape ``(rows, columns, channels)``.

    One dimension becomes one row.
    """
    image = values.reshape(shape.shape)
    if not shape.channels_last:
        image = np.moveaxis(image, 0, -1)
    return image if shape.dimensions == 2 else image[np.newaxis]


def in_two_dimensions(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Convert sizes or strides to two dimensions; one dimension becomes one row."""
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _numbered(shape: ChannelShape) -> np.ndarray:
    """Return an image whose pixels are their own indices in the signal."""
    return image_of(np.arange(shape.size), shape)


def _places(conv: Convolution, kernel: tuple[int, ...]) -> np.ndarray:
    """Return the receptive fields of a convolution: the gather indices.

    Parameters
    ----------
    conv : nengo.Convolution
        Shapes, strides and padding.
    kernel : tuple of int
        Shape of the kernel.

    Returns
    -------
    (groups, places, inputs) numpy.ndarray of int
        Indices of input elements, for each group of filters and place of the kernel; -1 outside.
    """
    image, output = _numbered(conv.input_shape), _numbered(conv.output_shape)
    size, strides = in_two_dimensions(kernel[:-2]), in_two_dimensions(conv.strides)
    padding = [
        same_padding(image.shape[axis], output.shape[axis], size[axis], strides[axis])
        if conv.padding == "same"
        else (0, 0)
        for axis in (0, 1)
    ]
    padded = np.pad(image, (*padding, (0, 0)), constant_values=-1)
    seen = windows(padded, size, strides)
    n_places = seen.shape[0] * seen.shape[1]
    n_groups = image.shape[2] // kernel[-2]
    grouped = seen.reshape(n_places, size[0] * size[1], n_groups, kernel[-2])
    return np.moveaxis(grouped, 2, 0).reshape(n_groups, n_places, -1)


def _places_of_transpose(conv: ConvolutionTranspose, kernel: tuple[int, ...]) -> np.ndarray:
    """Return the receptive fields of the flipped kernel of a transposed convolution."""
    image, output = _numbered(conv.input_shape), _numbered(conv.output_shape)
    size, strides = in_two_dimensions(kernel[:-2]), in_two_dimensions(conv.strides)
    canvas = np.full([*(output.shape[a] + size[a] - 1 for a in (0, 1)), image.shape[2]], -1)
    spread = []  # positions of the pixels on the canvas
    for axis in (0, 1):
        extent = (image.shape[axis] - 1) * strides[axis]
        is_cropped = conv.padding == "same"
        crop = max(extent + size[axis] - output.shape[axis], 0) if is_cropped else 0
        start = size[axis] - 1 - crop // 2
        spread.append(slice(start, start + extent + 1, strides[axis]))
    canvas[spread[0], spread[1]] = image
    seen = windows(canvas, size, (1, 1))
    return seen.reshape(1, seen.shape[0] * seen.shape[1], -1)


def same_padding(size_in: int, size_out: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the numbers of zeros before and after ``size_in`` pixels for "same" padding."""
    total = max((size_out - 1) * stride + kernel - size_in, 0)
    return total // 2, total - total // 2


def windows(image: np.ndarray, size: tuple[int, int], strides: tuple[int, int]) -> np.ndarray:
    """Return a view of the image's windows under a kernel at each of its places.

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
