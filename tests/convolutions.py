"""Convolutions: random ones, what they are in plain loops, and operands for their operators."""

import nengo
import numpy as np
import pytest
from hypothesis import strategies as st

from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc


def close(actual, expected):
    return np.allclose(actual, expected, rtol=1e-11, atol=1e-12)


def random_array(*shape, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, shape)


def channels_last(array, conv):
    return array if conv.channels_last else np.moveaxis(array, 0, -1)


def padding_before(conv, image_size, n_places):
    """How far the kernel reaches out of an image before its first pixel, in each dimension."""
    if conv.padding == "valid":
        return [0] * conv.dimensions
    return [
        max((n - 1) * stride + kernel - size, 0) // 2
        for size, n, kernel, stride in zip(image_size, n_places, conv.kernel_size, conv.strides)
    ]


def pairs(conv, image_size, n_places):
    """Every pixel that the kernel touches: (place of the kernel, place in it, pixel)."""
    padding = padding_before(conv, image_size, n_places)
    for place in np.ndindex(*n_places):
        for k in np.ndindex(*conv.kernel_size):
            pixel = tuple(np.array(place) * conv.strides + k - padding)
            if all(0 <= i < size for i, size in zip(pixel, image_size)):
                yield place, k, pixel


def naive_convolution(conv, W, x):
    X = channels_last(x.reshape(conv.input_shape.shape), conv)
    y = np.zeros(conv.output_shape.shape)
    Y = channels_last(y, conv)
    channels_per_group = X.shape[-1] // conv.groups
    filters_per_group = Y.shape[-1] // conv.groups
    for place, k, pixel in pairs(conv, X.shape[:-1], Y.shape[:-1]):
        for f in range(Y.shape[-1]):
            for c in range(channels_per_group):
                channel = (f // filters_per_group) * channels_per_group + c
                Y[(*place, f)] += W[(*k, c, f)] * X[(*pixel, channel)]
    return y.reshape(-1)


def naive_transposed_convolution(conv, W, x):
    X = channels_last(x.reshape(conv.input_shape.shape), conv)
    y = np.zeros(conv.output_shape.shape)
    Y = channels_last(y, conv)
    for place, k, pixel in pairs(conv, Y.shape[:-1], X.shape[:-1]):
        for f in range(Y.shape[-1]):
            for c in range(X.shape[-1]):
                Y[(*pixel, f)] += W[(*k, c, f)] * X[(*place, c)]
    return y.reshape(-1)


def shape_of(spatial, channels, is_last):
    return (*spatial, channels) if is_last else (channels, *spatial)


@st.composite
def convolutions(draw, max_groups=3):
    dimensions = draw(st.integers(1, 2))
    groups = draw(st.integers(1, max_groups))
    padding = draw(st.sampled_from(["valid", "same"]))
    spatial = [draw(st.integers(1, 6)) for _ in range(dimensions)]
    kernel = [draw(st.integers(1, min(4, n) if padding == "valid" else 4)) for n in spatial]
    is_last = draw(st.booleans())
    return nengo.Convolution(
        n_filters=groups * draw(st.integers(1, 2)),
        input_shape=shape_of(spatial, groups * draw(st.integers(1, 2)), is_last),
        kernel_size=tuple(kernel),
        strides=tuple(draw(st.integers(1, 3)) for _ in spatial),
        padding=padding,
        channels_last=is_last,
        groups=groups,
    )


@st.composite
def transposed_convolutions(draw):
    dimensions = draw(st.integers(1, 2))
    padding = draw(st.sampled_from(["valid", "same"]))
    spatial = [draw(st.integers(1, 4)) for _ in range(dimensions)]
    kernel = [draw(st.integers(1, 4)) for _ in spatial]
    strides = [draw(st.integers(1, 3)) for _ in spatial]
    # several images have an image of the given size as their convolution
    smallest = [k if padding == "valid" else 1 for k in kernel]
    output = [
        (n - 1) * stride + least + draw(st.integers(0, stride - 1))
        for n, stride, least in zip(spatial, strides, smallest)
    ]
    n_filters = draw(st.integers(1, 3))
    is_last = draw(st.booleans())
    return nengo.ConvolutionTranspose(
        n_filters=n_filters,
        input_shape=shape_of(spatial, draw(st.integers(1, 3)), is_last),
        output_shape=shape_of(output, n_filters, is_last),
        kernel_size=tuple(kernel),
        strides=tuple(strides),
        padding=padding,
        channels_last=is_last,
    )


def operands(conv):
    return {
        "W": Signal(random_array(*conv.kernel_shape), name="W"),
        "X": Signal(random_array(conv.size_in, seed=1), name="X"),
        "Y": Signal(random_array(conv.size_out, seed=2), name="Y"),
    }


BOTH = pytest.mark.parametrize(
    "operator_class, conv_class, naive",
    [
        (ConvInc, nengo.Convolution, naive_convolution),
        (ConvTransposeInc, nengo.ConvolutionTranspose, naive_transposed_convolution),
    ],
    ids=["convolution", "transposed"],
)
