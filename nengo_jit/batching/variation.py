"""How members of a batch differ from the start: by parameters, or since each is built anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import nengo
import numpy as np
from nengo.builder import Model
from nengo.exceptions import ValidationError
from nengo.transforms import SparseMatrix

from nengo_jit.batching.choice import Batch, numbers_in
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal, is_sparse
from nengo_jit.planner import make_plan
from nengo_jit.planner.identity import Identity

Generators = list[list[dict[str, Any]]]  # by member: the states of generators, in nengo's order
OF_ENSEMBLES = ("bias", "encoders", "gain", "scaled_encoders")
OF_CONNECTIONS = ("weights",)


class Change(NamedTuple):
    """A signal that a parameter sets, with its values for all members.

    Attributes
    ----------
    name : str
        What messages call it.
    signal : Signal or None
        The signal; None if the object has none.
    values : numpy.ndarray
        The values, with a leading axis for the members.
    """

    name: str
    signal: Signal | None
    values: np.ndarray


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
        changes = [Change(name, model.sig[obj][name], value) for name, value in arrays.items()]
    else:
        if "scaled_encoders" in arrays and arrays.keys() & {"gain", "encoders"}:
            raise _invalid(
                f"{obj}: 'scaled_encoders' are encoders times gain: give one or the other"
            )
        changes = _of_ensemble(obj, arrays, built, model)
        arrays |= {each.name: each.values for each in changes if each.name == "scaled_encoders"}
    for name, signal, values in changes:
        if signal is None or signal.sparse:
            raise _invalid(f"{obj}: its {name} are not a matrix")
        if not signal.readonly and signal not in variation.values:
            raise _invalid(f"{obj}: its {name} change while it learns, and cannot be given")
        variation.set(signal, values.astype(signal.dtype))
    variation.built[obj] = built._replace(**arrays)


def _of_ensemble(
    ens: nengo.Ensemble, arrays: dict[str, np.ndarray], built: Any, model: Model
) -> list[Change]:
    """Return what changes with the parameters of an ensemble."""
    changes = []
    if "bias" in arrays:
        changes.append(Change("bias", model.sig[ens.neurons].get("bias"), arrays["bias"]))
    scaled = arrays.get("scaled_encoders")
    if arrays.keys() & {"gain", "encoders"}:
        gain = arrays.get("gain", built.gain)
        encoders = arrays.get("encoders", built.encoders)
        scaled = encoders * (gain / ens.radius)[..., np.newaxis]
    if scaled is not None:
        changes.append(Change("scaled_encoders", model.sig[ens]["encoders"], scaled))
    if "gain" in arrays:
        for conn, signal in model.sig["gains"].items():
            if conn.post_obj == ens.neurons:
                gains = arrays["gain"][:, conn.post_slice]
                changes.append(Change("gains", signal, gains))
    return changes


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


def _invalid(reason: str) -> ValidationError:
    return ValidationError(reason, attr="parameters")
