"""The state of an engine: what it holds, taken and given back.

A state is made of arrays, numbers, strings, lists and dictionaries, and has nothing of one engine:
what belongs to a signal or an operator goes by its place in the order of the plan, which is
nengo's.

- ``format``: the number of this format.
- ``model``: what the model is, see `nengo_jit.planner.identity`.
- ``seed``: of the latest reset. Together with the model it determines what processes draw when
  their steps are made.
- ``n_steps``: how many steps are complete.
- ``signals``: an array for each signal that can be written to; learned weights are among them. Of
  sparse matrices it has the stored numbers.
- ``generators``: states of NumPy's generators, as NumPy has them; by ``"3"`` for the process of the
  fourth operator, by ``"3/rng"`` for what the neurons of the fourth operator call ``rng``.
- ``rng``: the state of the generator that operators get from the simulator.
- ``hidden``: the operators whose steps may depend on something else, which a state cannot hold, see
  `nengo_jit.engines.hidden`. They go on from where their objects are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.exceptions import ValidationError

from nengo_jit.engines.hidden import hides_state
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.identity import Identity

FORMAT = 1
KEYS = {"format", "model", "seed", "n_steps", "signals", "generators", "rng", "hidden"}


@runtime_checkable
class GeneratorState(Protocol):
    """State of a generator of random numbers that an engine draws from by itself."""

    def load(self, rng: np.random.RandomState) -> None:
        """Go on from the state of ``rng``."""

    def give(self, rng: np.random.RandomState) -> None:
        """Let ``rng`` go on from this state."""


def take_state(engine: Any, identity: Identity) -> dict[str, Any]:
    """The state of an engine that has settled."""
    generators = {key: _state_of(each) for key, each in _generators(engine)}
    hidden = [
        str(operator)
        for number, operator in enumerate(engine.plan.operators)
        if hides_state(operator) or generators.get(str(number), ...) is None
    ]
    return {
        "format": FORMAT,
        "model": identity.describe(),
        "seed": engine.seed.item() if isinstance(engine.seed, np.generic) else engine.seed,
        "n_steps": engine.n_steps,
        "signals": [_numbers(engine.signals[each]).copy() for each in _writable(engine, identity)],
        "generators": generators,
        "rng": _state_of(engine.drawn_from),
        "hidden": hidden,
    }


def check_state(engine: Any, identity: Identity, state: Any) -> None:
    """Raise a ValidationError unless a state can be that of an engine."""
    if not (isinstance(state, dict) and state.keys() >= KEYS):
        raise ValidationError("This is not the state of a simulator", attr="state")
    if state["format"] != FORMAT:
        raise ValidationError(
            f"This state has the format {state['format']}; known is {FORMAT}", attr="state"
        )
    difference = identity.difference(state["model"])
    if difference is None:
        shapes = [_numbers(engine.signals[each]).shape for each in _writable(engine, identity)]
        if [np.shape(array) for array in state["signals"]] != shapes:
            difference = "has signals of other shapes"
    if difference is not None:
        raise ValidationError(
            f"This is the state of another model: the simulator's model {difference}", attr="state"
        )


def give_state(engine: Any, identity: Identity, state: dict[str, Any]) -> None:
    """Let an engine, which has been reset by the state's seed, go on from a state."""
    for signal, array in zip(_writable(engine, identity), state["signals"]):
        _numbers(engine.signals[signal])[...] = array
    for key, generator in _generators(engine):
        if key in state["generators"]:
            _set_state(generator, state["generators"][key])
    _set_state(engine.drawn_from, state["rng"])
    engine.recording.clock.n_steps = state["n_steps"]


def _writable(engine: Any, identity: Identity) -> list[Signal]:
    """Signals that can be written to, in an order that is the same on each engine."""
    known = (*identity.bases, *engine.buffers)
    return [signal for signal in known if not signal.is_view and not signal.readonly]


def _numbers(live: Any) -> np.ndarray:
    """Live numbers of a signal; those that are stored, if it is a sparse matrix."""
    return live if isinstance(live, np.ndarray) else live.data


def _generators(engine: Any) -> Iterator[tuple[str, Any]]:
    for number, operator in enumerate(engine.plan.operators):
        if operator in engine.generators:
            yield str(number), engine.generators[operator]
        if isinstance(operator, SimNeurons):
            for name, generator in operator.state_extra.items():
                yield f"{number}/{name}", generator


def _state_of(generator: Any) -> Any:
    """The state of a generator, of NumPy's kind; None for somebody else's."""
    if isinstance(generator, GeneratorState):
        rng = np.random.RandomState(0)
        generator.give(rng)
        generator = rng
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return None


def _set_state(generator: Any, state: Any) -> None:
    if state is None:
        return
    if isinstance(generator, GeneratorState):
        rng = np.random.RandomState(0)
        rng.set_state(state)
        generator.load(rng)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)
