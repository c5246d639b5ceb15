"""PyTorch's modules as networks of Nengo's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from nengo import Connection, Network, Node, RectifiedLinear, Sigmoid, Tanh
from nengo.base import NengoObject
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType
from nengo.transforms import Transform

from nengo_jit.batching.choice import whole
from nengo_jit.converters.layers import (
    Window,
    add_constant,
    by_channel,
    convolution,
    padded,
    pair,
    pooling,
    population,
    same,
)
from nengo_jit.converters.leaky import Leaky

if TYPE_CHECKING:
    from torch.nn import Module

RATES = {"ReLU": RectifiedLinear(), "Sigmoid": Sigmoid(tau_ref=1.0), "Tanh": Tanh(tau_ref=1.0)}
PASSED = ("Identity", "Dropout", "Dropout1d", "Dropout2d")
SUPPORTED = "Linear, Conv2d, AvgPool2d, Flatten, ReLU, Sigmoid, Tanh, Dropout, snnTorch's Leaky"
MAXIMUM = "a maximum is no weighted sum, so no transform of Nengo's computes it; use AvgPool2d"


def from_torch(module: Module, input_shape: Sequence[int] | None = None) -> Network:
    """Convert a PyTorch module to a network.

    Parameters
    ----------
    module : torch.nn.Module
        A module of the supported types, or a `torch.nn.Sequential` of them: Linear, Conv2d,
        AvgPool2d, Flatten, ReLU, Sigmoid, Tanh, Dropout (which does nothing, as in evaluation),
        and `snntorch.Leaky`.
    input_shape : sequence of int, optional
        Shape of a sample: ``(channels, height, width)`` for pictures. It need not be given if the
        first layer is Linear.

    Returns
    -------
    nengo.Network
        With the nodes ``input`` and ``output``. A sample is flattened, and its output there in
        the same step. Weights are copied.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    ValidationError
        If a layer cannot be converted; the message names it.
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise ImportError('from_torch needs PyTorch: pip install "nengo-jit[torch]"') from error
    layers = list(_layers(module, ""))
    if not layers:
        raise ValidationError("There are no layers", attr="module")
    shape = _first_shape(layers) if input_shape is None else _shape(input_shape)
    with Network(label="from torch", seed=0) as net:
        net.input = Node(np.zeros(int(np.prod(shape))), label="input")
        chain = _Chain(net.input, shape)
        for name, layer in layers:
            try:
                chain.add(name, layer)
            except ValidationError as error:
                if error.attr == "module":
                    raise
                _refuse(name, layer, str(error))
        net.output = chain.end()
    return net


def _first_shape(layers: Sequence[tuple[str, Any]]) -> tuple[int, ...]:
    """Return the shape of a sample, if the first layer that does something tells it."""
    first = next((each for _, each in layers if _kind(each) not in PASSED), None)
    if first is None or _kind(first) != "Linear":
        raise ValidationError(
            "Give the shape of a sample; only a first layer Linear tells it", attr="input_shape"
        )
    return (first.in_features,)


def _shape(given: Sequence[int]) -> tuple[int, ...]:
    sizes = [whole(each) for each in given] if isinstance(given, Iterable) else [None]
    shape = tuple(each for each in sizes if each is not None and each > 0)
    if not shape or len(shape) < len(sizes):
        raise ValidationError(f"Must be sizes above zero (got {given!r})", attr="input_shape")
    return shape


def _kind(layer: Module) -> str:
    """Return the name of a type of PyTorch's or snnTorch's; empty for others."""
    is_known = type(layer).__module__.split(".")[0] in ("torch", "snntorch")
    return type(layer).__name__ if is_known else ""


def _layers(module: Module, name: str) -> Iterator[tuple[str, Any]]:
    if getattr(module, "_forward_hooks", None) or getattr(module, "_forward_pre_hooks", None):
        _refuse(name or type(module).__name__, module, "it has hooks, which are not converted")
    if _kind(module) == "Sequential":
        for part, layer in module._modules.items():  # with those that occur twice
            yield from _layers(layer, f"{name}.{part}" if name else part)
    else:
        yield name or type(module).__name__, module


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().cpu().double().numpy())


