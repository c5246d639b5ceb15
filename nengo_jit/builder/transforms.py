"""Build transforms: the operators that multiply by weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from sys import intern

import numpy as np
from nengo.exceptions import BuildError
from nengo.transforms import (
    Convolution,
    ConvolutionTranspose,
    Dense,
    NoTransform,
    Sparse,
    SparseMatrix,
    Transform,
)

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.ir.base import Operator, Rng
from nengo_jit.ir.operator import DotInc, ElementwiseInc, Reset, SparseDotInc
from nengo_jit.ir.signal import Order, Signal
from nengo_jit.ir.transforms import (  # noqa: F401  (re-exported)
    ConvInc,
    ConvTransposeInc,
    GeneralConvInc,
    same_padding,
    windows,
)
from nengo_jit.settings import settings

Weighted = tuple[Signal, Signal | None]

LEAST_BY_COLUMN = 1 << 18  # elements of a matrix that engines need not copy into another order

APPLY_WEIGHTS = ".apply_weights"  # suffix of the tags of products


def multiply(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return a matrix product in which a vector stands for a diagonal matrix.

    Raises
    ------
    BuildError
        If either has more than two dimensions.
    """
    if x.ndim > 2 or y.ndim > 2:
        raise BuildError(
            f"Tensors not supported (x.ndim={x.ndim}, y.ndim={y.ndim}): use matrices or vectors"
        )
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
    rng: Rng = np.random,
) -> Weighted:
    """Build a dense transform, multiplied by decoders and encoders if they are given.

    Parameters
    ----------
    model : Model
        The model to build into.
    transform : nengo.Dense
        The transform; it can be built any number of times.
    sig_in : Signal
        The factor of the weights.
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
    sample, dtype = transform.sample(rng=rng), settings().float_dtype
    order = _order_of(model, sample.size) if decoders is None and encoders is None else "C"
    weights = sample.astype(dtype, order=order)
    return _build_matrix(model, transform, weights, sig_in, decoders, encoders)


def _build_matrix(
    model: Model,
    transform: Dense | NoTransform,
    weights: np.ndarray,
    sig_in: Signal,
    decoders: np.ndarray | None,
    encoders: np.ndarray | None,
) -> Weighted:
    """Multiply decoders, transform and encoders, and apply the product to the input."""
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
    rng: Rng = np.random,
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
    rng: Rng = np.random,
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
    weights, dtype = transform.sample(rng=rng), settings().float_dtype
    if dtype.itemsize >= 4:  # as nengo: half precision would change the image
        weights = weights.astype(dtype)
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
    rng: Rng = np.random,
) -> Weighted:
    """Build no transform: return the input, or decode it if there are decoders.

    For parameters see `build_dense`. The weights are None if there are no decoders or encoders.
    """
    if decoders is None and encoders is None:
        return sig_in, None
    weights = np.ones((), settings().float_dtype)
    return _build_matrix(model, transform, weights, sig_in, decoders, encoders)


def _check_not_decoded(transform: Transform, decoders: np.ndarray | None) -> None:
    if decoders is not None:
        kind = "sparse" if isinstance(transform, Sparse) else "convolution"
        raise BuildError(
            f"Applying a {kind} transform to a decoded connection is not supported ({transform})"
        )


def _apply_weights(
    model: Model,
    transform: Transform,
    weights: np.ndarray | SparseMatrix,
    sig_in: Signal,
    size_out: int,
    operator: Callable[..., Operator],
    **options: object,
) -> tuple[Signal, Signal]:
    """Make the signals of weights and product, and the operators that compute the product."""
    label = _pass_on(transform.size_in) if type(transform) is NoTransform else str(transform)
    tag = intern(f"{label}{APPLY_WEIGHTS}")  # most transforms are like others
    order = _order_of(model, weights.size) if operator is DotInc else "C"
    weight_sig = Signal(weights, name=intern(f"{label}.weights"), readonly=True, order=order)
    weighted = Signal(shape=size_out, name=intern(f"{label}.weighted"))
    model.add_op(Reset(weighted, tag=tag))
    model.add_op(operator(weight_sig, sig_in, weighted, tag=tag, **options))
    return weighted, weight_sig


def _order_of(model: Model, size: int) -> Order:
    """Return the memory order of weights, given the number of their elements."""
    return model.order if size >= LEAST_BY_COLUMN and isinstance(model, Model) else "C"


@lru_cache
def _pass_on(size: int) -> str:
    """Return ``str(NoTransform(size))``, which nengo is slow to make."""
    return str(NoTransform(size))
