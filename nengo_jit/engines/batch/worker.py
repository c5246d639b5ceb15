"""Workers: engines on which the members of a batch take turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from nengo import Probe

from nengo_jit.engines.base import Engine
from nengo_jit.engines.batch.memory import BatchMemory
from nengo_jit.engines.batch.objects import Located, States, objects_of, restore
from nengo_jit.engines.recorder import Clock
from nengo_jit.engines.state import Seed, State
from nengo_jit.engines.turns import Output, Rows
from nengo_jit.exceptions import add_context
from nengo_jit.ir.neurons import SimNeurons

Inputs = Mapping[Output, Rows]  # with values of shape (n_members, n_steps, size)


@dataclass
class Condition:
    """What the steps of a member depend on, besides its memory and the clock.

    Attributes
    ----------
    private : object
        From `Engine.private`.
    objects : States
        The states of Python objects.
    seed : int
        Seed of the latest reset.
    rng : numpy.random.RandomState or None
        Generator that operators draw from.
    """

    private: object = None
    objects: States = field(default_factory=dict)
    seed: Seed = None
    rng: np.random.RandomState | None = None

    def restore_objects(self) -> None:
        """Let Python objects have the states that they have for the member."""
        restore(self.objects)


class Worker:
    """An engine, and the members of the batch that it runs in turn.

    Parameters
    ----------
    engine : Engine
        The engine.
    members : sequence of int
        Numbers of the members.

    Attributes
    ----------
    engine, members
        As given.
    conditions : dict of (int, Condition)
        The condition of each member.
    """

    def __init__(self, engine: Engine, members: Sequence[int]):
        self.engine, self.members = engine, members
        engine.is_asked = engine.private() is not None  # else it looks for changes before a run
        self._blocks = engine.signals.blocks
        self._objects = objects_of(engine)
        first = Condition(objects=self._objects.save())
        self.conditions = dict.fromkeys(members, first)

    def warn(self) -> None:
        """Warn of Python objects that members will share though they should not."""
        self._objects.warn()

    def put(self, member: int, memory: BatchMemory, clock: Clock) -> None:
        """Continue from the state of a member."""
        engine, condition = self.engine, self.conditions[member]
        engine.recording.clock.set_to(clock)
        memory.load(member, self._blocks)
        engine.load_private(condition.private)
        engine.seed = condition.seed
        if condition.rng is not None:
            engine.rng = engine.drawn_from = condition.rng
        condition.restore_objects()

    def take(self, member: int, rows: Sequence[np.ndarray]) -> Condition:
        """Copy the memory of the engine to a member's rows; returns the member's condition."""
        self.engine.settle()
        for block, row in zip(self._blocks, rows):
            np.copyto(row[member, : block.size], block)
        engine = self.engine
        return Condition(engine.private(), self._objects.save(), engine.seed, engine.drawn_from)

    def give(self, member: int, inputs: Inputs) -> None:
        """Let nodes output the rows of a member."""
        for output, rows in inputs.items():
            values = None if rows.values is None else rows.values[member]
            self.engine.give(output, values, rows.first)

    def run(self, member: int, n_steps: int, samples: Mapping[Probe, np.ndarray]) -> None:
        """Run steps of a member, which errors name, and record into memory for each probe."""
        for probe, rows in samples.items():
            self.engine.recording.recorders[probe].record_into(rows)
        try:
            self.engine.run(n_steps)
        except Exception as error:
            add_context(error, f"It was member {member} of the batch.")
            raise

    def leave(self) -> tuple[Worker, int] | None:
        """Let Python objects be as the last member has left them, between runs.

        Returns
        -------
        tuple of (Worker, int) or None
            The worker and the member; None if there are no such objects.
        """
        last = self.members[-1]
        self.conditions[last].restore_objects()
        return (self, last) if self._objects else None

    def changes(self, member: int) -> list[Located]:
        """Return how Python objects differ from what a member has left."""
        return self._objects.changes(self.conditions[member].objects)

    def change(self, changes: Sequence[Located]) -> None:
        """Change the Python objects of all members."""
        self.conditions = {
            member: replace(each, objects=self._objects.changed(each.objects, changes))
            for member, each in self.conditions.items()
        }

    def set_generators(self, member: int, states: Sequence[Mapping[str, Any]]) -> None:
        """Set the generators of neurons of a member to states, in the order of the plan."""
        neurons = (each for each in self.engine.plan.operators if isinstance(each, SimNeurons))
        self.conditions[member].restore_objects()
        for operator, named in zip((each for each in neurons if each.state_extra), states):
            for name, state in named.items():
                operator.state_extra[name].set_state(state)
        condition = self.conditions[member]
        self.conditions[member] = replace(condition, objects=self._objects.save())

    def load(self, member: int, state: State, rows: Sequence[np.ndarray]) -> None:
        """Continue with a member from a state of the engine, which `Engine.state` returned."""
        self.conditions[member].restore_objects()
        self.engine.load_state(state, lambda: None)
        self._objects = objects_of(self.engine)
        self.conditions[member] = self.take(member, rows)

    def reset(self, seeds: Mapping[int, Seed], rows: Sequence[np.ndarray]) -> dict[int, Condition]:
        """Go back to the first step with all members, each with its seed; returns conditions.

        Members with equal seeds begin from copies of one state, if they take turns.
        """
        engine, made = self.engine, {}
        first_of: dict[Seed, int] = {}
        for member, seed in seeds.items():
            first = first_of.get(seed)
            if first is None or not engine.takes_turns:
                self.conditions[member].restore_objects()
                engine.reset(seed, lambda: None)
                if not engine.takes_turns:  # functions have been made anew
                    self._objects = objects_of(engine)
                made[member] = self.take(member, rows)
                first_of[seed] = member
            else:
                for block, row in zip(self._blocks, rows):
                    row[member, : block.size] = row[first, : block.size]
                objects = self.conditions[member].objects
                made[member] = replace(made[first], objects=objects)
        return made
