"""Graphs of NIR, the neuromorphic intermediate representation, as networks of Nengo's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from nengo import LIF, Connection, Lowpass, Network, Node, SpikingRectifiedLinear
from nengo.base import NengoObject
from nengo.dists import Choice
from nengo.exceptions import ValidationError
from nengo.transforms import Transform

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

if TYPE_CHECKING:
    from nir import NIRGraph

AT_REST = {"voltage": Choice([0])}
NO_LIMIT = -np.inf
SPIKING = ("LIF", "CubaLIF", "IF")
DELAYING = ("LI", "CubaLIF", "CubaLI", "Delay")  # Nengo's filters take a step


class Part(NamedTuple):
    """What a node of NIR has become.

    Attributes
    ----------
    target, source : nengo object
        Gets the sum of inputs; has the output.
    transform : nengo.transforms.Transform, numpy.ndarray or None
        Of each connection to the target.
    synapse : nengo.synapses.Synapse or None
        Of each connection to the target.
    shape : tuple of int
        Shape of the output.
    """

    target: NengoObject
    source: NengoObject
    transform: Transform | np.ndarray | None
    synapse: Lowpass | None
    shape: tuple[int, ...]


def from_nir(graph: NIRGraph, dt: float = 0.001, lossy: bool = False) -> Network:
    """Convert a graph of NIR to a network.

    Parameters
    ----------
    graph : nir.NIRGraph
        The graph.
    dt : float
        Length of the steps in which the network will be run (seconds). Spikes are ones.
    lossy : bool
        Whether to convert nodes that Nengo has no equivalent for to the nearest that it has.

    Returns
    -------
    nengo.Network
        With the dictionaries ``inputs`` and ``outputs``: nodes by their names in the graph. If
        there is only one, it is also called ``input`` or ``output``.

    Raises
    ------
    ImportError
        If NIR is not installed.
    ValidationError
        If a node cannot be converted without loss; the message names it.

    Notes
    -----
    LI is a lowpass filter, CubaLIF a lowpass filter and LIF. Nengo's filters, and spikes that go
    back to where they come from, take a step. Voltages begin at the reset voltage.
    """
    try:
        import nir  # noqa: F401
    except ImportError as error:
        raise ImportError('from_nir needs NIR: pip install "nengo-jit[nir]"') from error
    with Network(label="from NIR", seed=0) as net:
        net.inputs, net.outputs = {}, {}
        parts: dict[str, Part] = {}
        edges = [(str(a), str(b)) for a, b in graph.edges]
        for name in _in_order(graph, edges):
            sources = [parts[a] for a, b in edges if b == name and a in parts]
            shape = sources[0].shape if sources else None
            parts[name] = _Converter(name, graph.nodes[name], shape, dt, lossy).part()
            kind = _kind(graph.nodes[name])
            if kind == "Input":
                net.inputs[name] = parts[name].source
            elif kind == "Output":
                net.outputs[name] = parts[name].target
        loops = _delayed(graph, edges)
        for edge in edges:
            try:
                _connect(parts[edge[0]], parts[edge[1]], edge in loops)
            except ValidationError as error:
                reason = f"its input from '{edge[0]}' does not fit: {error}"
                _refuse(edge[1], graph.nodes[edge[1]], reason)
        for name, known in (("input", net.inputs), ("output", net.outputs)):
            if len(known) == 1:
                setattr(net, name, next(iter(known.values())))
    return net


def _kind(node: object) -> str:
    return type(node).__name__


def _in_order(graph: NIRGraph, edges: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names of nodes, each after one that leads to it, from inputs on."""
    edges = list(edges)
    order = [name for name, node in graph.nodes.items() if _kind(node) == "Input"]
    for name in order:
        order.extend(dict.fromkeys(b for a, b in edges if a == name and b not in order))
    for name in graph.nodes:
        if name not in order:
            _refuse(name, graph.nodes[name], "no input leads to it")
    return order


def _reached(
    graph: NIRGraph, edges: list[tuple[str, str]], start: str, ends: tuple[str, ...]
) -> list[str]:
    """Return a node and all that it leads to, up to nodes of some kinds."""
    found = [start]
    for name in found:
        if _kind(graph.nodes[name]) not in ends:
            found.extend(b for a, b in edges if a == name and b not in found)
    return found


