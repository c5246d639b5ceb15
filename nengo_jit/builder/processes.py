"""Build processes and synapses."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from nengo import Process
from nengo.exceptions import BuildError
from nengo.synapses import Alpha, LinearFilter, Lowpass, Synapse

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal


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
        The model to build into.
    process : nengo.Process
        The process; it can be built any number of times.
    sig_in : Signal, optional
        Its input.
    sig_out : Signal, optional
        Its output; by default, a new signal like ``sig_in``.
    mode : {"set", "inc", "update"}
        The role of the output, see `SimProcess`.

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
    """Return the initial state of a process: ``process.make_state(...)``.

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
    """Return the number of states of a filter. nengo converts it to discrete time for that."""
    return len(synapse.make_state((1,), (1,), dt)["X"])


def build_synapse(
    model: Model,
    synapse: Synapse,
    sig_in: Signal,
    sig_out: Signal | None = None,
    mode: str = "set",
) -> Signal:
    """Build a synapse, a process that filters one signal, into a model.

    To be called by name: `Model.build` uses `build_process`, which does the same.

    Parameters
    ----------
    model : Model
        The model to build into.
    synapse : nengo.synapses.Synapse
        The synapse; it can be built any number of times.
    sig_in : Signal
        The signal to filter.
    sig_out : Signal, optional
        The result; by default, a new signal like ``sig_in``.
    mode : {"set", "inc", "update"}
        The role of the output, see `SimProcess`. Synapses of connections and probes use
        "update": operators read the output one step later.

    Returns
    -------
    Signal
        The filtered signal.
    """
    return build_process(model, synapse, sig_in, sig_out, mode)
