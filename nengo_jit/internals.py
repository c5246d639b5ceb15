"""The private attributes of nengo's simulator, which third-party code uses.

nengo-loihi and nengo-gui read, call or override some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import nengo
import numpy as np
from nengo.exceptions import SimulationError

from nengo_jit.batching import Members
from nengo_jit.by_hand import StepsByHand
from nengo_jit.data import RawData
from nengo_jit.engines import Engine
from nengo_jit.ir.base import Operator, Step
from nengo_jit.planner import ProbePlan
from nengo_jit.turn import Turn

REPLACEABLE = ("step", "_probe", "_probe_step_time")  # nengo looks them up for each call
SEEN = {*REPLACEABLE, "_steps"}


class Internals(nengo.Simulator):
    """The undocumented part of a simulator.

    Attributes
    ----------
    ours : dict of (str, callable)
        The original methods that run a step. A method that differs has been replaced, by a subclass
        or by assignment, and has to be called.
    """

    ours: ClassVar[dict[str, Callable[..., object]]]
    seed: int
    _engine: Engine
    _turn: Turn
    _probes: tuple[ProbePlan, ...]
    _sim_data: RawData
    _step_order: list[Operator]
    _records_itself: bool
    _by_hand: StepsByHand | None
    _hand_set_time: float | None
    _members: Members | None

    @property
    def _n_steps(self) -> int:
        return self._engine.n_steps

    @_n_steps.setter
    def _n_steps(self, value: int) -> None:
        self._engine.recording.clock.n_steps = value

    @property
    def rng(self) -> np.random.RandomState:
        """numpy.random.RandomState: source of the seeds of processes without one, at reset."""
        return self._engine.rng

    @rng.setter
    def rng(self, value: np.random.RandomState) -> None:
        self._engine.rng = value  # until the next reset, as in nengo

    @property
    def _steps(self) -> Sequence[Step]:
        """List of callable: the functions that run a step, see `StepsByHand`.

        If the user changes or replaces the list, a step calls its functions, as in nengo.
        """
        if self._members is not None:
            raise SimulationError("The members of a batch have no common list of step functions")
        if self._by_hand is None:
            by_hand = StepsByHand(self._engine, self._turn.catch_up)
            by_hand.make(self._step_order, self.seed)
            self._by_hand = by_hand
        return self._by_hand.steps

    @_steps.setter
    def _steps(self, value: Sequence[Step]) -> None:
        if self._by_hand is None:
            self._by_hand = StepsByHand(self._engine, self._turn.catch_up, value)
        else:
            self._by_hand.steps = value

    @property
    def _time(self) -> float:
        return self._engine.time if self._hand_set_time is None else self._hand_set_time

    @_time.setter
    def _time(self, value: float) -> None:
        self._hand_set_time = value

    @property
    def _is_run_by_engine(self) -> bool:
        """Whether the engine may run many steps at once, without calls of Python between them."""
        return not (
            self._has_replaced("step")
            or self._records_itself
            or (self._by_hand is not None and not self._by_hand.do_what_the_engine_does)
        )

    def _has_replaced(self, *names: str) -> bool:
        """Whether a subclass or an assignment has replaced one of some methods."""
        own, kind = vars(self), type(self)
        return any(name in own or getattr(kind, name) is not self.ours[name] for name in names)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in SEEN:
            self._apply_replacement()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in SEEN:
            self._apply_replacement()

    def _apply_replacement(self) -> None:
        """Call replaced methods from the current step on."""
        if "_sim_data" in vars(self):  # the constructor has got that far
            self._see_replaced()
            self._engine.pause()

    def _see_replaced(self) -> None:
        """Stop recording in the engine if methods that record have been replaced."""
        if not self._records_itself and self._has_replaced("_probe", "_probe_step_time"):
            self._check_records()
            self._records_itself = True
            for probe, samples in self._engine.stop_recording().items():
                self._sim_data[probe] = samples

    def _check_records(self) -> None:
        """Raise ValidationError if probe data stream to disk, which the engine must record."""

    def _probe(self) -> None:
        """Record the samples that are due, after a step that the engine has not run.

        Subclasses that record by themselves override this method.
        """
        self._probe_step_time()
        for planned in self._probes:
            if planned.is_due(self.n_steps):
                sample = self._engine.signals[planned.signal].copy()
                self._sim_data[planned.probe].append(sample)

    def _probe_step_time(self) -> None:
        """Read the number of steps from the signal that counts them."""
        self._engine.read_clock()


PROBE, PROBE_STEP_TIME = Internals._probe, Internals._probe_step_time
