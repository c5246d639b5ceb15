"""The operator that runs a process, synapses among them."""

from __future__ import annotations

from typing import Any

import nengo.builder.processes as reference
import numpy as np
from nengo import Process

from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal


class SimProcess(Operator, reference.SimProcess):
    """Run a process.

    Implements ``output[...] = process(t, input)``, or ``+=`` where the mode is "inc". The
    process gets a copy of its input.

    Parameters
    ----------
    process : nengo.Process
        What to run.
    input : Signal or None
        The input, if it has one.
    output : Signal
        The output.
    t : Signal
        The time (seconds).
    mode : {"set", "inc", "update"}
        The role of the output; "update" delays it by one step.
    state : dict of (str, Signal), optional
        The arrays that the process keeps between steps.
    tag : str, optional
        What the operator is for.

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
        """Dict of (str, Signal): the arrays that the process keeps between steps."""
        return {name: self.updates[index] for name, index in self.state_idxs.items()}

    @property
    def t(self) -> Signal:
        """Signal: the time (seconds)."""
        return self.reads[0]

    @property
    def _descstr(self) -> str:
        return f"{self.process}, {self.input} -> {self.output}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        return self.make_step_with(signals, dt, self.process.get_rng(rng))

    def make_step_with(self, signals: SignalDict, dt: float, own_rng: Any) -> Step:
        """As `make_step`, with a generator of random numbers for the process itself."""
        t, output = signals[self.t], signals[self.output]
        input = None if self.input is None else signals[self.input]
        step_f = self.process.make_step(  # the name is nengo's, by which nengo-loihi finds it
            (0,) if input is None else input.shape,
            output.shape,
            dt,
            own_rng,
            {name: signals[signal] for name, signal in self.state.items()},
        )

        def step_simprocess() -> None:
            output[...] = step_f(t.item()) if input is None else step_f(t.item(), np.copy(input))

        def step_simprocess_inc() -> None:
            output[...] += step_f(t.item()) if input is None else step_f(t.item(), np.copy(input))

        return step_simprocess_inc if self.mode == "inc" else step_simprocess
