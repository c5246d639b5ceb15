"""Base class of engines: run a plan in memory that the engine owns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
from nengo import Probe
from nengo.exceptions import SimulationError

from nengo_jit.engines.recording import Recording
from nengo_jit.engines.state import Seed, State, check_state, give_state, take_state
from nengo_jit.engines.timing import Timing
from nengo_jit.engines.turns import TakesTurns
from nengo_jit.exceptions import add_context
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.process_state import draws_in_steps, is_sim_process
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner.identity import Identity
from nengo_jit.planner.plan import Plan

RESET_INTERRUPTED = "The latest reset is not complete."
LOADING_INTERRUPTED = "A state has been loaded in part."
RUN_LOST = "This process was forked while another thread ran the simulator."

PIECE_SECONDS = 0.05  # duration of a piece of a run, after which other threads have their turn


class Engine(TakesTurns, ABC):
    """Owns the memory of a plan's signals and runs its operators.

    An engine is made for one plan, in the precision of the plan's signals, and must be `reset`
    before its first run. Two consecutive runs equal one longer run. If a step raises an error, the
    engine goes back to the state of the last completed step, and the error says which operator
    failed in which step.

    Parameters
    ----------
    plan : Plan
        The plan to run.
    options : Options
        The user's options.

    Attributes
    ----------
    plan : Plan
        The plan.
    options : Options
        As given.
    signals : SignalDict
        The live memory, by signal. Writing to it changes the next step.
    buffers : list of Signal
        Memory that operators have requested in addition to their signals.
    is_asked : bool
        Whether the owner of the engine calls `settle` and `hand_out` before it reads signals.
        Operators whose results are not read can then be deferred from run to run.
    generators : dict of (Operator, numpy.random.RandomState or GeneratorState)
        Generators that processes draw random numbers from while they run.
    recording : Recording
        Counts the steps and owns the samples.
    seed : int
        Seed of the latest reset.
    drawn_from : numpy.random.RandomState
        Generator that operators have drawn from since the latest reset.
    rng : numpy.random.RandomState
        The same, unless a user has replaced it.
    broken : str or None
        A sentence that says why the engine cannot run until it is reset, if it cannot.
    at_fault : Operator or None
        The operator that raised the latest error in a step.
    """

    def __init__(self, plan: Plan, options: Options = Options()):  # noqa: B008  # it is frozen
        self.plan = plan
        self.options = options
        self.generators: dict[Operator, object] = {}
        self.broken: str | None = RESET_INTERRUPTED
        self.at_fault: Operator | None = None
        self.is_asked = False
        self.signals, self.buffers = self.allocate()
        self.recording = Recording(plan.probes, self.signals)
        self.seed: Seed = None
        self.rng = self.drawn_from = np.random.RandomState(0)
        self._identity = Identity(plan)

    def allocate(self) -> tuple[SignalDict, list[Signal]]:
        """Allocate the memory of the plan; returns it, and the buffers that operators request."""
        return memory_of(self.plan)

    @property
    def memory_of_steps(self) -> SignalDict:
        """SignalDict: the memory that the steps of operators read and write."""
        return self.signals

    @abstractmethod
    def begin(self, rng: np.random.RandomState) -> None:
        """Get ready for the first step; signals have their initial values.

        Parameters
        ----------
        rng : numpy.random.RandomState
            Generator for everything that is random at run time and has no seed of its own.
            Operators must draw from it in the order of the plan; those that run in Python do so
            in `step_of`.
        """

    @abstractmethod
    def run(self, n_steps: int) -> int:
        """Run steps; returns how many: ``n_steps``, or fewer if the run is paused."""

    @abstractmethod
    def pause(self) -> None:
        """End the current run, if there is one, after the current step."""

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """bool: whether a run is in progress."""

    @abstractmethod
    def abandon(self, error: Exception) -> None:
        """End the current run with an error, before the current step is complete.

        To be called by user code within a step.
        """

    @abstractmethod
    def lose_run(self) -> None:
        """End the current run in a process that was forked from it, and lacks its thread."""

    def pieces(self, n_steps: int) -> Iterator[int]:
        """Run steps piece by piece, so that other threads have their turn in between.

        A piece takes about a twentieth of a second; engines may divide a run in their own way.

        Parameters
        ----------
        n_steps : int
            Total number of steps.

        Yields
        ------
        int
            Number of steps of the latest piece.
        """
        left, size = n_steps, 1
        while left > 0:
            start = perf_counter()
            n_done = self.run(min(size, left))
            seconds = perf_counter() - start
            left -= n_done
            yield n_done
            # at most tenfold, since the first steps may not be typical
            size = max(1, min(10 * n_done, int(n_done * PIECE_SECONDS / max(seconds, 1e-9))))

    def reset(self, seed: Seed, clear: Callable[[], None] | None = None) -> None:
        """Go back to the state before the first step, and clear all samples.

        Parameters
        ----------
        seed : int
            Seed for everything that is random at run time and has no seed of its own.
        clear : callable, optional
            Clears the samples; `clear_samples` by default.
        """
        self.settle()
        self.broken = RESET_INTERRUPTED
        self.rewind()
        self.generators = {}
        self.seed = seed
        self.rng = self.drawn_from = np.random.RandomState(seed)
        self.begin(self.rng)
        self._identity = Identity(self.plan)  # users may have changed operators
        self.read_clock()
        (clear or self.clear_samples)()
        self.broken = None

    def rewind(self) -> None:
        """Give the signals their initial values."""
        self.signals.reset_all()

    def step_of(self, operator: Operator, rng: np.random.RandomState) -> Step:
        """Make the step of an operator, and remember the generator that it draws from.

        Errors name the operator.

        Parameters
        ----------
        operator : Operator
            Any operator of the plan.
        rng : numpy.random.RandomState
            The argument of `begin`.
        """
        with self.making(operator):
            if not is_sim_process(operator):
                return operator.make_step(self.memory_of_steps, self.plan.dt, rng)

            def get_rng() -> np.random.RandomState:
                own = operator.process.get_rng(rng)
                if draws_in_steps(operator.process):
                    self.generators[operator] = own
                return own

            return SimProcess.make_step_with(operator, self.memory_of_steps, self.plan.dt, get_rng)

    @contextmanager
    def making(self, operator: Operator) -> Iterator[None]:
        """Context in which the step of an operator is made: errors name the operator."""
        try:
            yield
        except Exception as error:
            add_context(error, self.not_ready(operator))
            raise

    def state(self) -> State:
        """Everything that future steps depend on.

        Returns
        -------
        dict
            Arrays, numbers, strings, lists and dictionaries only; see `nengo_jit.engines.state`.

        Raises
        ------
        SimulationError
            Within a step, or if the state is not that of a completed step.
        """
        self.check_usable()
        self._check_between_runs("taken")
        self.settle()
        return take_state(self, self._identity)

    def load_state(self, state: State, clear: Callable[[], None] | None = None) -> None:
        """Continue from the state of an engine with the same model; clears all samples.

        Parameters
        ----------
        state : dict
            From `state`, of any engine.
        clear : callable, optional
            See `reset`.

        Raises
        ------
        ValidationError
            If it is no state, or that of another model. Then nothing has changed.
        SimulationError
            Within a step.
        """
        self.check_loadable(state)
        self.reset(state["seed"], clear)
        self.broken = LOADING_INTERRUPTED
        give_state(self, self._identity, state)
        self.broken = None

    def check_loadable(self, state: Any) -> None:
        """Raise the errors of `load_state`; changes nothing."""
        self._check_between_runs("loaded")
        check_state(self, self._identity, state)

    def _check_between_runs(self, what: str) -> None:
        if self.is_running:
            raise SimulationError(f"A state can be {what} between runs only, not within a step.")

    def run_timed(self, n_steps: int) -> Timing:
        """Run at least two steps, and time each part of a step; SimulationError if it cannot."""
        raise SimulationError("This engine cannot time the parts of a step.")

    def explain(self) -> Plan:
        """The plan, with information on how it is executed."""
        return self.plan

    def blame(self, operator: Operator | None, error: BaseException) -> None:
        """Note in which operator a step failed, in `at_fault` and with the error."""
        self.at_fault = operator
        add_context(error, self.failed_in(operator))

    def failed_in(self, operator: Operator | None) -> str:
        """Message that says in which operator a step failed."""
        number = self.n_steps + 1
        return (
            f"This happened in step {number} (t = {number * self.plan.dt:g} s) in {operator}. "
            "The simulator is in the state of the step before."
        )

    @staticmethod
    def not_ready(operator: Operator) -> str:
        """Message that says for which operator making the step failed."""
        return f"This happened while the step of {operator} was made, before the first step."

    def hand_out(self, signal: Signal) -> Any:
        """Live array of a signal, for a user who may keep it and change it at any time.

        Raises
        ------
        KeyError
            If the signal has no memory.
        """
        return self.signals[signal]

    def look_again(self) -> None:
        """Note that a user has got an object that hands out arrays, and may keep it anywhere."""
        return

    def hand_out_constants(self, arrays: Iterable[np.ndarray]) -> None:
        """Note that a user has got arrays that may be the memory of constants."""
        return

    def neurons_replaced(self, operator: SimNeurons) -> None:
        """Handle that the neurons of an operator have been replaced, which may be the engine's.

        By default, the new neurons take effect at the next reset.
        """
        return

    @property
    def kept(self) -> dict[Operator, list[np.ndarray]]:
        """Dict of (Operator, list of numpy.ndarray): memory that steps depend on by rounding."""
        return {}

    @property
    def python_steps(self) -> dict[Operator, Step]:
        """Dict of (Operator, callable): the functions that the engine calls in Python."""
        return {}

    def check_usable(self) -> None:
        """Raise an error if the state is not that of a completed step.

        Raises
        ------
        SimulationError
            With the reason.
        """
        if self.broken is not None:
            raise SimulationError(f"{self.broken} Reset the simulator to go on.")

    def settle(self) -> None:
        """Run deferred operators, and finish the latest run if it was interrupted.

        Must be called before signals are read from outside.
        """
        if self.recording.clock.calls:
            self.recording.deliver()

    @property
    def samples(self) -> dict[Probe, Any]:
        """Dict of (nengo.Probe, Samples or Any): the object that gets the samples of each probe.

        By default it is `Samples`, or a list of matrices if the signal is sparse.
        """
        return {probe: self.recording.latest(probe) for probe in self.recording.recorders}

    def clear_samples(self) -> None:
        """Begin a new list of samples for each probe; existing lists do not change."""
        self.recording.clear()

    def stop_recording(self) -> dict[Probe, object]:
        """Stop recording, beginning with the current step.

        Returns
        -------
        dict of (nengo.Probe, Samples or Any)
            The objects that have got the samples.
        """
        return self.recording.stop()

    def read_clock(self) -> None:
        """Set the number of completed steps to the value of the signal that counts them."""
        self.recording.clock.n_steps = self.steps_in_memory()

    def steps_in_memory(self) -> int:
        """Return the value of the signal that counts steps."""
        n_steps: int = self.signals[self.plan.step].item()
        return n_steps

    @property
    def n_steps(self) -> int:
        """int: number of completed steps since the last reset."""
        return self.recording.clock.n_steps

    @property
    def time(self) -> float:
        """float: simulated time after the last completed step (seconds)."""
        return self.plan.time.dtype.type(self.n_steps * self.plan.dt).item()


def memory_of(plan: Plan) -> tuple[SignalDict, list[Signal]]:
    """Allocate memory for a plan; returns it, and the buffers that operators have requested."""
    signals = SignalDict()
    signals.allocate_runs(plan.runs)
    signals.allocate(signal for operator in plan.operators for signal in operator.all_signals)
    n_known = len(signals)
    for operator in plan.operators:  # third-party operators may request buffers
        if getattr(operator.init_signals, "__func__", None) is not Operator.init_signals:
            operator.init_signals(signals)
    return signals, list(islice(signals, n_known, None))
