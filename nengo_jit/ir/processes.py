"""The operator that runs a process, such as a synapse."""

from __future__ import annotations

from collections.abc import Callable

import nengo.builder.processes as reference
import numpy as np
from nengo import Process
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import LinearFilter, Triangle

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, Rng, Step
from nengo_jit.ir.filters import Filter, Filtering, linear_filter, noise, triangle_filter
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal


class SimProcess(Operator, reference.SimProcess):
    """Run a process.

    Implements ``output[...] = process(t, input)``, or ``+=`` where the mode is "inc". The
    process gets a copy of its input.

    Parameters
    ----------
    process : nengo.Process
        The process.
    input : Signal or None
        The input, if it has one.
    output : Signal
        The output.
    t : Signal
        The time (seconds).
    mode : {"set", "inc", "update"}
        The role of the output; "update" delays it by one step.
    state : dict of (str, Signal), optional
        The state that the process keeps between steps.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    ValueError
        If the mode is unknown.

    Notes
    -----
    sets ``[output]`` in mode "set", incs ``[output]`` in mode "inc", reads ``[t]`` or
    ``[t, input]``, updates ``[output]`` in mode "update", then the state
    """

    def __init__(
        self,
        process: Process,
        input: Signal | None,
        output: Signal,
        t: Signal,
        mode: str = "set",
        state: dict[str, Signal] | None = None,
        tag: str | None = None,
    ):
        if mode not in ("set", "inc", "update"):
            raise ValueError(f"Unrecognized mode '{mode}': use 'set', 'inc' or 'update'")
        state = {} if state is None else state
        updated = [output] if mode == "update" else []
        Operator.__init__(
            self,
            tag,
            sets=[output] if mode == "set" else [],
            incs=[output] if mode == "inc" else [],
            reads=[t] if input is None else [t, input],
            updates=updated + list(state.values()),
        )
        self.process = process
        self.mode = mode
        self.state_idxs = {name: len(updated) + i for i, name in enumerate(state)}

    @property
    def input(self) -> Signal | None:
        """Signal or None: the input."""
        return self.reads[1] if len(self.reads) > 1 else None

    @property
    def output(self) -> Signal:
        """Signal: the output."""
        return {"set": self.sets, "inc": self.incs, "update": self.updates}[self.mode][0]

    @property
    def state(self) -> dict[str, Signal]:
        """Dict of (str, Signal): the state that the process keeps between steps."""
        return {name: self.updates[index] for name, index in self.state_idxs.items()}

    @property
    def t(self) -> Signal:
        """Signal: the time (seconds)."""
        return self.reads[0]

    @property
    def _descstr(self) -> str:
        return f"{self.process}, {self.input} -> {self.output}"

    def inputs(self) -> list[Signal]:
        return [*self.reads[1:], *self.state.values()]

    def parameters(self, dt: float) -> tuple[object, ...] | None:
        return computed_by(self.process, self.state, dt)

    @staticmethod
    def compute(xp: Namespace, function: Filter, *arguments: Array) -> tuple[Array, ...]:
        return function(xp, *arguments)

    def draws(self, dt: float, rng: Rng) -> Callable[..., np.ndarray] | None:
        return self.draws_from(dt, lambda: self.process.get_rng(rng))

    def draws_from(
        self, dt: float, get_rng: Callable[[], np.random.RandomState]
    ) -> Callable[..., np.ndarray] | None:
        """Do the same as `draws`; ``get_rng()`` returns the process's own generator."""
        process, size = self.process, self.output.shape
        if self.input is not None:
            return None
        generator = get_rng()
        if make_step_of(process) is FilteredNoise.make_step:
            return lambda t, *values: process.dist.sample(n=1, d=size[0], rng=generator)[0]
        step = process.make_step((0,), size, dt, generator, {})
        return lambda t, *values: np.asarray(step(t))

    def make_step(self, signals: SignalDict, dt: float, rng: Rng) -> Step:
        return self.make_step_with(signals, dt, lambda: self.process.get_rng(rng))

    def make_step_with(
        self, signals: SignalDict, dt: float, get_rng: Callable[[], np.random.RandomState]
    ) -> Step:
        """Do the same as `make_step`; ``get_rng()`` returns the process's own generator."""
        t, output = signals[self.t], signals[self.output]
        input = None if self.input is None else signals[self.input]
        step_f = self.process.make_step(  # nengo-loihi looks for this name of nengo's
            (0,) if input is None else input.shape,
            output.shape,
            dt,
            get_rng(),
            {name: signals[signal] for name, signal in self.state.items()},
        )

        def step_simprocess() -> None:
            output[...] = step_f(t.item()) if input is None else step_f(t.item(), np.copy(input))

        def step_simprocess_inc() -> None:
            output[...] += step_f(t.item()) if input is None else step_f(t.item(), np.copy(input))

        return step_simprocess_inc if self.mode == "inc" else step_simprocess


def make_step_of(process: object) -> Callable[..., object] | None:
    """Return the function behind a process's ``make_step``; None if that is not a method."""
    return getattr(getattr(process, "make_step", None), "__func__", None)


def given(xp: Namespace, values: Array) -> tuple[Array, ...]:
    """Return the values that a process without input and state has drawn or computed."""
    return (values,)


def computed_by(process: Process, state: dict[str, Signal], dt: float) -> Filtering | None:
    """Return the function that computes the output of a process, and its parameters.

    Parameters
    ----------
    process : nengo.Process
        The process.
    state : dict of (str, Signal)
        Its state.
    dt : float
        Length of a step (seconds).

    Returns
    -------
    tuple or None
        None if the process is not exactly one of nengo's, or calls functions of the user's.
    """
    make_step = make_step_of(process)
    if make_step is LinearFilter.make_step:
        return linear_filter(process, state, dt)
    if make_step is Triangle.make_step:
        return triangle_filter(process, state, dt)
    if make_step is FilteredNoise.make_step:
        if make_step_of(process.synapse) is not LinearFilter.make_step:
            return None
        filtering = linear_filter(process.synapse, state, dt)
        factor = 1.0 / np.sqrt(dt) if process.scale else 1.0
        return None if filtering is None else (noise, filtering[0], factor, *filtering[1:])
    if make_step is Piecewise.make_step and any(map(callable, process.data.values())):
        return None
    return (given,) if make_step in OF_TIME_AND_CHANCE else None


# processes whose output depends on time and random numbers only
OF_TIME_AND_CHANCE = (
    WhiteNoise.make_step,
    WhiteSignal.make_step,
    PresentInput.make_step,
    Piecewise.make_step,
)
