"""The members of a batch: what each has of its own, besides its rows in the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from nengo_jit.engines.batch.objects import Objects, States, restore
from nengo_jit.engines.jax.made import Made
from nengo_jit.engines.recording import Recording
from nengo_jit.engines.state import Seed, objects_in_steps
from nengo_jit.exceptions import add_context
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan


@dataclass
class Member:
    """A member; its state is that of a simulation, see `nengo_jit.engines.state.Stateful`.

    Attributes
    ----------
    number : int
        Its number.
    plan : Plan
        The plan.
    signals : SignalDict
        Memory for one member, which all use in turn.
    buffers : list of Signal
        See `Engine`.
    recording : Recording
        The recording of the batch.
    made : Made
        Its steps in Python, and what draws.
    seed, drawn_from, generators
        See `Engine`.
    objects : Objects
        Python objects that all members use, and that have a state for each.
    saved : States
        The states that the objects have for this member.
    """

    number: int
    plan: Plan
    signals: SignalDict
    buffers: list[Signal]
    recording: Recording
    made: Made = field(default_factory=Made)
    seed: Seed = None
    drawn_from: np.random.RandomState = field(default_factory=lambda: np.random.RandomState(0))
    generators: dict[Operator, object] = field(default_factory=dict)
    objects: Objects = field(default_factory=lambda: Objects([]))
    saved: States = field(default_factory=dict)
    broken: str | None = None

    @property
    def kept(self) -> dict[Operator, list[np.ndarray]]:
        """Dict of (Operator, list of numpy.ndarray): see `Engine.kept`."""
        return {}

    @property
    def n_steps(self) -> int:
        """int: number of completed steps since the last reset."""
        return self.recording.clock.n_steps

    @property
    def python_steps(self) -> dict[Operator, Step]:
        """Dict of (Operator, callable): see `Engine.python_steps`."""
        return self.made.python

    def restore_objects(self) -> None:
        """Let Python objects have the states that they have for this member."""
        restore(self.saved)

    def save_objects(self) -> None:
        """Save the states that Python objects have now."""
        self.saved = self.objects.save()

    def find_objects(self, operators: Iterable[Operator]) -> None:
        """Find the Python objects that operators use, and save their states."""
        found, memory = objects_in_steps(self, operators)
        self.objects = Objects(found, [*memory, self.drawn_from, *self.generators.values()])
        self.save_objects()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Context for calls of Python on behalf of this member, which errors name."""
        if self.saved:
            self.restore_objects()
        try:
            yield
        except Exception as error:
            add_context(error, f"It was member {self.number} of the batch.")
            raise
        finally:
            if self.objects:
                self.save_objects()
