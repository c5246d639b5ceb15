"""Base class of engines that call a list of functions in each step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from time import perf_counter

import numpy as np

from nengo_jit.engines.base import RUN_LOST, Engine
from nengo_jit.engines.timing import Part, Timing
from nengo_jit.engines.turns import Output, Rows
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.options import Options
from nengo_jit.planner import Plan
from nengo_jit.planner.merge import kind_of

REST = "recording, and calling the operators"


class StepwiseEngine(Engine):
    """Calls a list of functions in each step, which subclasses make.

    If one of them raises an error, memory is restored to the state before that step.

    Parameters
    ----------
    plan : Plan
        The plan to run.
    options : Options
        The user's options.
    """

    def __init__(self, plan: Plan, options: Options = Options()):  # noqa: B008  # it is frozen
        super().__init__(plan, options)
        self._steps: list[tuple[Operator, Step]] = []
        self._given: dict[Output, Rows] = {}
        self._is_running = self._is_paused = False
        self._error: Exception | None = None  # ends the run
        SimNeurons.engines.add(self)

    @abstractmethod
    def make_steps(self, rng: np.random.RandomState) -> Iterable[tuple[Operator, Step]]:
        """Make the functions of a step, for the memory in ``signals``.

        Parameters
        ----------
        rng : numpy.random.RandomState
            Generator that processes without a seed draw theirs from: call `step_of` for the plan's
            operators in their order, whatever the order of the functions.

        Returns
        -------
        iterable of (Operator, callable)
            The functions in the order of the calls, each with its operator, for messages.
        """

    def begin(self, rng: np.random.RandomState) -> None:
        self._steps = list(self.make_steps(rng))
        for output in self._given:
            self._insert(output)

    def give(self, output: Output, rows: np.ndarray | None, first: int) -> None:
        if type(self).run is not StepwiseEngine.run:  # it may not call the functions
            super().give(output, rows, first)
            return
        if output not in self._given:
            self._given[output] = Rows()
            self._insert(output)
        self._given[output].values, self._given[output].first = rows, first

    def _insert(self, output: Output) -> None:
        """Insert the step that outputs rows after the one that computes the output."""
        rows, array, clock = self._given[output], self.signals[output.signal], self.recording.clock

        def step_given() -> None:
            if rows.values is not None:
                array[...] = rows.values[clock.n_steps - rows.first]

        operators = [operator for operator, _ in self._steps]
        place = 0
        if output.writer is not None:
            place = operators.index(output.writer) + 1
        if output.function is not None:
            step = self._steps[place - 1][1]
            self._steps[place - 1] = output.function, _unless_given(step, rows)
        self._steps.insert(place, (output.writer or operators[0], step_given))

    def neurons_replaced(self, operator: SimNeurons) -> None:
        for i, (each, _) in enumerate(self._steps):
            if each is operator:  # it may still run in this step
                rng = np.random.RandomState(0)  # neurons do not draw from it
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
                while n_done < n_steps:
                    self._run_step()
                    self.settle()
                    n_done += 1
                    if self._is_paused:
                        break
        finally:
            self._is_running = is_within
            self._is_paused = self._is_paused and is_within
            self.settle()
        return n_done

    def run_timed(self, n_steps: int) -> Timing:
        seconds = [0.0] * len(self._steps)

        def timed(number: int, step: Step) -> Step:
            def step_timed() -> None:
                begin = perf_counter()
                step()
                seconds[number] += perf_counter() - begin

            return step_timed

        steps = self._steps
        self._steps = [(op, timed(i, step)) for i, (op, step) in enumerate(steps)]
        try:
            begin = perf_counter()
            n_done = self.run(n_steps)
            whole = perf_counter() - begin
        finally:
            self._steps = steps
        parts = [
            Part(_name(op), each, {op: 1.0}, isinstance(op, SimPyFunc))
            for (op, _), each in zip(steps, seconds)
        ]
        rest = max(0.0, whole - sum(seconds))
        return Timing(n_done, whole, [*parts, Part(REST, rest, {None: 1.0})])

    def pause(self) -> None:
        self._is_paused = self._is_running

    @property
    def is_running(self) -> bool:
        return self._is_running

    def abandon(self, error: Exception) -> None:
        self._error = error

    def lose_run(self) -> None:
        self._is_running, self.broken = False, RUN_LOST

    def _run_step(self) -> None:
        ticks = self.recording.clock.ticks
        self.signals.save()
        operator = None
        try:
            for operator, step in self._steps:
                step()
                if self._error is not None:
                    raise self._error
            self.recording.complete(self.steps_in_memory())
        except BaseException as error:  # also Ctrl-C, which may come between two operators
            self._error = None
            if self.recording.clock.ticks == ticks:
                self.signals.restore()
                self.blame(operator, error)
            raise


def _name(operator: Operator | str) -> str:
    """The kind of an operator; engines may give a text in place of an operator."""
    return operator if isinstance(operator, str) else kind_of(operator)


def _unless_given(step: Step, rows: Rows) -> Step:
    """Return a function that runs a step while no rows are given."""
    return lambda: step() if rows.values is None else None
