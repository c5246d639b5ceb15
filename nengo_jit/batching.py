"""What users choose for a batch: seeds, parameters and inputs of its members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.exceptions import ValidationError
from nengo.transforms import SparseMatrix
from numpy.typing import ArrayLike

from nengo_jit.ir.given import Given
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal, is_sparse
from nengo_jit.planner import make_plan
from nengo_jit.planner.identity import Identity

Parameters = Mapping[object, Mapping[str, ArrayLike]]
Generators = list[list[dict[str, Any]]]  # by member: the states of generators, in nengo's order
OF_ENSEMBLES = ("bias", "encoders", "gain", "scaled_encoders")
OF_CONNECTIONS = ("weights",)


@dataclass(frozen=True)
class Batch:
    """The members of a batch, as users choose them.

    Parameters
    ----------
    n_members : int
        Number of members.
    seeds : sequence of int, optional
        Seed of each member; all have the simulator's by default.
    rebuild : bool
        Whether each member is built with its seed as the network's.
    parameters : dict of (object, dict of (str, array_like))
        Built parameters by member.

    Raises
    ------
    ValidationError
        If one of them is invalid by itself.
    """

    n_members: int
    seeds: tuple[int, ...] | None = None
    rebuild: bool = False
    parameters: Parameters = field(default_factory=dict)

    @property
    def seeds_of_runs(self) -> tuple[int, ...] | None:
        """Tuple of int or None: the seed of each run; nengo adds one to that of a network."""
        if self.seeds is None or not self.rebuild:
            return self.seeds
        return tuple((seed + 1) % 2**32 for seed in self.seeds)

    @classmethod
    def chosen(
        cls, batch: object, seeds: object, rebuild: bool, parameters: object
    ) -> Batch | None:
        """Check the arguments of a simulator; returns None without a batch."""
        if batch is None:
            given = {"seeds": seeds, "rebuild": rebuild or None, "parameters": parameters}
            for name in (name for name, value in given.items() if value is not None):
                raise ValidationError("Needs a batch: give its size, batch=...", attr=name)
            return None
        n_members = _whole(batch)
        if n_members is None or n_members < 1:
            raise ValidationError(
                f"Must be a positive whole number of members (got {batch!r})", attr="batch"
            )
        if rebuild and seeds is None:
            raise ValidationError("Needs the seeds of the networks: seeds=...", attr="rebuild")
        if not isinstance(parameters or {}, Mapping):
            raise ValidationError(
                f"Must be a dictionary from objects to parameters (got {parameters!r})",
                attr="parameters",
            )
        chosen: Any = parameters or {}
        return cls(n_members, seeds_of(seeds, n_members), rebuild, chosen)


def seeds_of(seeds: object, n_members: int) -> tuple[int, ...] | None:
    """Check the seeds of members; None stands for no seeds."""
    if seeds is None:
        return None
    if not isinstance(seeds, (Sequence, np.ndarray)) or isinstance(seeds, (str, bytes)):
        raise ValidationError(f"Must be a list of {n_members} integers (got {seeds!r})", "seeds")
    checked = [_whole(each) for each in seeds]
    wrong = [each for each, seed in zip(seeds, checked) if seed is None or not 0 <= seed < 2**32]
    if wrong:
        raise ValidationError(
            f"Must be integers from 0 to {2**32 - 1} (got {wrong[0]!r})", attr="seeds"
        )
    if len(checked) != n_members:
        raise ValidationError(
            f"Must be one for each of the {n_members} members (got {len(checked)})", attr="seeds"
        )
    return tuple(seed for seed in checked if seed is not None)


def _whole(value: Any) -> int | None:
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return index(value)
    except TypeError:
        return None


@dataclass(frozen=True)
class Variation:
    """What differs among the members of a batch from the start.

    Attributes
    ----------
    values : dict of (Signal, numpy.ndarray)
        Initial values of signals, with a leading axis for the members.
    built : dict of (object, tuple)
        Built parameters of objects, in which arrays that differ have such an axis.
    generators : list of list of dict
        States of the generators of neurons, for each member; empty if they do not differ.
    """

    values: dict[Signal, np.ndarray] = field(default_factory=dict)
    built: dict[object, Any] = field(default_factory=dict)
    generators: Generators = field(default_factory=list)

    def set(self, signal: Signal, values: np.ndarray) -> None:
        """Let members have initial values of their own; the signal is no constant any more."""
        signal.readonly = False
        self.values[signal] = values


def varied(batch: Batch, model: Model, build: Callable[[int], Model]) -> Variation:
    """Find what differs among members.

    Parameters
    ----------
    batch : Batch
        The members.
    model : Model
        The model that is built for the first member.
    build : callable
        Builds the network with another seed.

    Raises
    ------
    ValidationError
        If parameters are unknown or have another shape, or if the models of members differ in more
        than numbers.
    """
    variation = Variation()
    if batch.rebuild and batch.seeds is not None:
        _rebuild(batch.seeds, model, build, variation)
    for obj, parameters in batch.parameters.items():
        _set_parameters(obj, parameters, batch, model, variation)
    return variation


def _rebuild(
    seeds: Sequence[int], model: Model, build: Callable[[int], Model], variation: Variation
) -> None:
    """Build the network for each seed, and note how signals and parameters differ."""
    identity = Identity(make_plan(model))
    described = identity.describe()
    values = [[_numbers(base.initial_value)] for base in identity.bases]
    built = {obj: [value] for obj, value in model.params.items() if isinstance(value, tuple)}
    generators = [_generators(model)]
    for member, seed in enumerate(seeds[1:], start=1):
        other = build(seed)
        theirs = Identity(make_plan(other))
        if difference := _difference(described, theirs.describe(), identity):
            raise ValidationError(
                f"The network of member {member}, with the seed {seed}, {difference}: members may "
                "differ in numbers only",
                attr="rebuild",
            )
        for numbers, base in zip(values, theirs.bases):
            numbers.append(_numbers(base.initial_value))
        theirs_of = dict(zip(model.params, other.params.values()))  # probes make connections anew
        for obj, parameters in built.items():
            parameters.append(theirs_of[obj])
        generators.append(_generators(other))
    for base, numbers in zip(identity.bases, values):
        if any(not np.array_equal(numbers[0], each, equal_nan=True) for each in numbers[1:]):
            variation.set(base, np.stack(numbers))
    for obj, parameters in built.items():
        variation.built[obj] = _stacked(parameters)
    variation.generators.extend(generators if any(generators) else [])


def _difference(ours: dict[str, Any], theirs: dict[str, Any], identity: Identity) -> str | None:
    """Return how two models differ, besides the numbers in signals; None if they do not."""
    n_bases = len(identity.bases)
    values = np.concatenate([ours["values"][:n_bases], theirs["values"][n_bases:]])
    return identity.difference({**theirs, "values": values})


def _numbers(value: Any) -> np.ndarray:
    if isinstance(value, SparseMatrix):
        value = value.allocate()
    numbers: np.ndarray = value.data if is_sparse(value) else value
    return numbers


def _generators(model: Model) -> list[dict[str, Any]]:
    return [
        {name: each.get_state(legacy=False) for name, each in operator.state_extra.items()}
        for operator in make_plan(model).operators
        if isinstance(operator, SimNeurons) and operator.state_extra
    ]


def _stacked(built: Sequence[Any]) -> Any:
    """Return built parameters with a leading axis where they differ."""
    kind, columns = type(built[0]), zip(*built)
    return kind(*(_stacked_or_first(list(column)) for column in columns))


def _stacked_or_first(values: list[Any]) -> Any:
    first = values[0]
    are_arrays = all(isinstance(each, np.ndarray) for each in values)
    if not are_arrays or all(np.array_equal(first, each, equal_nan=True) for each in values[1:]):
        return first
    return np.stack(values) if len({each.shape for each in values}) == 1 else values


def _set_parameters(
    obj: Any, parameters: Any, batch: Batch, model: Model, variation: Variation
) -> None:
    """Check the parameters of an object, and set the signals that depend on them."""
    known: Sequence[str] = ()
    if isinstance(obj, nengo.Ensemble | nengo.Connection) and obj in model.params:
        known = OF_ENSEMBLES if isinstance(obj, nengo.Ensemble) else OF_CONNECTIONS
    if not known:
        raise _invalid(
            f"{obj!r} has no parameters here: give ensembles or connections of the model"
        )
    if not isinstance(parameters, Mapping):
        raise _invalid(f"{obj}: must be a dictionary from names to arrays (got {parameters!r})")
    for name in parameters:
        if name not in known:
            names = ", ".join(f"'{each}'" for each in known)
            raise _invalid(f"{obj} has no parameter {name!r}; it has: {names}")
    built = variation.built.get(obj, model.params[obj])
    once = model.params[obj]
    arrays = {
        name: _checked(value, obj, name, getattr(once, name), batch.n_members)
        for name, value in parameters.items()
    }
    if isinstance(obj, nengo.Connection):
        signals = {"weights": model.sig[obj]["weights"]}
        values = dict(arrays)
    else:
        if "scaled_encoders" in arrays and arrays.keys() & {"gain", "encoders"}:
            raise _invalid(
                f"{obj}: 'scaled_encoders' are encoders times gain: give one or the other"
            )
        signals, values = _of_ensemble(obj, arrays, built, model)
        arrays |= {name: values[name] for name in values.keys() & {"scaled_encoders"}}
    for name, signal in signals.items():
        if name not in values:
            continue
        if signal is None or signal.sparse:
            raise _invalid(f"{obj}: its {name} are not a matrix")
        if not signal.readonly and signal not in variation.values:
            raise _invalid(f"{obj}: its {name} change while it learns, and cannot be given")
        variation.set(signal, values[name].astype(signal.dtype))
    variation.built[obj] = built._replace(**arrays)


def _of_ensemble(
    ens: nengo.Ensemble, arrays: dict[str, np.ndarray], built: Any, model: Model
) -> tuple[dict[str, Signal], dict[str, np.ndarray]]:
    """Return the signals that depend on parameters of an ensemble, and the values of these."""
    signals = {
        "bias": model.sig[ens.neurons].get("bias"),
        "scaled_encoders": model.sig[ens]["encoders"],
    }
    values = {name: arrays[name] for name in signals.keys() & arrays.keys()}
    if arrays.keys() & {"gain", "encoders"}:
        gain = arrays.get("gain", built.gain)
        encoders = arrays.get("encoders", built.encoders)
        values["scaled_encoders"] = encoders * (gain / ens.radius)[..., np.newaxis]
    if "gain" in arrays:
        for conn, sig in model.sig.items():
            is_into_neurons = isinstance(conn, nengo.Connection) and "gains" in sig
            if is_into_neurons and conn.post_obj == ens.neurons:
                signals[str(conn)] = sig["gains"]
                values[str(conn)] = arrays["gain"][:, conn.post_slice]
    return signals, values


def _checked(value: Any, obj: object, name: str, built: Any, n_members: int) -> np.ndarray:
    """Check the numbers that a user has given for a parameter of all members."""
    if not isinstance(built, np.ndarray):
        raise _invalid(f"{obj} has no {name} that could differ among members")
    wanted = (n_members, *built.shape)
    array = numbers_in(value)
    if array is None:
        raise _invalid(f"{obj}: {name} must be numbers of shape {wanted} (got {value!r})")
    if array.shape != wanted:
        raise _invalid(f"{obj}: {name} must have the shape {wanted} (got {array.shape})")
    return array


def numbers_in(value: object) -> np.ndarray | None:
    """Return a user's value as an array of real numbers; None if it is none."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _invalid(reason: str) -> ValidationError:
    return ValidationError(reason, attr="parameters")


