"""Build processes and synapses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import nengo.builder.processes as reference
import numpy as np
from nengo import Process
from nengo.exceptions import BuildError
from nengo.synapses import Alpha, LinearFilter, Lowpass, Synapse

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.operator import Operator, Step
from nengo_jit.builder.signal import Signal, SignalDict


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


@Builder.register(Process)
def build_process(
    model: Model,
    process: Process,
    sig_in: Signal | None = None,
    sig_out: Signal | None = None,
    mode: str = "set",
) -> Signal:
    """Build a process into a model.

    Parameters
    ----------
    model : Model
        What to build into.
    process : nengo.Process
        What to build; it can be built any number of times.
    sig_in : Signal, optional
        Its input.
    sig_out : Signal, optional
        Its output. Where not given, a signal like ``sig_in`` is made.
    mode : {"set", "inc", "update"}
        What is done to the output, see `SimProcess`.

    Returns
    -------
    Signal
        The output.

    Raises
    ------
    BuildError
        If neither signal is given.
    """
    if sig_out is None:
        if sig_in is None:
            raise BuildError(f"{process} needs an input or an output signal")
        sig_out = Signal(shape=sig_in.shape, name=f"{sig_in.name}.{process}")
    shape_in = (0,) if sig_in is None else sig_in.shape
    label = str(process)
    initial = make_state(process, shape_in, sig_out.shape, model.dt, sig_out.dtype)
    state = {name: Signal(value, name=f"{label}.{name}") for name, value in initial.items()}
    if state:
        model.sig[process].update((f"_state_{name}", signal) for name, signal in state.items())
    model.add_op(SimProcess(process, sig_in, sig_out, model.time, mode, state, tag=label))
    return sig_out


def make_state(
    process: Process,
    shape_in: tuple[int, ...],
    shape_out: tuple[int, ...],
    dt: float,
    dtype: np.dtype,
) -> dict[str, np.ndarray]:
    """The state that a process begins with: ``process.make_state(...)``.

    Parameters
    ----------
    process : nengo.Process
        The process.
    shape_in, shape_out : tuple of int
        Shapes of its input and output.
    dt : float
        Length of a step (seconds).
    dtype : numpy.dtype
        Type of the state.
    """
    is_filter = type(process) in (Lowpass, Alpha, LinearFilter)
    if is_filter and shape_in == shape_out and dtype.kind == "f":
        return {"X": np.zeros((_filter_order(process, dt), *shape_out), dtype)}
    return process.make_state(shape_in, shape_out, dt, dtype=dtype)


@lru_cache(maxsize=256)
def _filter_order(synapse: LinearFilter, dt: float) -> int:
    """Number of states of a filter, for which nengo has to convert it to discrete time."""
    return len(synapse.make_state((1,), (1,), dt)["X"])


def build_synapse(
    model: Model,
    synapse: Synapse,
    sig_in: Signal,
    sig_out: Signal | None = None,
    mode: str = "set",
) -> Signal:
    """Build a synapse, a process that filters one signal, into a model.

    For calling by name: `Model.build` takes `build_process`, which does the same.

    Parameters
    ----------
    model : Model
        What to build into.
    synapse : nengo.synapses.Synapse
        What to build; it can be built any number of times.
    sig_in : Signal
        What to filter.
    sig_out : Signal, optional
        Where the result goes. Where not given, a signal like ``sig_in`` is made.
    mode : {"set", "inc", "update"}
        What is done to the output, see `SimProcess`. Synapses of connections and probes use
        "update": whoever reads the output sees it one step later.

    Returns
    -------
    Signal
        The filtered signal.
    """
    return build_process(model, synapse, sig_in, sig_out, mode)
