"""The state of an engine: save it, and restore it.

A state consists of arrays, numbers, strings, lists and dictionaries, and is independent of the
engine: signals and operators are identified by their position in the order of the plan, which is
nengo's.

- ``format``: number of this format.
- ``model``: identity of the model, see `nengo_jit.planner.identity`.
- ``seed``: seed of the latest reset. With the model, it determines what processes draw when their
  steps are made.
- ``n_steps``: number of completed steps.
- ``signals``: an array for each writable signal, including learned weights. For sparse matrices, it
  has the stored numbers.
- ``generators``: states of generators, in NumPy's form; the key is ``"3"`` for the process of the
  fourth operator, and ``"3/rng"`` for the attribute ``rng`` of the neurons of the fourth operator.
- ``rng``: state of the generator that operators get from the simulator.
- ``kept``: results that the engine computes from those of the step before; the key is ``"3"`` for
  the fourth operator. Other engines, and states without it, differ by rounding errors.
- ``objects``: what objects that save themselves have returned; the key is ``"3/0"`` for the first
  such object of the fourth operator, see `nengo_jit.engines.hidden`.
- ``hidden``: operators whose steps may depend on more than a state can hold. Their objects are left
  as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, Protocol, TypeAlias, runtime_checkable

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.exceptions import ValidationError

from nengo_jit.engines.hidden import changeable, changeable_of, hides_state, lasts, roots_of
from nengo_jit.engines.recording import Recording
from nengo_jit.exceptions import add_context
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.identity import Identity
from nengo_jit.planner.plan import Plan

State: TypeAlias = dict[str, Any]
Seed: TypeAlias = int | np.integer | None

FORMAT = 1
KEYS = {"format", "model", "seed", "n_steps", "signals", "generators", "rng", "hidden"}


@runtime_checkable
class GeneratorState(Protocol):
    """State of a generator of random numbers in an engine's own form."""

    def load(self, rng: np.random.RandomState) -> None:
        """Continue from the state of ``rng``."""

    def give(self, rng: np.random.RandomState) -> None:
        """Set ``rng`` to this state."""


class Stateful(Protocol):
    """The attributes of an `Engine` that make up its state."""

    plan: Plan
    signals: SignalDict
    buffers: list[Signal]
    generators: dict[Operator, object]
    recording: Recording
    seed: Seed
    drawn_from: np.random.RandomState
    broken: str | None

    @property
    def kept(self) -> dict[Operator, list[np.ndarray]]:
        """Dict of (Operator, list of numpy.ndarray): see `Engine.kept`."""

    @property
    def n_steps(self) -> int:
        """int: number of completed steps since the last reset."""

    @property
    def python_steps(self) -> dict[Operator, Step]:
        """Dict of (Operator, callable): see `Engine.python_steps`."""


def take_state(engine: Stateful, identity: Identity) -> State:
    """The state of an engine, after `Engine.settle`."""
    generators = {key: _state_of(each) for key, each in _generators(engine)}
    steps = engine.python_steps
    hidden = [
        str(operator)
        for number, operator in enumerate(engine.plan.operators)
        if hides_state(operator, steps.get(operator), _memory(engine, operator))
        or generators.get(str(number), ...) is None
    ]
    objects = {key: saved_object(operator, each) for key, operator, each in _objects(engine)}
    return {
        "format": FORMAT,
        "model": identity.describe(),
        "seed": engine.seed.item() if isinstance(engine.seed, np.generic) else engine.seed,
        "n_steps": engine.n_steps,
        "signals": [_numbers(engine.signals[each]).copy() for each in _writable(engine, identity)],
        "generators": generators,
        "rng": _state_of(engine.drawn_from),
        "kept": {key: [each.copy() for each in arrays] for key, arrays in _kept(engine)},
        "objects": objects,
        "hidden": hidden,
    }


def check_state(engine: Stateful, identity: Identity, state: object) -> None:
    """Raise a ValidationError if an object is no state that an engine can have."""
    if not (isinstance(state, dict) and state.keys() >= KEYS):
        raise ValidationError("This is not the state of a simulator", attr="state")
    if state["format"] != FORMAT:
        raise ValidationError(
            f"This state has the format {state['format']}; supported is {FORMAT}", attr="state"
        )
    difference = identity.difference(state["model"])
    if difference is None:
        shapes = [_numbers(engine.signals[each]).shape for each in _writable(engine, identity)]
        if [np.shape(array) for array in state["signals"]] != shapes:
            difference = "has signals of other shapes"
    if difference is None and engine.broken is None:  # else functions have not been made
        operators = engine.plan.operators
        ours = {key for key, *_ in _objects(engine)}
        saved = state.get("objects", dict.fromkeys(ours)).keys()
        for key in sorted(saved ^ ours, key=_place):
            has = "has another" if key in ours else "lacks an"
            difference = f"{has} object that saves its state in {operators[_place(key)[0]]}"
            break
    if difference is not None:
        raise ValidationError(
            f"This is the state of another model: the simulator's model {difference}", attr="state"
        )


def give_state(engine: Stateful, identity: Identity, state: State) -> None:
    """Restore a state in an engine that has been reset with its seed."""
    for signal, array in zip(_writable(engine, identity), state["signals"]):
        _numbers(engine.signals[signal])[...] = array
    for key, generator in _generators(engine):
        if key in state["generators"]:
            _set_state(generator, state["generators"][key])
    for key, arrays in _kept(engine):
        saved = state.get("kept", {}).get(key, [])
        if [each.shape for each in saved] == [each.shape for each in arrays]:
            for array, numbers in zip(arrays, saved):
                array[...] = numbers
    _set_state(engine.drawn_from, state["rng"])
    for key, operator, each in list(_objects(engine)):
        if key in state.get("objects", {}):  # earlier versions did not save them
            restore_object(operator, each, state["objects"][key])
    engine.recording.clock.n_steps = state["n_steps"]


