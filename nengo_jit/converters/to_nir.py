"""Networks of Nengo's as graphs of NIR, the neuromorphic intermediate representation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nengo import LIF, Alpha, Connection, Convolution, Ensemble, Lowpass, Network, Node
from nengo.base import NengoObject
from nengo.connection import LearningRule
from nengo.dists import Choice
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError

from nengo_jit.labels import Labels
from nengo_jit.simulator import Simulator

if TYPE_CHECKING:
    from nir import NIRGraph


def to_nir(net: Network, dt: float = 0.001, lossy: bool = False) -> NIRGraph:
    """Convert a network to a graph of NIR.

    Parameters
    ----------
    net : nengo.Network
        A network of LIF neurons, nodes that pass on their input, and nodes without input. Of the
        latter, those that output constants other than zero become biases, all others inputs.
        Nodes that lead nowhere are outputs. Probes and learning rules are no part of the graph.
    dt : float
        Length of the steps in which the network is run (seconds); spikes of NIR are ones.
    lossy : bool
        Whether to leave out what NIR has no equivalent for: refractory periods, limits and random
        initial values of voltages, and learning rules.

    Returns
    -------
    nir.NIRGraph

    Raises
    ------
    ImportError
        If NIR is not installed.
    ValidationError
        If an object cannot be converted without loss; the message names it.
    """
    try:
        import nir
    except ImportError as error:
        raise ImportError('to_nir needs NIR: pip install "nengo-jit[nir]"') from error
    with Simulator(net, dt=dt, engine="reference", progress_bar=False) as sim:
        writer = _Writer(nir, net, sim.data, dt, lossy)
    return writer.graph()


class _Writer:
    """Collects nodes and edges; names of passing nodes stand for what leads to them."""

    def __init__(self, nir: Any, net: Network, data: Any, dt: float, lossy: bool):
        self._nir, self._net, self._data = nir, net, data
        self._dt, self._lossy = dt, lossy
        objects = [*net.all_nodes, *net.all_ensembles, *net.all_connections]
        self._names = {  # slashes would be folders in files
            obj: name.replace("/", "|") for obj, name in Labels(net).unique(objects).items()
        }
        self._nodes: dict[str, Any] = {}
        self._edges: list[tuple[str, str]] = []
        self._bias: dict[NengoObject, np.ndarray] = {}
        self._connections = [
            each for each in net.all_connections if not isinstance(each.post_obj, LearningRule)
        ]

    def graph(self) -> NIRGraph:
        """Return the graph."""
        connections = self._connections
        for connection in connections:
            if self._is_constant(connection.pre_obj):
                self._add_bias(connection)
        for node in self._net.all_nodes:
            if not self._is_constant(node):
                self._add_node(node)
        for ensemble in self._net.all_ensembles:
            self._add_ensemble(ensemble)
        for connection in connections:
            if not self._is_constant(connection.pre_obj):
                self._add_connection(connection)
        self._join()
        return self._nir.NIRGraph(nodes=self._nodes, edges=self._edges)

    def _refuse(self, obj: NengoObject, reason: str) -> None:
        raise ValidationError(f"{obj} cannot be converted: {reason}", attr="net")

    def _refuse_lossy(self, obj: NengoObject, reason: str) -> None:
        if not self._lossy:
            self._refuse(obj, f"{reason}; `lossy=True` leaves that out")

    def _is_constant(self, obj: NengoObject) -> bool:
        return (
            isinstance(obj, Node)
            and isinstance(obj.output, np.ndarray)
            and bool(np.any(obj.output))
        )

    def _add_bias(self, connection: Connection) -> None:
        if connection.synapse is not None or connection.function is not None:
            self._refuse(connection, "a constant has a synapse or a function")
        value = self._matrix(connection) @ connection.pre_obj.output
        target = connection.post_obj
        if isinstance(target, Ensemble):
            value, target = self._data[target].scaled_encoders @ value, target.neurons
        elif isinstance(target, Neurons):
            value = self._data[target.ensemble].gain * value
        self._bias[target] = self._bias.get(target, 0.0) + value

    def _add_node(self, node: Node) -> None:
        name = self._names[node]
        if node.size_in == 0 == node.size_out:
            return
        if node.size_in == 0:
            self._nodes[name] = self._nir.Input({"input": np.array([node.size_out])})
            return
        if node.output is not None:
            self._refuse(node, "it computes a function")
        if node in self._bias:
            eye = np.eye(node.size_out)
            self._nodes[name] = self._nir.Affine(eye, self._bias[node])
        self._add_output(node, node.size_out)

    def _add_output(self, obj: NengoObject, size: int) -> None:
        """Add an output if an object leads nowhere."""
        if any(self._pre(each) is obj for each in self._connections):
            return
        name = self._names[obj]
        if name in self._nodes:
            self._edges.append((name, f"{name} output"))
            name = f"{name} output"
        self._nodes[name] = self._nir.Output({"output": np.array([size])})

    def _pre(self, connection: Connection) -> NengoObject:
        """Return the node or ensemble that a connection comes from."""
        return getattr(connection.pre_obj, "ensemble", connection.pre_obj)

    def _add_ensemble(self, ensemble: Ensemble) -> None:
        neurons = ensemble.neuron_type
        if type(neurons) is not LIF:
            self._refuse(ensemble, f"its neurons are {neurons}, not LIF")
        if ensemble.noise is not None:
            self._refuse(ensemble, "it has noise")
        if neurons.tau_ref != 0:
            self._refuse_lossy(ensemble, "it has a refractory period")
        if np.isfinite(neurons.min_voltage):
            self._refuse_lossy(ensemble, "its voltages have a lower limit (min_voltage)")
        initial = {**neurons.state, **(neurons.initial_state or {})}
        if initial["voltage"] != Choice([0]):
            self._refuse_lossy(ensemble, "its voltages do not begin at zero")
        built, ones = self._data[ensemble], np.ones(ensemble.n_neurons)
        self._nodes[self._names[ensemble]] = self._nir.LIF(
            tau=neurons.tau_rc * ones,
            r=built.gain,
            v_leak=built.bias + self._bias.get(ensemble.neurons, 0.0),
            v_threshold=ones,
            v_reset=0 * ones,
        )
        self._add_output(ensemble, ensemble.n_neurons)

    def _matrix(self, connection: Connection) -> np.ndarray:
        """Return the weights from the whole pre object to the whole post object."""
        weights = self._data[connection].weights
        if weights is None:
            weights = np.ones(connection.size_out)
        weights = weights.toarray() if hasattr(weights, "toarray") else np.asarray(weights)
        if weights.ndim < 2:
            weights = np.diag(np.broadcast_to(weights, connection.size_out))
        is_decoded = isinstance(connection.pre_obj, Ensemble)
        pre, post = connection.pre_obj, connection.post_obj
        n_pre = pre.n_neurons if is_decoded else pre.size_out
        columns = np.arange(n_pre)[slice(None) if is_decoded else connection.pre_slice]
        rows = np.arange(post.size_in)[connection.post_slice]
        whole = np.zeros((post.size_in, n_pre))
        np.add.at(whole, np.ix_(rows, columns), weights)
        return whole

    def _add_connection(self, connection: Connection) -> None:
        if connection.learning_rule_type is not None:
            self._refuse_lossy(connection, "it learns")
        pre, post = connection.pre_obj, connection.post_obj
        from_neurons = isinstance(pre, Ensemble | Neurons)
        if not from_neurons and connection.function is not None:
            self._refuse(connection, "it computes a function")
        if from_neurons and isinstance(pre, Ensemble) and connection.solver.weights:
            self._refuse(connection, "its solver finds weights between neurons")
        start, name = self._name(pre), self._names[connection]
        for part, node in self._parts(connection, from_neurons):
            self._nodes[f"{name}{part}"] = node
            self._edges.append((start, f"{name}{part}"))
            start = f"{name}{part}"
        self._edges.append((start, self._name(post)))

    def _name(self, obj: NengoObject) -> str:
        return self._names[getattr(obj, "ensemble", obj)]

    def _parts(self, connection: Connection, from_neurons: bool) -> list[tuple[str, Any]]:
        """Return the nodes of a connection: transform, then synapse, then encoders."""
        post, parts, nir = connection.post_obj, [], self._nir
        if isinstance(connection.transform, Convolution):
            self._refuse(connection, "convolutions are not exported: use a dense transform")
        weights = self._matrix(connection)
        if from_neurons:
            weights = weights * (self._pre(connection).neuron_type.amplitude / self._dt)
        synapse, last = connection.synapse, None
        if isinstance(post, Ensemble):
            last = self._data[post].encoders / post.radius  # the gain is the resistance
        if synapse is None and last is not None:
            weights, last = last @ weights, None
        if not _is_identity(weights):
            parts.append(("", nir.Linear(weights)))
        if synapse is not None:
            parts.append((" synapse", self._filter(connection, len(weights))))
        if last is not None and not _is_identity(last):
            parts.append((" input", nir.Linear(last)))
        return parts

    def _filter(self, connection: Connection, size: int) -> Any:
        synapse, ones = connection.synapse, np.ones(size)
        if type(synapse) is not Lowpass:
            kind = "an alpha filter" if type(synapse) is Alpha else f"{synapse}"
            self._refuse(connection, f"its synapse is {kind}, not a lowpass filter")
        if synapse.tau <= 0.03 * self._dt:  # nengo passes on such inputs, a step later
            return self._nir.Delay(self._dt * ones)
        return self._nir.LI(tau=synapse.tau * ones, r=ones, v_leak=0 * ones)

    def _join(self) -> None:
        """Replace nodes that only pass on their input by edges."""
        passing = {name for edge in self._edges for name in edge} - set(self._nodes)
        for name in passing:
            before = [a for a, b in self._edges if b == name]
            after = [b for a, b in self._edges if a == name]
            kept = [edge for edge in self._edges if name not in edge]
            self._edges = [*kept, *((a, b) for a in before for b in after)]
        seen: set[tuple[str, str]] = set()
        for number, (a, b) in enumerate(self._edges):
            if (a, b) in seen:  # NIR has one edge at most between two nodes
                size, copy = self._nodes[a].output_type["output"], f"{a} {number}"
                self._nodes[copy] = self._nir.Scale(np.ones(size))
                self._edges[number] = a, copy
                self._edges.append((copy, b))
            seen.add((a, b))


def _is_identity(matrix: np.ndarray) -> bool:
    return matrix.shape[0] == matrix.shape[1] and bool((matrix == np.eye(len(matrix))).all())
