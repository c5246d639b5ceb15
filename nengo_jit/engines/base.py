"""What every engine does: run a plan in memory that it owns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
from nengo.exceptions import SimulationError

from nengo_jit.engines.recording import Recording
from nengo_jit.engines.state import check_state, give_state, take_state
from nengo_jit.exceptions import add_context
from nengo_jit.ir.base import Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.process_state import draws_in_steps, is_sim_process
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner.identity import Identity
from nengo_jit.planner.plan import Plan

RESET_INTERRUPTED = "The latest reset has not come to its end."
LOADING_INTERRUPTED = "A state has been loaded in part."
RUN_LOST = "This process was forked while another thread ran the simulator."

PIECE_SECONDS = 0.05  # how long a piece of a run takes, after which others have their turn


class Engine(ABC):
    """Owns the memory of a plan's signals and runs its operators.

    An engine is made for one plan, in the precision of the plan's signals, and must be `reset`
    before its first run. Two runs, one after the other, equal one longer run. If a step raises,
    the engine's state is that of the last completed step, and the error says which operator
    failed in which step.

    Parameters
    ----------
    plan : Plan
        What to run.
    options : Options
        What the user has chosen.

    Attributes
    ----------
    plan : Plan
        What is run.
    options : Options
        As given.
    signals : SignalDict
        The live memory, by signal. Writing to it changes the next step.
    buffers : list of Signal
        Memory that operators have asked for beside their signals.
    is_asked : bool
        Whether whoever has the engine calls `settle` and `hand_out` before looking at signals.
        What nobody looks at can then be put off from run to run.
    generators : dict of (Operator, numpy.random.RandomState or GeneratorState)
        What processes draw their random numbers from while they run.
    recording : Recording
        What counts the steps and owns the samples.
    seed : int
        What the latest reset was given.
    drawn_from : numpy.random.RandomState
        What operators have drawn from since the latest reset.
    rng : numpy.random.RandomState
        The same, unless users have replaced it.
    broken : str or None
        A sentence that says why the engine cannot run before it is reset, if it cannot.
    """

    def __init__(self, plan: Plan, options: Options = Options()):  # noqa: B008  # it is frozen
        self.plan = plan
        self.options = options
        self.generators: dict[Any, Any] = {}
        self.broken: str | None = RESET_INTERRUPTED
        self.is_asked = False
        self.signals, self.buffers = memory_of(plan)
        self.recording = Recording(plan.probes, self.signals)
        self.seed: Any = None
        self.rng = self.drawn_from = np.random.RandomState(0)
        self._identity = Identity(plan)

    @abstractmethod
    def begin(self, rng: np.random.RandomState) -> None:
        """Get ready for the first step; signals have their initial values.

        Parameters
        ----------
        rng : numpy.random.RandomState
            Source of all that is random at run time and has no seed of its own. The operators draw
            from it in the order of the plan: what runs in Python when `step_of` makes its step.
        """

    @abstractmethod
    def run(self, n_steps: int) -> int:
        """Carry out steps, and return how many: ``n_steps``, or fewer if the run is paused."""

    @abstractmethod
    def pause(self) -> None:
        """End the run that goes on, if there is one, after the step that is being carried out."""

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """bool: whether steps are being carried out."""

    @abstractmethod
    def abandon(self, error: Exception) -> None:
        """End the run that goes on, without the step in which this is called, by an error.

        To be called by code of the user's that is called in a step.
        """

    @abstractmethod
    def lose_run(self) -> None:
        """Take note that the thread that runs does not exist in this process, which was forked."""

    def pieces(self, n_steps: int) -> Iterator[int]:
        """Carry out steps piece by piece, so that others have their turn in between.

        A piece takes about a twentieth of a second; engines may cut a run in their own way.

        Parameters
        ----------
        n_steps : int
            How many steps in all.

        Yields
        ------
        int
            How many steps the piece had that has just been carried out.
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

    def reset(self, seed: Any, clear: Callable[[], None] | None = None) -> None:
        """Go back to the state before the first step, and forget all samples.

        Parameters
        ----------
        seed : int
            Seed of everything that is random at run time and has no seed of its own.
        clear : callable, optional
            Forgets the samples; `clear_samples` by default.
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
        for signal in list(self.signals):
            self.signals.reset(signal)

    def step_of(self, operator: Any, rng: np.random.RandomState) -> Step:
        """Have an operator make its step, and take note of the generator that it draws from.

        An error says of which operator it is.

        Parameters
        ----------
        operator : Operator
            Any operator of the plan.
        rng : numpy.random.RandomState
            As `begin` gets it.
        """
        with self.making(operator):
            if not is_sim_process(operator):
                return operator.make_step(self.signals, self.plan.dt, rng)

            def get_rng() -> np.random.RandomState:
                own = operator.process.get_rng(rng)
                if draws_in_steps(operator.process):
                    self.generators[operator] = own
                return own

            return SimProcess.make_step_with(operator, self.signals, self.plan.dt, get_rng)

    @contextmanager
    def making(self, operator: Any) -> Iterator[None]:
        """Context in which the step of an operator is made: an error says of which."""
        try:
            yield
        except Exception as error:
            add_context(error, self.not_ready(operator))
            raise

    def state(self) -> dict[str, Any]:
        """Everything that the steps to come depend on.

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

    def load_state(self, state: dict[str, Any], clear: Callable[[], None] | None = None) -> None:
        """Go on from a state that an engine had with the same model; forgets all samples.

        Parameters
        ----------
        state : dict
            From `state`, of any engine.
        clear : callable, optional
            As for `reset`.

        Raises
        ------
        ValidationError
            If it is the state of another model, or none at all. Nothing has changed then.
        SimulationError
            Within a step.
        """
        self._check_between_runs("loaded")
        check_state(self, self._identity, state)
        self.reset(state["seed"], clear)
        self.broken = LOADING_INTERRUPTED
        give_state(self, self._identity, state)
        self.broken = None

    def _check_between_runs(self, what: str) -> None:
        if self.is_running:
            raise SimulationError(f"A state can be {what} between runs only, not within a step.")

    def explain(self) -> Plan:
        """The plan, with what becomes of Python functions in it."""
        return self.plan

    def failed_in(self, operator: Any) -> str:
        """Say where a step failed, after going back to the state of the step before."""
        number = self.n_steps + 1
        return (
            f"This happened in step {number} (t = {number * self.plan.dt:g} s) in {operator}. "
            "The simulator is in the state of the step before."
        )

    @staticmethod
    def not_ready(operator: Any) -> str:
        """Say for which operator making a step failed."""
        return f"This happened while the step of {operator} was made, before the first step."

    def hand_out(self, signal: Signal) -> Any:
        """Live array of a signal, for a user, who may keep it and change it at any time.

        Raises
        ------
        KeyError
            If the signal has no memory.
        """
        return self.signals[signal]

    def look_again(self) -> None:
        """Note that a user has got hold of what hands out arrays, and may have put it anywhere."""
        return

    def hand_out_constants(self, arrays: Iterable[np.ndarray]) -> None:
        """Note that a user has got hold of what may be the memory of constants."""
        return

    def neurons_replaced(self, operator: SimNeurons) -> None:
        """Go on with other neurons, if the operator is one of the engine's.

        By default they count from the next reset on.
        """
        return

    @property
    def python_steps(self) -> dict[Any, Step]:
        """Dict of (Operator, callable): the functions that the engine carries out in Python."""
        return {}

    def check_usable(self) -> None:
        """Raise an error if the state is not that of a completed step.

        Raises
        ------
        SimulationError
            That says why.
        """
        if self.broken is not None:
            raise SimulationError(f"{self.broken} Reset the simulator to go on.")

    def settle(self) -> None:
        """Compute what has been put off, and finish what an interrupt has kept a run from doing.

        Must be called before signals are looked at from outside.
        """
        if self.recording.clock.calls:
            self.recording.deliver()

    @property
    def samples(self) -> dict[Any, Any]:
        """Dict of (nengo.Probe, Samples or Any): where the samples of each probe go to.

        A list of matrices for a signal that is sparse, by default.
        """
        return {probe: self.recording.latest(probe) for probe in self.recording.recorders}

    def clear_samples(self) -> None:
        """Begin a new list of samples for each probe; lists handed out before stay as they are."""
        self.recording.clear()

    def stop_recording(self) -> dict[Any, Any]:
        """Record no samples any more, from the step on that is being carried out.

        Returns
        -------
        dict of (nengo.Probe, Samples or Any)
            Where the samples have gone to.
        """
        return self.recording.stop()

    def read_clock(self) -> None:
        """Take the number of completed steps from the signal that counts them."""
        self.recording.clock.n_steps = self.signals[self.plan.step].item()

    @property
    def n_steps(self) -> int:
        """int: number of completed steps since the last reset."""
        return self.recording.clock.n_steps

    @property
    def time(self) -> float:
        """float: simulated time after the last completed step (seconds)."""
        return self.plan.time.dtype.type(self.n_steps * self.plan.dt).item()


def memory_of(plan: Plan) -> tuple[SignalDict, list[Signal]]:
    """Memory for a plan, and which of it operators have asked for beside their signals."""
    signals = SignalDict()
    signals.allocate_runs(plan.runs)
    signals.allocate(signal for operator in plan.operators for signal in operator.all_signals)
    n_known = len(signals)
    for operator in plan.operators:  # third-party operators may ask for buffers
        operator.init_signals(signals)
    return signals, list(islice(signals, n_known, None))