@dataclass(frozen=True)
class Members:
    """What is known of the members of a batch, once they are built.

    Attributes
    ----------
    batch : Batch
        What the user has chosen.
    variation : Variation
        How they differ from the start.
    outputs : dict of (nengo.Node, Signal)
        The outputs that users may give.
    given : dict of (nengo.Node, Given)
        The operators that output them.
    """

    batch: Batch
    variation: Variation
    outputs: dict[nengo.Node, Signal]
    given: dict[nengo.Node, Given]

    def seeds(self, seed: Any) -> tuple[int, ...]:
        """Return the seed of each member, from one for all or one for each."""
        n_members = self.batch.n_members
        seeds = [seed] * n_members if _whole(seed) is not None else seed
        return seeds_of(seeds, n_members) or ()

    def rows(self, inputs: object, n_steps: int | None) -> dict[Given, np.ndarray]:
        """Return what operators output for the inputs of a run, see `checked_inputs`."""
        checked = checked_inputs(inputs, self.outputs, self.batch.n_members, n_steps)
        return {self.given[node]: array for node, array in checked.items()}


def checked_inputs(
    inputs: object, outputs: Mapping[nengo.Node, Signal], n_members: int, n_steps: int | None
) -> dict[nengo.Node, np.ndarray]:
    """Check what a user gives for nodes.

    Parameters
    ----------
    inputs : dict of (nengo.Node, array_like)
        The arrays.
    outputs : dict of (nengo.Node, Signal)
        The outputs that can be given.
    n_members : int
        Number of members.
    n_steps : int or None
        Number of steps; None for one step, without an axis for it.

    Returns
    -------
    dict of (nengo.Node, numpy.ndarray)
        Contiguous arrays of shape ``(n_members, n_steps, size)``.

    Raises
    ------
    ValidationError
        If a node is unknown, or an array has another shape or is not of finite numbers.
    """
    if not isinstance(inputs, Mapping):
        raise ValidationError(
            f"Must be a dictionary from nodes to arrays (got {inputs!r})", attr="inputs"
        )
    checked = {}
    for node, value in inputs.items():
        if not isinstance(node, nengo.Node) or node not in outputs:
            raise ValidationError(f"{node!r} {_why_not(node)}", attr="inputs")
        signal = outputs[node]
        steps = () if n_steps is None else (n_steps,)
        wanted = (n_members, *steps, *signal.shape)
        array = numbers_in(value)
        if array is None:
            raise ValidationError(
                f"{node}: must be numbers of shape {wanted} (got {value!r})", attr="inputs"
            )
        if array.shape != wanted:
            raise ValidationError(
                f"{node}: must have the shape {wanted} (got {array.shape})", attr="inputs"
            )
        if not np.isfinite(array).all():
            raise ValidationError(f"{node}: must be finite numbers", attr="inputs")
        array = array.reshape(n_members, -1, *signal.shape)
        checked[node] = np.ascontiguousarray(array, signal.dtype)
    return checked


def _why_not(node: object) -> str:
    if not isinstance(node, nengo.Node):
        return "is no node"
    if node.output is None:
        return "only passes its input on: give the nodes that it comes from"
    return "is no node of this model with an output"


def outputs_of(model: Model) -> dict[nengo.Node, Signal]:
    """Return the outputs of all nodes that compute them or have a constant one."""
    nodes = (obj for obj in model.params if isinstance(obj, nengo.Node))
    found = {node: model.sig[node]["out"] for node in nodes if node.output is not None}
    return {node: signal for node, signal in found.items() if signal is not None and signal.size}
