"""Layers as objects of Nengo's, in channels-first order and without delays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from nengo import Connection, Convolution, Ensemble, Node
from nengo.base import NengoObject
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

Pair: TypeAlias = tuple[int, int]


class Window(NamedTuple):
    """How windows move over a picture.

    Attributes
    ----------
    kernel_size, strides : (int, int)
        Height and width of the window, and its steps.
    before, after : (int, int)
        Zeros above and left, and below and right of the picture.
    """

    kernel_size: Pair
    strides: Pair
    before: Pair = (0, 0)
    after: Pair = (0, 0)


def pair(value: int | Sequence[int] | np.ndarray) -> Pair:
    """Return two integers, given one or two."""
    first, second = np.broadcast_to(np.asarray(value, int), 2)
    return int(first), int(second)


def same(kernel_size: Pair) -> tuple[Pair, Pair]:
    """Return the zeros before and after a picture for outputs of its size; odd ones are after."""
    total = [each - 1 for each in kernel_size]
    before = total[0] // 2, total[1] // 2
    return before, (total[0] - before[0], total[1] - before[1])


def padded(source: NengoObject, shape: tuple[int, ...], window: Window) -> Node | NengoObject:
    """Return a node with zeros around a picture; the source, if there are none."""
    if not any((*window.before, *window.after)):
        return source
    _, height, width = shape
    (top, left), whole = window.before, padded_shape(shape, window)
    places = np.arange(np.prod(whole)).reshape(whole)
    inner = places[:, top : top + height, left : left + width].ravel()
    node = Node(size_in=int(np.prod(whole)), label="padding")
    Connection(source, node[inner.tolist()], synapse=None)
    return node


def padded_shape(shape: tuple[int, ...], window: Window) -> tuple[int, int, int]:
    """Return channels, height and width of a picture with zeros around it."""
    if len(shape) != 3:
        raise ValidationError(f"A picture is (channels, height, width), not {shape}", attr="shape")
    channels, *sizes = shape
    height, width = (
        size + before + after for size, before, after in zip(sizes, window.before, window.after)
    )
    return channels, height, width


def convolution(
    weight: np.ndarray, shape: tuple[int, ...], window: Window, groups: int = 1
) -> Convolution:
    """Return a convolution of a picture that has its zeros.

    Parameters
    ----------
    weight : (filters, channels / groups, height, width) numpy.ndarray
        The kernels.
    shape : (int, int, int)
        Channels, height and width of the picture, without the zeros.
    window : Window
        How the kernels move.
    groups : int
        Number of groups of channels.
    """
    return Convolution(
        n_filters=len(weight),
        input_shape=padded_shape(shape, window),
        kernel_size=window.kernel_size,
        strides=window.strides,
        padding="valid",
        channels_last=False,
        groups=groups,
        init=np.transpose(weight, (2, 3, 1, 0)),
    )


def pooling(shape: tuple[int, ...], window: Window, factor: float) -> Convolution:
    """Return the sums of windows of each channel, times a factor; see `convolution`."""
    weight = np.full((shape[0], 1, *window.kernel_size), factor)
    return convolution(weight, shape, window, groups=shape[0])


def by_channel(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of channels for each element of a picture."""
    return np.repeat(values, int(np.prod(shape[1:])))


def population(
    neuron_type: NeuronType,
    n: int,
    label: str,
    gain: float | np.ndarray = 1.0,
    bias: float | np.ndarray = 0.0,
) -> Neurons:
    """Return neurons that get currents."""
    return Ensemble(
        n,
        1,
        neuron_type=neuron_type,
        gain=np.broadcast_to(np.asarray(gain, float), n).copy(),
        bias=np.broadcast_to(np.asarray(bias, float), n).copy(),
        encoders=np.ones((n, 1)),
        label=label,
    ).neurons


def add_constant(target: NengoObject, values: np.ndarray, label: str) -> None:
    """Add constants to what a node gets; they can be trained, as weights of an input of one."""
    one = Node([1.0], label=f"{label} bias")
    Connection(one, target, transform=np.reshape(values, (-1, 1)), synapse=None)
