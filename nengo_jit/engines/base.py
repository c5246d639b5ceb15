"""What every engine does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol

import numpy as np
from nengo.exceptions import SimulationError

from nengo_jit.engines.recording import Recording
from nengo_jit.ir.base import Step
from nengo_jit.ir.evaluator import IN_PYTHON, Evaluator
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons import Formula
from nengo_jit.planner.plan import Plan

RESET_INTERRUPTED = "The latest reset has not come to its end."
RUN_LOST = "This process was forked while another thread ran the simulator."


class GeneratorState(Protocol):
    """State of a generator of random numbers.

    Attributes
    ----------
    buffer : numpy.ndarray
        All of it.
    """

    buffer: np.ndarray

    def load(self, rng: np.random.RandomState) -> None:
        """Go on from the state of ``rng``."""

    def give(self, rng: np.random.RandomState) -> None:
        """Let ``rng`` go on from this state."""


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
    progress : nengo.utils.progress.Progress, optional
        Is told how far getting ready is.
    threads : int, optional
        How many threads to use at most, for engines that have a choice.
    compile_python : bool
        Whether Python functions may be compiled, for engines that can.

    Attributes
    ----------
    name : str
        What users call the engine.
    plan : Plan
        What is run.
    signals : SignalDict
        The live memory, by signal. Writing to it changes the next step.
    is_asked : bool
        Whether whoever has the engine calls `settle` and `hand_out` before looking at signals.
        What nobody looks at can then be put off from run to run.
    generators : dict of (Operator, GeneratorState)
        Live states of the generators of processes, as far as the engine has them.
    recording : Recording
        What counts the steps and owns the samples.
    rng : numpy.random.RandomState
        What the latest reset has drawn from.
    broken : str or None
        A sentence that says why the engine cannot run before it is reset, if it cannot.
    """

    name: ClassVar[str]
    signals: SignalDict
    recording: Recording
    rng: np.random.RandomState

    def __init__(
        self,
        plan: Plan,
        progress: Any = None,
        threads: int | None = None,
        compile_python: bool = True,
    ):
        self.plan = plan
        self.generators: dict[Any, GeneratorState] = {}
        self.broken: str | None = RESET_INTERRUPTED
        self.is_asked = False

    @classmethod
    def runs_python(cls, operator: Any) -> bool:
        """Whether it is plain that the engine calls Python for an operator in every step.

        Such operators are planned to come early in a step, and in nengo's order, see `make_plan`.
        """
        return False

    @classmethod
    def supports(cls, dtype: np.dtype) -> bool:
        """Whether the engine can run models of this precision."""
        return True

    @classmethod
    def prepare(cls, network: Any, dtype: np.dtype) -> None:
        """Begin to get ready for a network that is about to be built.

        Parameters
        ----------
        network : nengo.Network
            The network.
        dtype : numpy.dtype
            Type of the model's numbers.
        """
        return

    @classmethod
    def rates_by(cls, formula: Formula) -> Callable[..., None] | None:
        """What computes the rates of a formula natively; None if the engine has nothing.

        It is called as ``compute(x, gain, bias, parameters, result)``, see
        `nengo_jit.neurons.rates.Method.compute`, by any number of threads at the same time.
        """
        return None

    @classmethod
    def evaluator(cls) -> Evaluator:
        """What evaluates the functions of connections while a model is built."""
        return IN_PYTHON

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

    @abstractmethod
    def reset(self, seed: int, clear: Callable[[], None] | None = None) -> None:
        """Go back to the state before the first step, and forget all samples.

        Parameters
        ----------
        seed : int
            Seed of everything that is random at run time and has no seed of its own.
        clear : callable, optional
            Forgets the samples; `clear_samples` by default.
        """

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

    @abstractmethod
    def neurons_replaced(self, operator: SimNeurons) -> None:
        """Go on with other neurons, if the operator is one of the engine's."""

    @property
    def python_steps(self) -> dict[Any, Step]:
        """Dict of (Operator, callable): the functions that the engine carries out in Python."""
        return {}

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

    def check_usable(self) -> None:
        """Raise an error if the state is not that of a completed step.

        Raises
        ------
        SimulationError
            That says why.
        """
        if self.broken is not None:
            raise SimulationError(f"{self.broken} Reset the simulator to go on.")

    @abstractmethod
    def settle(self) -> None:
        """Compute what has been put off, and finish what an interrupt has kept a run from doing.

        Must be called before signals are looked at from outside.
        """

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