def _writable(engine: Stateful, identity: Identity) -> list[Signal]:
    """Writable signals, in an order that is the same on each engine."""
    known = (*identity.bases, *engine.buffers)
    return [signal for signal in known if not signal.is_view and not signal.readonly]


def _numbers(live: Any) -> np.ndarray:
    """Live numbers of a signal; if it is a sparse matrix, the stored ones."""
    numbers: np.ndarray = live if isinstance(live, np.ndarray) else live.data
    return numbers


def _generators(engine: Stateful) -> Iterator[tuple[str, object]]:
    """Generators of processes and neurons, by their keys in a state."""
    for number, operator in enumerate(engine.plan.operators):
        if operator in engine.generators:
            yield str(number), engine.generators[operator]
        if isinstance(operator, SimNeurons):
            for name, generator in operator.state_extra.items():
                yield f"{number}/{name}", generator


def _memory(engine: Stateful, operator: Operator) -> list[np.ndarray]:
    signals = (*operator.all_signals, *engine.buffers)
    return [_numbers(engine.signals[each]) for each in signals]


def _objects(engine: Stateful) -> Iterator[tuple[str, Operator, object]]:
    """Objects that save their state, by their keys in a state, with an operator that uses each."""
    steps = engine.python_steps
    ours = {id(each) for each in (engine.drawn_from, *engine.generators.values())}
    for number, operator in enumerate(engine.plan.operators):
        found = changeable_of(operator, steps.get(operator), _memory(engine, operator))
        lasting = (each for each in found if lasts(each) and id(each) not in ours)
        for place, each in enumerate(lasting):
            yield f"{number}/{place}", operator, each


def objects_in_steps(
    engine: Stateful, operators: Iterable[Operator] | None = None
) -> tuple[list[tuple[Operator, object]], list[np.ndarray]]:
    """Return the objects that steps use directly, if they or what they refer to may change.

    Parameters
    ----------
    engine : Stateful
        The engine.
    operators : iterable of Operator, optional
        The operators whose steps count; by default all of the plan.

    Returns
    -------
    list of (Operator, object)
        Each object with an operator: the user's, see `roots_of`, and generators in Python.
    list of numpy.ndarray
        Arrays that they refer to, and that are the memory of signals.
    """
    steps = engine.python_steps
    generators = [*engine.generators.items(), (engine.plan.operators[0], engine.drawn_from)]
    found = {id(each): (op, each) for op, each in generators if not _is_native(each)}
    memory: list[np.ndarray] = []
    for operator in engine.plan.operators if operators is None else operators:
        objects = []
        for root in roots_of(operator, steps.get(operator)):
            parts = [*changeable(root)]
            objects += [root] if parts else []
            arrays = [each for each in parts if isinstance(each, np.ndarray)]
            own = _memory(engine, operator) if arrays else []
            memory += [each for each in arrays if any(np.may_share_memory(each, a) for a in own)]
        if isinstance(operator, SimNeurons):
            objects += operator.state_extra.values()
        found.update({id(each): (operator, each) for each in objects})
    return list(found.values()), memory


def _is_native(generator: object) -> bool:
    return isinstance(generator, GeneratorState)


def _place(key: str) -> tuple[int, int]:
    number, place = key.split("/")
    return int(number), int(place)


def saved_object(operator: Operator, value: Any) -> object:
    """State of an object that saves itself."""
    known = _state_of(value)
    if known is not None:
        return known
    try:
        return _copied(value.state())
    except Exception as error:
        add_context(error, f"This happened while the state of {value!r} was saved, in {operator}.")
        raise


def restore_object(operator: Operator, value: Any, state: Any) -> None:
    """Give an object a state that `saved_object` has returned."""
    if _state_of(value) is not None:
        _set_state(value, state)
        return
    try:
        value.load_state(_copied(state))
    except Exception as error:
        add_context(error, f"This happened while {value!r} loaded its state, in {operator}.")
        raise


def _copied(value: object) -> object:
    """Copy a state of a user's object; TypeError if it contains anything that cannot be saved."""
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufcSUmM":
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(map(_copied, value)) if type(value) in (list, tuple) else _refuse(value)
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _copied(each) for key, each in value.items()}
    return _refuse(value)


def _refuse(value: object) -> NoReturn:
    raise TypeError(
        "A state must consist of arrays, numbers, strings, lists, tuples, and dictionaries whose "
        f"keys are strings; {value!r} is none of these"
    )


def _kept(engine: Stateful) -> Iterator[tuple[str, list[np.ndarray]]]:
    """What an engine keeps for operators, by their keys in a state."""
    kept = engine.kept
    for number, operator in enumerate(engine.plan.operators):
        if operator in kept:
            yield str(number), kept[operator]


def _state_of(generator: object) -> Mapping[str, object] | None:
    """State of a generator, in NumPy's form; None for a third-party generator."""
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, GeneratorState):
        rng = np.random.RandomState(0)
        generator.give(rng)
        return rng.get_state(legacy=False)
    return None


def _set_state(generator: object, state: dict[str, Any] | None) -> None:
    if state is None:
        return
    if isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, GeneratorState):
        rng = np.random.RandomState(0)
        rng.set_state(state)
        generator.load(rng)
