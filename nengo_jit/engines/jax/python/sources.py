"""Processes of the user's without input: their output depends on time, and on a state of theirs."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

from nengo_jit.engines.jax.draws import Draw
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.processes import SimProcess


def is_source(operator: Operator) -> TypeGuard[SimProcess]:
    """Whether an operator runs a process without input, and without a state in signals."""
    if not isinstance(operator, SimProcess) or "make_step" in vars(operator):
        return False
    is_plain = type(operator).make_step is SimProcess.make_step
    is_alone = operator.input is None and not operator.state
    return is_plain and is_alone and not operator.output.readonly


def source_of(
    operator: SimProcess, signals: SignalDict, dt: float, rng: np.random.RandomState
) -> tuple[Draw, Step]:
    """Make the step of a process in two forms.

    Parameters
    ----------
    operator : SimProcess
        Its operator, for which `is_source` is true.
    signals : SignalDict
        The engine's memory.
    dt : float
        Length of a step (seconds).
    rng : numpy.random.RandomState
        The generator of the process.

    Returns
    -------
    callable
        Takes the time, and returns the output.
    callable
        The operator's step. The process may have a state, so only one of the two may be used.
    """
    t, output = signals[operator.t], signals[operator.output]
    step_f = operator.process.make_step(  # nengo-loihi looks for this name of nengo's
        (0,), output.shape, dt, rng, {}
    )
    is_added = operator.mode == "inc"

    def draw(t: float, *values: object) -> np.ndarray:
        result = np.empty_like(output)
        result[...] = step_f(t)
        return result

    def step() -> None:
        output[...] = step_f(t.item())

    def step_adding() -> None:
        output[...] += step_f(t.item())

    return draw, step_adding if is_added else step
