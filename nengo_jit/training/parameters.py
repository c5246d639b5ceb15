"""The parameters of a network: attributes of its objects, as arrays by name.

They are what a user sets in Nengo, not what the simulation computes of it: an ensemble's encoders
and gains, for example, not their product. So the learned values can be given to the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from nengo import Connection, Dense, Ensemble, Network, Probe
from nengo.base import NengoObject
from nengo.exceptions import BuildError, ValidationError
from nengo.neurons import Direct
from nengo.solvers import NoSolver
from nengo.transforms import Convolution, ConvolutionTranspose, NoTransform

from nengo_jit.builder import Model
from nengo_jit.ir.signal import Signal
from nengo_jit.labels import SEPARATOR, Labels

Params: TypeAlias = dict[str, jax.Array]
Predicate: TypeAlias = Callable[[NengoObject, str], bool]
Selection: TypeAlias = Predicate | Iterable[object] | None

GAIN, BIAS, ENCODERS = "gain", "bias", "encoders"
TRANSFORM, DECODERS = "transform", "decoders"
HAS_ARRAY = (Dense, Convolution, ConvolutionTranspose)


class Parameter(NamedTuple):
    """A parameter: an attribute of an object."""

    obj: NengoObject
    attribute: str


class Parameters:
    """The parameters of a network that has been built.

    Parameters
    ----------
    network : nengo.Network
        The network.
    model : Model
        The model that it was built into.

    Attributes
    ----------
    known : dict of (str, Parameter)
        By name: those of the objects around it, its own, and that of the attribute, as in
        ``"Network 1.Ensemble 2.gain"``.
    initial : dict of (str, numpy.ndarray)
        The values that the build has found: ``gain`` and ``bias`` (n_neurons,), ``encoders``
        (n_neurons, dimensions), ``decoders`` (size_mid, n_neurons), and ``transform`` in the shape
        of Nengo's transform.

    Raises
    ------
    BuildError
        If a solver finds weights between neurons, which cannot be divided into parameters.
    """

    def __init__(self, network: Network, model: Model):
        self.network, self._model = network, model
        self.known: dict[str, Parameter] = {}
        self.initial: dict[str, np.ndarray] = {}
        labels = Labels(network)
        # Probes of decoded values have connections of their own.
        built = [each for each in model.params if isinstance(each, Connection)]
        decoding = {each.post_obj: each for each in built if isinstance(each.post_obj, Probe)}
        self._connections: dict[NengoObject, Connection] = {
            **{each: each for each in network.all_connections},
            **{each: decoding[each] for each in network.all_probes if each in decoding},
        }
        self._names = labels.unique(_objects(network))
        for ensemble in network.all_ensembles:
            if not isinstance(ensemble.neuron_type, Direct):
                built = model.params[ensemble]
                self._add(ensemble, GAIN, built.gain)
                self._add(ensemble, BIAS, built.bias)
                self._add(ensemble, ENCODERS, built.encoders)
        for owner, connection in self._connections.items():
            self._add_connection(owner, connection)

    def _add(self, obj: NengoObject, attribute: str, value: np.ndarray) -> None:
        name = self._name(obj, attribute)
        self.known[name] = Parameter(obj, attribute)
        self.initial[name] = np.array(value, dtype=self._model.time.dtype)

    def _name(self, obj: NengoObject, attribute: str) -> str:
        return f"{self._names[obj]}{SEPARATOR}{attribute}"

    def _add_connection(self, owner: NengoObject, connection: Connection) -> None:
        built, transform = self._model.params[connection], connection.transform
        if built.eval_points is None:
            if isinstance(transform, HAS_ARRAY):
                self._add(owner, TRANSFORM, built.weights)
            return
        if connection.solver.weights:
            raise BuildError(
                f"{owner} cannot be used in training: its solver finds weights between "
                "neurons. Use a solver without `weights=True`."
            )
        if isinstance(transform, NoTransform):
            self._add(owner, DECODERS, built.weights)
            return
        matrix, decoders = _divided(connection, np.asarray(built.weights))
        self._add(owner, TRANSFORM, matrix)
        self._add(owner, DECODERS, decoders)

    def selected(self, trainable: Selection) -> frozenset[str]:
        """Return the names of parameters to train.

        Parameters
        ----------
        trainable : iterable of object or type, callable, or None
            Objects (networks stand for all that is in them), types of objects, or a function of
            object and attribute. None selects everything. Gains are selected by a function only,
            since they scale encoders and weights, which are.

        Raises
        ------
        ValidationError
            If nothing is selected, an object is not in the network or has no parameters, or gains
            are selected of an ensemble whose encoders a learning rule changes.
        """
        if callable(trainable) and not isinstance(trainable, type):
            chosen = {name for name, each in self.known.items() if trainable(*each)}
            self._check_gains(chosen)
        else:
            chosen = set()
            if trainable is None:
                chosen.update(self.known)
            elif isinstance(trainable, Network | NengoObject | type):
                trainable = [trainable]
            for wanted in trainable or ():
                chosen |= self._of(wanted)
            chosen = {name for name in chosen if self.known[name].attribute != GAIN}
        if not chosen:
            raise ValidationError("There are no parameters to train", attr="trainable")
        return frozenset(chosen)

    def _check_gains(self, chosen: Iterable[str]) -> None:
        """Gains are constants of a learning rule that changes encoders."""
        for obj, attribute in map(self.known.__getitem__, chosen):
            if attribute == GAIN and not self._model.sig[obj]["encoders"].readonly:
                raise ValidationError(
                    f"The gains of {obj} cannot be trained: a learning rule changes its encoders",
                    attr="trainable",
                )

    def _of(self, wanted: object) -> set[str]:
        """Names of the parameters of an object, or of all objects of a type."""
        if isinstance(wanted, type):
            found = {name for name, (obj, _) in self.known.items() if isinstance(obj, wanted)}
        else:
            objects = set(wanted.all_objects) if isinstance(wanted, Network) else {wanted}
            found = {name for name, (obj, _) in self.known.items() if obj in objects}
        if not found:
            raise ValidationError(f"{wanted} has no parameters to train", attr="trainable")
        return found

    def signals(self, params: Params) -> dict[Signal, jax.Array]:
        """Return the values of the signals that depend on parameters; can be traced."""
        values: dict[Signal, jax.Array] = {}
        for ensemble in self.network.all_ensembles:
            if isinstance(ensemble.neuron_type, Direct):
                continue
            gain, bias, encoders = (
                params[self._name(ensemble, each)] for each in (GAIN, BIAS, ENCODERS)
            )
            values[self._model.sig[ensemble.neurons]["bias"]] = bias
            scale = jnp.reshape(gain / ensemble.radius, (-1, 1))
            values[self._model.sig[ensemble]["encoders"]] = encoders * scale
        for owner, connection in self._connections.items():
            signals = self._model.sig[connection]
            weights = self._weights(owner, params)
            if weights is not None:
                values[signals["weights"]] = weights
            if "gains" in signals:
                gain = params[self._name(connection.post_obj.ensemble, GAIN)]
                values[signals["gains"]] = gain[_index(connection.post_slice)]
        return values

    def _weights(self, owner: NengoObject, params: Params) -> jax.Array | None:
        matrix = params.get(self._name(owner, TRANSFORM))
        decoders = params.get(self._name(owner, DECODERS))
        if matrix is None or decoders is None:
            return matrix if decoders is None else decoders
        if matrix.ndim < 2:
            return jnp.reshape(matrix, (-1, 1)) * decoders
        return matrix @ decoders

    def freeze(self, params: Mapping[str, np.ndarray], network: Network | None = None) -> None:
        """Write parameters into a network; see `Trainer.freeze_params`."""
        target = self.network if network is None else network
        own, theirs = _objects(self.network), _objects(target)
        if list(map(type, own)) != list(map(type, theirs)):
            raise ValidationError("The network has other objects", attr="net", obj=target)
        others = dict(zip(own, theirs))
        for obj, other in others.items():
            other.seed = self._model.seeds[obj]  # of what is drawn, such as the first voltages
        for name, (obj, attribute) in self.known.items():
            other, value = others[obj], np.asarray(params[name])
            if attribute == TRANSFORM:
                other.transform = _with_array(other.transform, value)
            elif attribute == DECODERS:
                other.solver = NoSolver(value.T)
            else:
                setattr(other, attribute, value)
            if attribute == ENCODERS:
                other.normalize_encoders = False
                other.max_rates = Ensemble.max_rates.default  # gain and bias imply them
                other.intercepts = Ensemble.intercepts.default


def _objects(network: Network) -> list[NengoObject]:
    return [*network.all_ensembles, *network.all_connections, *network.all_probes]


def _divided(connection: Connection, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide weights into a transform and decoders whose product they are."""
    shape, init = connection.transform.shape, connection.transform.init
    if not isinstance(init, np.ndarray):  # the sample is not known
        left, scales, right = np.linalg.svd(weights, full_matrices=False)
        n = min(len(scales), shape[-1])
        matrix, decoders = np.zeros(shape), np.zeros((shape[-1], weights.shape[1]))
        matrix[:, :n], decoders[:n] = left[:, :n] * scales[:n], right[:n]
        return matrix, decoders
    if init.ndim < 2:
        scale = init.reshape(-1, 1)
        return init, np.divide(weights, scale, out=np.zeros_like(weights), where=scale != 0)
    return init, np.linalg.pinv(init) @ weights


def _with_array(transform: Dense | Convolution, value: np.ndarray) -> Dense | Convolution:
    """Return a transform with other values."""
    state = {**transform.__getstate__(), "init": value}
    changed: Dense | Convolution = object.__new__(type(transform))
    changed.__setstate__(state)
    return changed


def _index(chosen: object) -> object:
    """Return an index that JAX takes, too."""
    return np.asarray(chosen) if isinstance(chosen, list) else chosen
