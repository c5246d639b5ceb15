"""Build transforms: the operators that multiply by weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import nengo.builder.transforms as reference
import numpy as np
from nengo.exceptions import BuildError
from nengo.transforms import (
    Convolution,
    ConvolutionTranspose,
    Dense,
    NoTransform,
    Sparse,
    SparseMatrix,
)
from numpy.lib.stride_tricks import sliding_window_view

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.ir.operator import (
    DotInc,
    ElementwiseInc,
    Operator,
    Reset,
    SparseDotInc,
    Step,
    operand,
)
from nengo_jit.settings import settings
from nengo_jit.ir.signal import Signal, SignalDict

Weighted = tuple[Signal, Signal | None]


def multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Matrix product in which vectors stand for diagonal matrices, scalars for multiples.

    Raises
    ------
    BuildError
        If either has more than two dimensions.
    """
    if x.ndim > 2 or y.ndim > 2:
        raise BuildError(f"Tensors not supported (x.ndim={x.ndim}, y.ndim={y.ndim})")
    if y.ndim < 2:
        return x * y
    if x.ndim < 2:
        return x.reshape(-1, 1) * y
    return np.dot(x, y)


@Builder.register(Dense)
def build_dense(
    model: Model,
    transform: Dense,
    sig_in: Signal,
    decoders: np.ndarray | None = None,
    encoders: np.ndarray | None = None,
    rng: Any = np.random,
) -> Weighted:
    """Build a dense transform, multiplied with decoders and encoders where they are given.

    Parameters
    ----------
    model : Model
        What to build into.
    transform : nengo.Dense
        What to build; it can be built any number of times.
    sig_in : Signal
        What is multiplied by the weights.
    decoders : (size_in, n_pre) numpy.ndarray, optional
        Applied before the transform.
    encoders : (size_out, n_post) numpy.ndarray, optional
        Their transpose is applied after the transform.
    rng : numpy.random.RandomState
        Source of randomness, if the transform is a distribution.

    Returns
    -------
    weighted, weights : Signal
        The product and the weights.
    """
    # A copy, since the sample may be the user's array.
    weights = transform.sample(rng=rng).astype(settings().float_dtype)
    return _build_matrix(model, transform, weights, sig_in, decoders, encoders)


def _build_matrix(
    model: Model,
    transform: Dense | NoTransform,
    weights: np.ndarray,
    sig_in: Signal,
    decoders: np.ndarray | None,
    encoders: np.ndarray | None,
) -> Weighted:
    """Multiply decoders, transform and encoders, and build what applies the product."""
    dtype = weights.dtype
    if decoders is not None:
        weights = multiply(weights, decoders.astype(dtype, copy=False))
    size_out = transform.size_out
    if encoders is not None:
        weights = multiply(encoders.astype(dtype, copy=False).T, weights)
        size_out = len(weights)
    operator = ElementwiseInc if weights.ndim < 2 else DotInc
    return _apply_weights(model, transform, weights, sig_in, size_out, operator)


@Builder.register(Sparse)
def build_sparse(
    model: Model,
    transform: Sparse,
    sig_in: Signal,
    decoders: np.ndarray | None = None,
    encoders: np.ndarray | None = None,
    rng: Any = np.random,
) -> Weighted:
    """Build a sparse transform; for parameters and result see `build_dense`.

    Raises
    ------
    BuildError
        If there are decoders.
    """
    _check_not_decoded(transform, decoders)
    weights = transform.sample(rng=rng)
    dtype = settings().float_dtype
    if dtype.itemsize >= 4:  # SciPy has no sparse matrices of half precision
        if isinstance(weights, SparseMatrix):
            weights = SparseMatrix(weights.indices, weights.data.astype(dtype), weights.shape)
        else:
            weights = weights.astype(dtype)
    return _apply_weights(model, transform, weights, sig_in, transform.size_out, SparseDotInc)


@Builder.register(Convolution)
@Builder.register(ConvolutionTranspose)
def build_convolution(
    model: Model,
    transform: Convolution | ConvolutionTranspose,
    sig_in: Signal,
    decoders: np.ndarray | None = None,
    encoders: np.ndarray | None = None,
    rng: Any = np.random,
) -> Weighted:
    """Build a convolution or its transpose; for parameters and result see `build_dense`.

    Raises
    ------
    BuildError
        If there are decoders.
    """
    _check_not_decoded(transform, decoders)
    transposed = isinstance(transform, ConvolutionTranspose)
    operator = ConvTransposeInc if transposed else ConvInc
    weights = transform.sample(rng=rng).astype(settings().float_dtype)
    return _apply_weights(
        model, transform, weights, sig_in, transform.size_out, operator, conv=transform
    )


@Builder.register(NoTransform)
def build_no_transform(
    model: Model,
    transform: NoTransform,
    sig_in: Signal,
    decoders: np.ndarray | None = None,
    encoders: np.ndarray | None = None,
    rng: Any = np.random,
) -> Weighted:
    """Build no transform: pass a value on; only decode where there are decoders.

    For parameters see `build_dense`; the weights that are returned are None for a value.
    """
    if decoders is None and encoders is None:
        return sig_in, None
    weights = np.ones((), settings().float_dtype)
    return _build_matrix(model, transform, weights, sig_in, decoders, encoders)


def _check_not_decoded(transform: Any, decoders: np.ndarray | None) -> None:
    if decoders is not None:
        kind = "sparse" if isinstance(transform, Sparse) else "convolution"
        raise BuildError(
            f"Applying a {kind} transform to a decoded connection is not supported ({transform})"
        )


def _apply_weights(
    model: Model,
    transform: Any,
    weights: Any,
    sig_in: Signal,
    size_out: int,
    operator: Any,
    **options: Any,
) -> tuple[Signal, Signal]:
    """Make the signals of the weights and the product, and the operators that compute it."""
    label = _pass_on(transform.size_in) if type(transform) is NoTransform else str(transform)
    tag = f"{label}.apply_weights"
    weight_sig = Signal(weights, name=f"{label}.weights", readonly=True)
    weighted = Signal(shape=size_out, name=f"{label}.weighted")
    model.add_op(Reset(weighted, tag=tag))
    model.add_op(operator(weight_sig, sig_in, weighted, tag=tag, **options))
    return weighted, weight_sig


@lru_cache
def _pass_on(size: int) -> str:
    """No transform as a text, which nengo takes long to make."""
    return str(NoTransform(size))


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
