"""Contracts of convolutions."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.program.contracts.contract import Arrays, contiguous, requires
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc, same_padding


@requires(ConvInc, ConvTransposeInc, GeneralConvInc)
def _conv_inc(operator: GeneralConvInc, signals: Arrays) -> bool:
    """Shapes of images and kernel match; slicing and joining dimensions makes views, not copies."""
    conv = operator.conv
    n = conv.dimensions
    weights, images = signals[operator.W], [signals[operator.X], signals[operator.Y]]
    shapes = [conv.input_shape.shape, conv.output_shape.shape]
    if n not in (1, 2) or weights.ndim != n + 2 or not contiguous(weights) or weights.size == 0:
        return False
    if not all(
        image.size == np.prod(shape) > 0 and (image.ndim == 1 or contiguous(image))
        for image, shape in zip(images, shapes)
    ):
        return False
    small, large = conv.output_shape, conv.input_shape
    inputs, outputs = large.n_channels, small.n_channels
    size, (group, filters) = weights.shape[:n], weights.shape[n:]
    if operator.is_transpose:
        small, large = large, small
        if (group, filters) != (inputs, outputs):
            return False
    elif filters != outputs or inputs % group or filters % (inputs // group):
        return False
    fits = _can_be_spread if operator.is_transpose else _can_be_moved
    return all(
        fits(*sizes, conv.padding == "same")
        for sizes in zip(small.spatial_shape, large.spatial_shape, size, conv.strides)
    )


def _can_be_moved(small: int, large: int, kernel: int, stride: int, is_padded: bool) -> bool:
    """Whether a kernel has ``small`` positions among ``large`` pixels."""
    padding = sum(same_padding(large, small, kernel, stride)) if is_padded else 0
    return (large + padding - kernel) // stride + 1 == small


def _can_be_spread(small: int, large: int, kernel: int, stride: int, is_padded: bool) -> bool:
    """Whether ``small`` pixels, each spread by the kernel, reach at most ``large`` pixels."""
    crop = same_padding(large, small, kernel, stride)[0] if is_padded else 0
    return crop < kernel and (small - 1) * stride - crop < large