def _delayed(graph: NIRGraph, edges: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return edges of spikes that lead back to where they come from, without a delay yet.

    ValidationError names a node whose output leads back to it without spikes or a delay.
    """
    found = set()
    for start, end in edges:
        kind = _kind(graph.nodes[start])
        if kind not in DELAYING and start in _reached(graph, edges, end, DELAYING):
            if kind in SPIKING:
                found.add((start, end))
            elif start in _reached(graph, edges, end, (*SPIKING, *DELAYING)):
                _refuse(start, graph.nodes[start], "its output leads back to it without a delay")
    return found


def _connect(pre: Part, post: Part, is_delayed: bool) -> None:
    options = {} if post.transform is None else {"transform": post.transform}
    if not is_delayed:
        Connection(pre.source, post.target, synapse=post.synapse, **options)
        return
    late = Node(size_in=pre.source.size_out, label="a step later")
    Connection(pre.source, late, synapse=Lowpass(0.0))
    Connection(late, post.target, synapse=post.synapse, **options)


class _Converter:
    """Converts a node."""

    def __init__(self, name: str, node: Any, shape: tuple[int, ...] | None, dt: float, lossy: bool):
        self._name, self._node, self._shape = name, node, shape
        self._dt, self._lossy = dt, lossy

    def part(self) -> Part:
        """Return what the node becomes; ValidationError if it cannot be converted."""
        make = getattr(self, f"_{_kind(self._node).lower()}", None)
        if make is None:
            _refuse(self._name, self._node, "Nengo has no equivalent")
        try:
            result: Part = make()
        except ValidationError as error:
            if error.attr == "graph":
                raise
            _refuse(self._name, self._node, str(error))
        return result

    def _refuse_lossy(self, reason: str) -> None:
        if not self._lossy:
            _refuse(self._name, self._node, f"{reason}; `lossy=True` does so all the same")

    def _given(self) -> tuple[int, ...]:
        """Return the shape of the input, which is that of the output of a node before."""
        if self._shape is None:
            _refuse(self._name, self._node, "the shape of its input is not known")
        return self._shape

    def _passing(
        self,
        shape: tuple[int, ...],
        transform: Transform | np.ndarray | None = None,
        synapse: Lowpass | None = None,
    ) -> Part:
        node = Node(size_in=int(np.prod(shape)), label=self._name)
        return Part(node, node, transform, synapse, shape)

    def _input(self) -> Part:
        shape = tuple(int(each) for each in self._node.input_type["input"])
        node = Node(np.zeros(int(np.prod(shape))), label=self._name)
        return Part(node, node, None, None, shape)

    def _output(self) -> Part:
        return self._passing(self._given())

    def _flatten(self) -> Part:
        return self._passing((int(np.prod(self._given())),))

    def _linear(self) -> Part:
        weight = np.asarray(self._node.weight, float)
        return self._passing((len(weight),), weight)

    def _affine(self) -> Part:
        part = self._linear()
        add_constant(part.target, np.asarray(self._node.bias, float), self._name)
        return part

    def _scale(self) -> Part:
        return self._passing(self._given(), self._spread(self._node.scale))

    def _delay(self) -> Part:
        delays = np.unique(self._node.delay)
        if delays.size > 1 or not np.isclose(delays[0], self._dt):
            _refuse(self._name, self._node, "only delays of one step have an equivalent")
        return self._passing(self._given(), synapse=Lowpass(0.0))

    def _conv2d(self) -> Part:
        weight = np.asarray(self._node.weight, float)
        if pair(self._node.dilation) != (1, 1):
            _refuse(self._name, self._node, "Nengo's convolutions have no dilation")
        size = pair(weight.shape[2:])
        padding = self._node.padding
        if isinstance(padding, str):
            before, after = same(size) if padding == "same" else ((0, 0), (0, 0))
        else:
            before = after = pair(padding)
        window = Window(size, pair(self._node.stride), before, after)
        part = self._windows(convolution(weight, self._given(), window, self._node.groups), window)
        bias = by_channel(np.broadcast_to(self._node.bias, len(weight)), part.shape)
        if bias.any():
            add_constant(part.source, bias, self._name)
        return part

    def _sumpool2d(self) -> Part:
        return self._pooling(1.0)

    def _avgpool2d(self) -> Part:
        return self._pooling(1.0 / np.prod(pair(self._node.kernel_size)))

    def _pooling(self, factor: float) -> Part:
        around = pair(self._node.padding)
        window = Window(pair(self._node.kernel_size), pair(self._node.stride), around, around)
        return self._windows(pooling(self._given(), window, factor), window)

    def _windows(self, transform: Any, window: Window) -> Part:
        """Return a part that pads a picture before it is transformed."""
        shape = tuple(transform.output_shape.shape)
        if not any((*window.before, *window.after)):
            return self._passing(shape, transform)
        first, last = (
            Node(size_in=int(np.prod(each)), label=self._name) for each in (self._given(), shape)
        )
        Connection(padded(first, self._given(), window), last, transform=transform, synapse=None)
        return Part(first, last, None, None, shape)

    def _li(self) -> Part:
        return self._filter(self._node.tau, self._node.r)

    def _cubali(self) -> Part:
        node = self._node
        part = self._filter(node.tau_syn, node.w_in)
        last = Node(size_in=part.source.size_out, label=self._name)
        synapse, scale = Lowpass(self._time_constant(node.tau_mem)), self._spread(node.r)
        self._check_leak()
        Connection(part.source, last, transform=scale, synapse=synapse)
        return part._replace(source=last)

    def _filter(self, tau: np.ndarray, scale: np.ndarray) -> Part:
        self._check_leak()
        transform = self._spread(scale)
        only_ones = bool((transform == 1).all())
        synapse = Lowpass(self._time_constant(tau))
        return self._passing(self._given(), None if only_ones else transform, synapse)

    def _check_leak(self) -> None:
        if np.any(self._node.v_leak):
            self._refuse_lossy("Nengo's filters have no leak voltage")

    def _lif(self) -> Part:
        neurons = self._spiking(self._node.tau)
        return Part(neurons, neurons, None, None, self._given())

    def _cubalif(self) -> Part:
        neurons = self._spiking(self._node.tau_mem)
        transform = self._spread(self._node.w_in)
        synapse = Lowpass(self._time_constant(self._node.tau_syn))
        return Part(neurons, neurons, transform, synapse, self._given())

    def _if(self) -> Part:
        self._refuse_lossy(
            "the nearest neurons of Nengo's, SpikingRectifiedLinear, ignore negative currents and "
            "subtract the threshold from the voltage"
        )
        neuron_type = SpikingRectifiedLinear(amplitude=self._dt, initial_state=AT_REST)
        size, gain = int(np.prod(self._given())), self._spread(self._node.r / self._range())
        neurons = population(neuron_type, size, self._name, gain)
        return Part(neurons, neurons, None, None, self._given())

    def _spiking(self, tau: np.ndarray) -> NengoObject:
        """Return LIF neurons with the threshold one and the reset voltage zero."""
        neuron_type = LIF(
            tau_rc=self._time_constant(tau),
            tau_ref=0.0,
            min_voltage=NO_LIMIT,
            amplitude=self._dt,
            initial_state=AT_REST,
        )
        bias = (self._node.v_leak - self._reset()) / self._range()
        gain = self._spread(self._node.r / self._range())
        size = int(np.prod(self._given()))
        return population(neuron_type, size, self._name, gain, self._spread(bias))

    def _reset(self) -> np.ndarray:
        reset = getattr(self._node, "v_reset", None)
        return np.zeros(1) if reset is None else np.asarray(reset, float)

    def _range(self) -> np.ndarray:
        between: np.ndarray = self._node.v_threshold - self._reset()
        if not (between > 0).all():
            _refuse(self._name, self._node, "its threshold is not above its reset voltage")
        return between

    def _time_constant(self, tau: np.ndarray) -> float:
        values = np.unique(tau)
        if values.size > 1:
            self._refuse_lossy("its time constants differ, of which Nengo's objects have one")
        return float(np.mean(values))

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Return values for each element, flat."""
        spread = np.broadcast_to(np.asarray(values, float), self._given())
        return spread.ravel().copy()


def _refuse(name: str, node: object, reason: str) -> NoReturn:
    raise ValidationError(f"'{name}' ({_kind(node)}) cannot be converted: {reason}", attr="graph")
