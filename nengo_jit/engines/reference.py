"""The reference engine: every operator's ``make_step`` in NumPy, one after the other.

It is the oracle that other engines are tested against: what an operator does is what it does
here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from nengo_jit.engines.base import RESET_INTERRUPTED, RUN_LOST, Engine
from nengo_jit.engines.recording import Recording
from nengo_jit.exceptions import add_context
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.planner.plan import Plan


class ReferenceEngine(Engine):
    """Runs a plan in NumPy; see `Engine`.

    Parameters
    ----------
    plan : Plan
        What to run.
    progress : nengo.utils.progress.Progress, optional
        Not used: there is nothing to wait for.
    threads : int, optional
        Not used: there is one.
    compile_python : bool
        Not used: nothing is compiled.
    """

    name: ClassVar[str] = "reference"

    def __init__(
        self,
        plan: Plan,
        progress: Any = None,
        threads: int | None = None,
        compile_python: bool = True,
    ):
        super().__init__(plan)
        self.signals = SignalDict(
            signal for operator in plan.operators for signal in operator.all_signals
        )
        for operator in plan.operators:  # third-party operators may ask for buffers
            operator.init_signals(self.signals)
        self.recording = Recording(plan.probes, self.signals)
        self._steps: list[tuple[Operator, Step]] = []
        self._is_running = self._is_paused = False
        self._error: Exception | None = None  # which ends the run
        SimNeurons.engines.add(self)

    def reset(self, seed: int, clear: Callable[[], None] | None = None) -> None:
        self.broken = RESET_INTERRUPTED
        for signal in list(self.signals):
            self.signals.reset(signal)
        rng = self.rng = np.random.RandomState(seed)
        self._steps = []
        operator = None
        try:
            for operator in self.plan.operators:  # processes draw their seeds here, in this order
                step = operator.make_step(self.signals, self.plan.dt, rng)
                self._steps.append((operator, step))
        except Exception as error:
            add_context(error, self.not_ready(operator))
            raise
        self.read_clock()
        (clear or self.clear_samples)()
        self.broken = None

    def neurons_replaced(self, operator: SimNeurons) -> None:
        for i, (each, _) in enumerate(self._steps):
            if each is operator:  # whose turn in this step may be still to come
                rng = np.random.RandomState(0)  # which neurons do not draw from
                self._steps[i] = operator, operator.make_step(self.signals, self.plan.dt, rng)

    @property
    def python_steps(self) -> dict[Operator, Step]:
        return dict(self._steps)

    def run(self, n_steps: int) -> int:
        self.check_usable()
        is_within, self._is_running = self._is_running, True
        n_done = 0
        try:
            with np.errstate(invalid="raise", divide="ignore"):
                while n_done < n_steps and not self._is_paused:
                    self._run_step()
                    self.settle()
                    n_done += 1
        finally:
            self._is_running = is_within
            self._is_paused = self._is_paused and is_within
            self.settle()
        return n_done

    def pause(self) -> None:
        self._is_paused = self._is_running

    @property
    def is_running(self) -> bool:
        return self._is_running

    def abandon(self, error: Exception) -> None:
        self._error = error

    def lose_run(self) -> None:
        self._is_running, self.broken = False, RUN_LOST

    def settle(self) -> None:
        if self.recording.clock.calls:
            self.recording.deliver()

    def _run_step(self) -> None:
        ticks = self.recording.clock.ticks
        self.signals.save()
        operator = None
        try:
            for operator, step in self._steps:
                step()
                if self._error is not None:
                    raise self._error
            self._complete_step()
        except BaseException as error:  # Ctrl-C too, which may come between two operators
            self._error = None
            if self.recording.clock.ticks == ticks:
                self.signals.restore()
                add_context(error, self.failed_in(operator))
            raise

    def _complete_step(self) -> None:
        n_steps = self.signals[self.plan.step].item()
        for planned, recorder in zip(self.plan.probes, self.recording.recorders.values()):
            if planned.is_due(n_steps):
                recorder.write()
            else:
                recorder.skip()
        self.recording.clock.complete(n_steps)
