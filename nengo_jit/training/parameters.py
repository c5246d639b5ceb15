"""The parameters of a network: attributes of its objects, as arrays by name.

They are what a user sets in Nengo, not what the simulation computes of it: an ensemble's encoders
and gains, for example, not their product. So the learned values can be given to the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

import numpy as np
from nengo import Connection, Dense, Ensemble, Network, Probe, Sparse
from nengo.base import NengoObject
from nengo.exceptions import BuildError, ValidationError
from nengo.neurons import Direct
from nengo.solvers import NoSolver
from nengo.synapses import Alpha, Lowpass
from nengo.transforms import Convolution, ConvolutionTranspose, NoTransform, Transform

from nengo_jit.builder import Model
from nengo_jit.ir.signal import Signal
from nengo_jit.labels import SEPARATOR, Labels
from nengo_jit.training.derived import Compute, Recipe, in_rows, product, same, scaled
from nengo_jit.training.sparse import elements_of

Predicate: TypeAlias = Callable[[NengoObject, str], bool]
Selection: TypeAlias = Predicate | Iterable[object] | None

GAIN, BIAS, ENCODERS = "gain", "bias", "encoders"
TRANSFORM, DECODERS = "transform", "decoders"
LOG_TAU = "log_tau"  # a logarithm, so that steps are relative, and time constants positive
HAS_ARRAY = (Dense, Convolution, ConvolutionTranspose)
BY_FUNCTION = (GAIN, LOG_TAU)  # attributes that only a function selects


class Parameter(NamedTuple):
    """A parameter: an attribute of an object.

    Attributes
    ----------
    obj : nengo object
        The object.
    attribute : str
        Name of the attribute.
    others : tuple of nengo object
        Objects that share the parameter, since they share a transform or synapse.
    """

    obj: NengoObject
    attribute: str
    others: tuple[NengoObject, ...] = ()

    @property
    def owners(self) -> tuple[NengoObject, ...]:
        """Tuple of nengo object: the object and those that share the parameter."""
        return self.obj, *self.others


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
        (n_neurons, dimensions), ``decoders`` (size_mid, n_neurons), ``transform`` in the shape
        of Nengo's transform (of a sparse one, the elements), and ``log_tau``, the logarithm of the
        time constant of a synapse (seconds).

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
        self._objects = _objects(network)
        self._names = labels.unique(self._objects)
        self._shared: dict[tuple[int, str], str] = {}  # by id of a transform or synapse
        self._tied: dict[str, str] = {}  # names that stand for another one
        for ensemble in network.all_ensembles:
            if not isinstance(ensemble.neuron_type, Direct):
                built = model.params[ensemble]
                self._add(ensemble, GAIN, built.gain)
                self._add(ensemble, BIAS, built.bias)
                self._add(ensemble, ENCODERS, built.encoders)
        for owner, connection in self._connections.items():
            self._add_connection(owner, connection)
            if type(connection.synapse) in (Lowpass, Alpha) and connection.synapse.tau > 0:
                is_default = connection.synapse is Connection.synapse.default
                source = None if is_default else connection.synapse
                self._add(owner, LOG_TAU, np.log(connection.synapse.tau), source)

    def _add(
        self,
        obj: NengoObject,
        attribute: str,
        value: np.ndarray,
        source: Transform | Lowpass | None = None,
    ) -> None:
        """Add a parameter, or share one of the same source and value."""
        name, key = self._name(obj, attribute), (id(source), attribute)
        same = self._shared.get(key) if source is not None else None
        if same is not None and np.array_equal(self.initial[same], value):
            known = self.known[same]
            self.known[same] = known._replace(others=(*known.others, obj))
            self._tied[name] = same
            return
        self._shared[key] = name
        self.known[name] = Parameter(obj, attribute)
        self.initial[name] = np.array(value, dtype=self._model.time.dtype)

    def _name(self, obj: NengoObject, attribute: str) -> str:
        name = f"{self._names[obj]}{SEPARATOR}{attribute}"
        return self._tied.get(name, name)

    def _add_connection(self, owner: NengoObject, connection: Connection) -> None:
        built, transform = self._model.params[connection], connection.transform
        if not _is_decoded(connection):
            if isinstance(transform, HAS_ARRAY):
                self._add(owner, TRANSFORM, built.weights, transform)
            elif isinstance(transform, Sparse):
                elements = elements_of(built.weights)
                if elements is not None:
                    self._add(owner, TRANSFORM, elements.data, transform)
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
        self._add(owner, TRANSFORM, matrix, transform)
        self._add(owner, DECODERS, decoders)

    def selected(self, trainable: Selection) -> frozenset[str]:
        """Return the names of parameters to train.

        Parameters
        ----------
        trainable : iterable of object or type, callable, or None
            Objects (networks stand for all that is in them), types of objects, or a function of
            object and attribute. None selects everything. Only a function selects gains, since they
            scale encoders and weights, which are selected, and time constants.

        Raises
        ------
        ValidationError
            If nothing is selected, an object is not in the network or has no parameters, or gains
            are selected of an ensemble whose encoders a learning rule changes.
        """
        if callable(trainable) and not isinstance(trainable, type):
            chosen = {
                name
                for name, each in self.known.items()
                if any(trainable(obj, each.attribute) for obj in each.owners)
            }
            self._check_gains(chosen)
        else:
            chosen = set()
            if trainable is None:
                chosen.update(self.known)
            elif isinstance(trainable, Network | NengoObject | type | str):
                trainable = [trainable]
            for wanted in trainable or ():
                chosen |= self._of(wanted)
            chosen = {name for name in chosen if self.known[name].attribute not in BY_FUNCTION}
        if not chosen:
            raise ValidationError("There are no parameters to train", attr="trainable")
        return frozenset(chosen)

    def _check_gains(self, chosen: Iterable[str]) -> None:
        """Gains are constants of a learning rule that changes encoders."""
        for obj, attribute, _ in map(self.known.__getitem__, chosen):
            if attribute == GAIN and not self._model.sig[obj]["encoders"].readonly:
                raise ValidationError(
                    f"The gains of {obj} cannot be trained: a learning rule changes its encoders",
                    attr="trainable",
                )

    def _of(self, wanted: object) -> set[str]:
        """Names of the parameters of an object, or of all objects of a type."""

        def is_wanted(obj: NengoObject) -> bool:
            return isinstance(obj, wanted) if isinstance(wanted, type) else obj in objects

        objects = set(wanted.all_objects) if isinstance(wanted, Network) else {wanted}
        found = {name for name, each in self.known.items() if any(map(is_wanted, each.owners))}
        if not any(self.known[name].attribute not in BY_FUNCTION for name in found):
            raise ValidationError(f"{wanted} has no parameters to train", attr="trainable")
        return found

    def forget_time_constants(self, trained: Iterable[str]) -> None:
        """Leave out time constants that are not trained: they are constants of the program."""
        for name in [name for name, each in self.known.items() if each.attribute == LOG_TAU]:
            if name not in trained:
                del self.known[name], self.initial[name]

    def time_constants(self) -> dict[Signal, str]:
        """Return the names of time constants by the signals that their synapses write."""
        return {
            self._model.sig[connection]["weighted"]: self._name(owner, LOG_TAU)
            for owner, connection in self._connections.items()
            if self._name(owner, LOG_TAU) in self.known
        }

    def kinds(self) -> dict[str, str]:
        """Return the attribute and shape of each parameter, by name."""
        return {
            name: f"{each.attribute} {self.initial[name].shape}"
            for name, each in self.known.items()
        }

    def recipes(self) -> Iterator[Recipe]:
        """Yield how each signal that depends on parameters is computed."""
        for ensemble in self.network.all_ensembles:
            if isinstance(ensemble.neuron_type, Direct):
                continue
            gain, bias, encoders = (self._name(ensemble, each) for each in (GAIN, BIAS, ENCODERS))
            signals = self._model.sig[ensemble]
            yield Recipe(self._model.sig[ensemble.neurons]["bias"], same, (bias,))
            yield Recipe(signals["encoders"], scaled, (encoders, gain), (ensemble.radius,))
        for owner, connection in self._connections.items():
            names = [self._name(owner, each) for each in (TRANSFORM, DECODERS)]
            names = [name for name in names if name in self.known]
            if names:
                compute = same if len(names) == 1 else self._product(names[0])
                yield Recipe(self._model.sig[connection]["weights"], compute, tuple(names))
            if connection in self._model.sig["gains"]:
                gain = self._name(connection.post_obj.ensemble, GAIN)
                index = np.arange(self.initial[gain].size)[connection.post_slice]
                yield Recipe(self._model.sig["gains"][connection], same, (gain,), (), index)

    def _product(self, transform: str) -> Compute:
        """How decoders are multiplied by a transform."""
        return in_rows if self.initial[transform].ndim < 2 else product

    def freeze(self, params: Mapping[str, np.ndarray], network: Network | None = None) -> None:
        """Write parameters into a network; see `Trainer.freeze_params`."""
        target = self.network if network is None else network
        others = self._counterparts(target)
        for obj, other in others.items():
            other.seed = self._model.seeds[obj]  # of what is drawn, such as the first voltages
        for name, each in self.known.items():
            self._write(each, [others[obj] for obj in each.owners], np.asarray(params[name]))

    def _counterparts(self, network: Network) -> dict[NengoObject, NengoObject]:
        """Return the objects of a network by those that have parameters here."""
        if not isinstance(network, Network):
            raise ValidationError(f"Must be a nengo.Network (got {network!r})", attr="net")
        theirs = _objects(network)
        for own, other in zip_longest(self._objects, theirs):
            if own is None or other is None or _sizes(own) != _sizes(other):
                raise ValidationError(
                    f"The network has other objects: {other} in place of {own}", attr="net"
                )
        return dict(zip(self._objects, theirs))

    def _write(self, known: Parameter, owners: list[NengoObject], value: np.ndarray) -> None:
        """Write a parameter into the objects of a network that share it, which go on to do so."""
        attribute, first = known.attribute, owners[0]
        if attribute == LOG_TAU:
            synapse = type(first.synapse)(float(np.exp(value)))
        elif attribute == TRANSFORM and isinstance(first.transform, Sparse):
            elements = elements_of(self._model.params[self._connections[known.obj]].weights)
            assert elements is not None, "else there is no such parameter"
            places = np.stack([elements.row, elements.col], axis=1)
            transform = Sparse(elements.shape, indices=places, init=value)
        elif attribute == TRANSFORM:
            transform = _with_array(first.transform, value)
        for owner in owners:
            if attribute == TRANSFORM:
                owner.transform = transform
            elif attribute == LOG_TAU:
                owner.synapse = synapse
            elif attribute == DECODERS:
                owner.solver = NoSolver(value.T)
            else:
                setattr(owner, attribute, value)
            if attribute == ENCODERS:
                owner.normalize_encoders = False
                owner.max_rates = Ensemble.max_rates.default  # gain and bias imply them
                owner.intercepts = Ensemble.intercepts.default


def _objects(network: Network) -> list[NengoObject]:
    return [*network.all_ensembles, *network.all_connections, *network.all_probes]


def _sizes(obj: NengoObject) -> tuple[object, ...]:
    """Return the type of an object, and what the shapes of its parameters depend on."""
    if isinstance(obj, Ensemble):
        return type(obj), obj.n_neurons, obj.dimensions
    if isinstance(obj, Connection):
        transform = obj.transform
        return type(obj), obj.size_in, obj.size_out, type(transform), transform.size_in
    return type(obj), obj.size_in


def _is_decoded(connection: Connection) -> bool:
    """Whether decoders compute what a connection transforms, found by a solver or given."""
    source = connection.pre_obj
    return isinstance(source, Ensemble) and not isinstance(source.neuron_type, Direct)


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