class _Chain:
    """Objects one after the other; the last transform is not applied yet, nor its bias added."""

    def __init__(self, source: NengoObject, shape: tuple[int, ...]):
        self._source, self._shape = source, shape
        self._transform: Transform | np.ndarray | None = None
        self._bias = np.zeros(())

    @property
    def _size(self) -> int:
        return int(np.prod(self._shape))

    def add(self, name: str, layer: Any) -> None:
        """Add a layer; ValidationError names it."""
        kind = _kind(layer)
        if kind == "Linear":
            self._linear(name, layer)
        elif kind == "Conv2d":
            self._convolution(name, layer)
        elif kind == "AvgPool2d":
            self._pooling(name, layer)
        elif kind == "Flatten":
            if layer.start_dim != 1 or layer.end_dim not in (-1, len(self._shape)):
                _refuse(name, layer, "it does not flatten a whole sample")
            self._shape = (self._size,)
        elif kind == "Leaky":
            self._neurons(name, _leaky(name, layer))
        elif kind in RATES:
            self._neurons(name, RATES[kind])
        elif kind not in PASSED:
            is_maximum = kind.startswith(("MaxPool", "AdaptiveMaxPool"))
            _refuse(name, layer, MAXIMUM if is_maximum else f"supported are {SUPPORTED}")

    def end(self) -> Node:
        """Return a node with the result."""
        node = Node(size_in=self._size, label="output")
        self._connect(node, "output")
        return node

    def _linear(self, name: str, layer: Any) -> None:
        if self._shape != (layer.in_features,):
            _refuse(name, layer, f"its input has the shape {self._shape}; Flatten may be missing")
        self._settle(name)
        self._transform, self._shape = _array(layer.weight), (layer.out_features,)
        if layer.bias is not None:
            self._bias = _array(layer.bias)

    def _convolution(self, name: str, layer: Any) -> None:
        if pair(layer.dilation) != (1, 1) or layer.padding_mode != "zeros":
            _refuse(name, layer, "it has a dilation, or is not padded with zeros")
        size = pair(layer.kernel_size)
        if layer.padding == "same":
            before, after = same(size)
        else:
            before = after = pair(0 if layer.padding == "valid" else layer.padding)
        window = Window(size, pair(layer.stride), before, after)
        self._picture(name, layer, layer.in_channels)
        transform = convolution(_array(layer.weight), self._shape, window, layer.groups)
        self._windows(transform, window)
        if layer.bias is not None:
            self._bias = by_channel(_array(layer.bias), self._shape)

    def _pooling(self, name: str, layer: Any) -> None:
        around = pair(layer.padding)
        counts_all = layer.count_include_pad or not any(around)
        if layer.ceil_mode or layer.divisor_override or not counts_all:
            _refuse(name, layer, "its windows are not all of one size, or have another divisor")
        size = pair(layer.kernel_size)
        window = Window(size, pair(layer.stride), around, around)
        self._picture(name, layer, None)
        self._windows(pooling(self._shape, window, 1.0 / (size[0] * size[1])), window)

    def _picture(self, name: str, layer: Any, channels: int | None) -> None:
        """Check that the shape is that of a picture, and apply the last transform."""
        if len(self._shape) != 3 or channels not in (None, self._shape[0]):
            _refuse(name, layer, f"its input has the shape {self._shape}")
        self._settle(name)

    def _windows(self, transform: Any, window: Window) -> None:
        self._source = padded(self._source, self._shape, window)
        self._transform, self._shape = transform, tuple(transform.output_shape.shape)

    def _neurons(self, name: str, neuron_type: NeuronType) -> None:
        neurons = population(neuron_type, self._size, name, bias=self._bias)
        self._bias = np.zeros(())
        self._connect(neurons, name)

    def _settle(self, name: str) -> None:
        """Apply a transform that is followed by another one."""
        if self._transform is not None:
            self._connect(Node(size_in=self._size, label=f"before {name}"), name)

    def _connect(self, target: NengoObject, name: str) -> None:
        options = {} if self._transform is None else {"transform": self._transform}
        Connection(self._source, target, synapse=None, **options)
        if self._bias.ndim:
            add_constant(target, self._bias, name)
        self._source, self._transform, self._bias = target, None, np.zeros(())


def _leaky(name: str, layer: Any) -> Leaky:
    """Return the neurons of an `snntorch.Leaky`."""
    reset = {0: "subtract", 1: "zero", 2: "none"}[int(layer.reset_mechanism_val)]
    if layer.inhibition or layer.state_quant or not getattr(layer, "reset_delay", True):
        _refuse(name, layer, "inhibition, quantised states and resets without delay are not known")
    numbers = [np.unique(_array(each)) for each in (layer.beta, layer.threshold)]
    if any(each.size > 1 for each in numbers):
        _refuse(name, layer, "its neurons have different betas or thresholds")
    if np.any(_array(layer.graded_spikes_factor) != 1):
        _refuse(name, layer, "its spikes have a factor")
    beta, threshold = (float(each[0]) for each in numbers)
    if threshold <= 0:
        _refuse(name, layer, "its threshold is not above zero")
    return Leaky(min(max(beta, 0.0), 1.0), threshold, reset)


def _refuse(name: str, layer: Any, reason: str) -> NoReturn:
    raise ValidationError(f"'{name}', {layer}, cannot be converted: {reason}", attr="module")
