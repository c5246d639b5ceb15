"""The contract of processes: filters, noise, and stored signals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nengo import Process
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import LinearFilter, Triangle

from nengo_jit.engines.cpu.program.contracts.contract import Arrays, Shape, contiguous, requires
from nengo_jit.ir.processes import SimProcess

State = dict[str, np.ndarray]


@requires(SimProcess)
def _sim_process(operator: SimProcess, signals: Arrays) -> bool:
    make_step = getattr(operator.process.make_step, "__func__", None)
    shape = signals[operator.output].shape
    state = {name: signals[signal] for name, signal in operator.state.items()}
    if not all(map(contiguous, state.values())) or signals[operator.t].size != 1:
        return False
    if make_step in FILTERS:
        if operator.input is None or signals[operator.input].shape != shape:
            return False
    elif operator.input is not None:
        return False
    contract = PROCESSES.get(make_step)
    return contract is None or contract(operator.process, shape, state)


def _linear_filter(process: Process, shape: Shape, state: State) -> bool:
    return list(state) == ["X"] and state["X"].ndim > 0 and state["X"].shape[1:] == shape


def _triangle(process: Process, shape: Shape, state: State) -> bool:
    if list(state) != ["Y", "X", "Xi"]:
        return False
    total, recent, place = state.values()
    return total.shape == recent.shape[1:] == shape and recent.size > 0 and place.shape == (1,)


def _noise(process: Process, shape: Shape, state: State) -> bool:
    return not state and len(shape) == 1


def _filtered_noise(process: Process, shape: Shape, state: State) -> bool:
    return len(shape) == 1 and _linear_filter(process, shape, state)


def _without_state(process: Process, shape: Shape, state: State) -> bool:
    return not state


def _present_input(process: PresentInput, shape: Shape, state: State) -> bool:
    inputs = process.inputs
    return not state and inputs.size > 0 and shape == (inputs.size // len(inputs),)


def _piecewise(process: Piecewise, shape: Shape, state: State) -> bool:
    values = process.data.values()
    return not state and len(values) > 0 and all(np.shape(value) == shape for value in values)


FILTERS = (LinearFilter.make_step, Triangle.make_step)  # they have an input of the output's shape
# Contracts by the ``make_step`` of a process; they take the process, the output's shape and states
PROCESSES: dict[Callable[..., object] | None, Callable[[Any, Shape, State], bool]] = {
    LinearFilter.make_step: _linear_filter,
    Triangle.make_step: _triangle,
    WhiteNoise.make_step: _noise,
    FilteredNoise.make_step: _filtered_noise,
    WhiteSignal.make_step: _without_state,
    PresentInput.make_step: _present_input,
    Piecewise.make_step: _piecewise,
}
