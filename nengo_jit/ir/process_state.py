"""Find out where processes keep their state.

A process has a state in signals, and a random number generator. The steps of nengo's processes
depend on nothing else. Other processes may have hidden state in variables of their own.
"""

from __future__ import annotations

import nengo.builder.processes as reference
from nengo import Process
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import LinearFilter, Triangle

from nengo_jit.ir.base import Operator
from nengo_jit.ir.processes import SimProcess, make_step_of

DRAWING = (WhiteNoise.make_step, FilteredNoise.make_step)
NOT_DRAWING = tuple(
    each.make_step for each in (LinearFilter, Triangle, WhiteSignal, PresentInput, Piecewise)
)


def is_sim_process(operator: Operator) -> bool:
    """Whether an operator's ``make_step`` is that of `SimProcess`, ours or nengo's."""
    make_step = getattr(operator.make_step, "__func__", None)
    return make_step in (SimProcess.make_step, reference.SimProcess.make_step)


def draws_in_steps(process: Process) -> bool:
    """Whether the steps of a process may draw random numbers from its generator."""
    return make_step_of(process) not in NOT_DRAWING


def keeps_to_its_state(process: Process) -> bool:
    """Whether a process is known to have no state besides its signals and its generator."""
    make_step = make_step_of(process)
    if make_step is FilteredNoise.make_step:
        return keeps_to_its_state(process.synapse)
    if make_step is Piecewise.make_step:
        return not any(map(callable, process.data.values()))
    return make_step in DRAWING or make_step in NOT_DRAWING
