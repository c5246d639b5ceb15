"""The base class of engines that run the members of a batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from nengo_jit.engines.base import LOADING_INTERRUPTED, RESET_INTERRUPTED, Engine
from nengo_jit.engines.batch.memory import BatchMemory
from nengo_jit.engines.state import FORMAT, Seed, State
from nengo_jit.engines.turns import Output
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner.plan import Plan


class BatchEngine(Engine):
    """Runs the members of a batch; see `Engine`.

    Signals, samples and states have a leading axis for the members.

    Parameters
    ----------
    plan : Plan
        The plan.
    options : Options
        The user's options.
    n_members : int
        Number of members.
    values : dict of (Signal, numpy.ndarray)
        Initial values by member, for signals that are not read-only.

    Attributes
    ----------
    n_members : int
        Number of members.
    seeds : tuple of int
        Seed of each member at the latest reset.
    """

    signals: BatchMemory

    def __init__(
        self, plan: Plan, options: Options, n_members: int, values: Mapping[Signal, np.ndarray]
    ):
        self.n_members = n_members
        super().__init__(plan, options)
        self._values = values
        self.seeds: tuple[Seed, ...] = (None,) * n_members

    def reset(self, seed: Seed, clear: Callable[[], None] | None = None) -> None:
        self.reset_each((seed,) * self.n_members, clear)

    def reset_each(self, seeds: tuple[Seed, ...], clear: Callable[[], None] | None = None) -> None:
        """Go back to the state before the first step, with a seed for each member; see `reset`."""
        self.check_idle("reset")
        self.settle()
        self.broken = RESET_INTERRUPTED
        self.begin_members(seeds)
        for signal, values in self._values.items():
            self.signals[signal] = values
        self.seed, self.seeds = (seeds[0] if len(set(seeds)) == 1 else None), seeds
        self.recording.clock.n_steps = 0
        (clear or self.clear_samples)()
        self.broken = None

    @abstractmethod
    def begin_members(self, seeds: Sequence[Seed]) -> None:
        """Get ready for the first step of all members, each with its seed; see `Engine.begin`."""

    @abstractmethod
    def set_generators(self, states: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        """Set the generators of neurons to states, by member and in the order of the plan.

        No states leave them as they are.
        """

    @abstractmethod
    def set_inputs(self, inputs: Mapping[Output, np.ndarray]) -> None:
        """Set the rows that nodes output from the next step on.

        Parameters
        ----------
        inputs : dict of (Output, numpy.ndarray)
            Contiguous arrays ``(n_members, n_steps, size)``. Other nodes output what they compute.
        """

    def state(self) -> State:
        self.check_usable()
        self._check_between_runs("taken")
        self.settle()
        states = self.states_of_members()
        models = [each.pop("model") for each in states]  # the same for all
        return {
            "format": FORMAT,
            "model": models[0],
            "seed": self.seed,
            "n_steps": self.n_steps,
            "members": states,
            "hidden": sorted({name for each in states for name in each["hidden"]}),
        }

    @abstractmethod
    def states_of_members(self) -> list[State]:
        """Return the state of each member, as that of a simulation of its own."""

    def check_loadable(self, state: Any) -> None:
        self._check_between_runs("loaded")
        members = state.get("members") if isinstance(state, dict) else None
        if not isinstance(members, list) or "model" not in state:
            raise ValidationError("This is not the state of a batch", attr="state")
        if len(members) != self.n_members:
            raise ValidationError(
                f"This is the state of a batch of {len(members)} members, not {self.n_members}",
                attr="state",
            )
        self.check_states(_states_in(state))

    @abstractmethod
    def check_states(self, states: Sequence[State]) -> None:
        """Raise a ValidationError if members cannot have these states."""

    def load_state(self, state: State, clear: Callable[[], None] | None = None) -> None:
        self.check_loadable(state)
        self.settle()
        self.broken = LOADING_INTERRUPTED
        self.load_states(_states_in(state))
        self.seed = state["seed"]
        self.seeds = tuple(each["seed"] for each in state["members"])
        self.recording.clock.n_steps = state["n_steps"]
        (clear or self.clear_samples)()
        self.broken = None

    @abstractmethod
    def load_states(self, states: Sequence[State]) -> None:
        """Let members continue from the states of `states_of_members`."""

    def check_idle(self, what: str) -> None:
        """Raise a SimulationError within a step; `what` says what cannot be done then."""
        if self.is_running:
            raise SimulationError(f"A batch cannot be {what} by a function in a step.")

    def steps_in_memory(self) -> int:
        n_steps: int = self.signals[self.plan.step].flat[0].item()
        return n_steps


def _states_in(state: State) -> list[State]:
    """Return the states of members in that of a batch."""
    return [{**each, "model": state["model"]} for each in state["members"]]
