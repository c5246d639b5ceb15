"""Run the steps of a simulator: on its engine, or one by one if methods have been replaced."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from operator import index
from typing import Any, TypeAlias

import nengo
import numpy as np
from nengo.exceptions import ValidationError
from nengo.utils.progress import Progress, ProgressBar, ProgressTracker
from numpy.typing import ArrayLike

from nengo_jit.checkpointing import Checkpointed, PathLike
from nengo_jit.engines.batch import BatchEngine
from nengo_jit.engines.turns import Output
from nengo_jit.inspection import Inspectable
from nengo_jit.internals import PROBE, PROBE_STEP_TIME
from nengo_jit.persistence.periodic import Writer

logger = logging.getLogger(__name__)

Inputs: TypeAlias = Mapping[nengo.Node, ArrayLike]


class Running(Inspectable, Checkpointed):
    """The part of a simulator that runs steps."""

    def run(
        self,
        time_in_seconds: float,
        progress_bar: bool | ProgressBar | None = None,
        *,
        inputs: Inputs | None = None,
        checkpoint: PathLike | None = None,
        every: int | str | None = None,
    ) -> None:
        """Simulate for a given time, rounded to the nearest step.

        Parameters
        ----------
        time_in_seconds : float
            Duration (seconds of simulated time), not negative.
        progress_bar : bool or nengo.utils.progress.ProgressBar, optional
            Overrides the simulator's ``progress_bar``.
        inputs : dict of (nengo.Node, (batch, steps, size) array_like), optional
            For the members of a batch, what nodes output in each of these steps. The functions of
            these nodes are not called.
        checkpoint : str or os.PathLike, optional
            File for checkpoints, from time to time, at the end, and if Ctrl-C ends the run: after
            the current step, while a second Ctrl-C ends it at once. The last two are kept, and
            `resume` continues from the newest one.
        every : int or str, optional
            How often: a number of steps, or a time such as "30 s", "2 h" or "10 s simulated". By
            default every five minutes, or less often if it would take a hundredth of the run.

        Raises
        ------
        OSError
            If a checkpoint, or samples, cannot be written. What was there before is whole.
        SimulationError
            If a function returns None or a value that is not a finite number.
        SimulatorClosed
            If the simulator is closed, or another thread closes it during the run.
        ValidationError
            If the time is negative, inputs have another shape, ``every`` is no such time, the path
            has the checkpoint of another simulation, or another simulator writes to it.
        """
        if time_in_seconds < 0:
            raise ValidationError(
                f"Must be positive (got {time_in_seconds:g})", attr="time_in_seconds"
            )
        steps = int(np.round(float(time_in_seconds) / self.dt))
        if steps == 0:
            warnings.warn(
                f"{time_in_seconds} results in running for 0 timesteps. Simulator still at time "
                f"{self.time}.",
                stacklevel=2,
            )
        else:
            logger.info(
                "Running %s for %f seconds, or %d steps", self.model.label, time_in_seconds, steps
            )
            given = {"inputs": inputs, "checkpoint": checkpoint, "every": every}
            # a subclass may override it, with nengo's arguments
            others: dict[str, Any] = {
                name: value for name, value in given.items() if value is not None
            }
            self.run_steps(steps, progress_bar=progress_bar, **others)

    def run_steps(
        self,
        steps: int,
        progress_bar: bool | ProgressBar | None = None,
        *,
        inputs: Inputs | None = None,
        checkpoint: PathLike | None = None,
        every: int | str | None = None,
    ) -> None:
        """Simulate a given number of steps.

        Parameters
        ----------
        steps : int
            Number of steps.
        progress_bar : bool or nengo.utils.progress.ProgressBar, optional
            Overrides the simulator's ``progress_bar``.
        inputs, checkpoint, every : optional
            See `run`.

        Raises
        ------
        OSError, SimulationError, SimulatorClosed, ValidationError
            See `run`.
        TypeError
            If the number is not an integer.
        """
        steps = index(steps)
        bar = self.progress_bar if progress_bar is None else progress_bar
        self._see_replaced()
        if inputs is not None:
            rows = self._rows_of(inputs, steps)
            self._turn.hold(self._run_given, rows, self._run_steps, steps, bar, checkpoint, every)
        elif self._is_run_by_engine:
            self._turn.hold(self._run_steps, steps, bar, checkpoint, every)
        else:  # other threads may take turns between steps
            self._run_steps(steps, bar, checkpoint, every)

    def _rows_of(self, inputs: Inputs, n_steps: int | None) -> dict[Output, np.ndarray]:
        """Check inputs, and return what nodes output for them."""
        if self._members is None:
            raise ValidationError("Needs a batch: Simulator(network, batch=...)", attr="inputs")
        return self._members.rows(inputs, n_steps)

    def _run_given(
        self, rows: dict[Output, np.ndarray], run: Callable[..., None], *arguments: object
    ) -> None:
        """Call a function that runs steps, in which nodes output rows."""
        self._check_open("run")
        assert isinstance(self._engine, BatchEngine)
        self._engine.set_inputs(rows)
        try:
            run(*arguments)
        finally:
            self._engine.set_inputs({})

    def _run_steps(
        self,
        steps: int,
        bar: bool | ProgressBar,
        checkpoint: PathLike | None,
        every: int | str | None,
    ) -> None:
        self._check_open("run")
        writer = self._writer(checkpoint, every)
        tracker = ProgressTracker(bar, Progress("Simulating", "Simulation", steps))
        with writer or nullcontext(), tracker:
            done = self._run_pieces(steps, tracker, writer)
            for _ in range(steps - done):
                self.step()
                tracker.total_progress.step()
                self._keep_up(writer)
            self._finish(writer)

    def _run_pieces(self, steps: int, tracker: ProgressTracker, writer: Writer | None) -> int:
        """Run steps on the engine while it may run them; return their number."""
        done = left = 0
        while done < steps and self._is_run_by_engine:
            self._check_open("run")  # another thread may have closed it
            if left == 0:
                left = min(steps - done, self._steps_left(writer))
                pieces = self._engine.pieces(left)
            n_done = next(pieces)
            left -= n_done
            if self._records_itself:  # from this step on
                self._probe()
            done += n_done
            tracker.total_progress.step(n_done)
            self._keep_up(writer)
        return done

    def step(self, *, inputs: Inputs | None = None) -> None:
        """Simulate one step; for errors see `run`.

        Parameters
        ----------
        inputs : dict of (nengo.Node, (batch, size) array_like), optional
            For the members of a batch, what nodes output in this step.
        """
        if inputs is None:
            self._turn.hold(self._step)
        else:
            self._turn.hold(self._run_given, self._rows_of(inputs, None), self._step)

    def _step(self) -> None:
        if self.closed:
            self._check_open("run")
        by_hand = self._by_hand
        if by_hand is None or by_hand.do_what_the_engine_does:
            kind = type(self)
            if kind._probe is not PROBE or kind._probe_step_time is not PROBE_STEP_TIME:
                self._see_replaced()
            self._engine.run(1)
            if self._records_itself:
                self._probe()
            if self._stream is not None:
                self._stream.after_piece()
        else:
            self._check_records()
            self._engine.check_usable()
            by_hand.carry_out()
            self._probe()
