"""Which kernels carry out a process: those in `filters.py`, `noise.py` and `tables.py`.

A process without a kernel there, or of a class that changes what the kernel computes, runs in
Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nengo import Process
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import LinearFilter, Lowpass, Triangle

from nengo_jit.engines.cpu.kernels.filters import (
    filter_first_order,
    lower_linear_filter,
    lower_triangle,
)
from nengo_jit.engines.cpu.kernels.noise import (
    filtered_noise,
    lower_filtered_noise,
    lower_white_noise,
    noise,
)
from nengo_jit.engines.cpu.kernels.operator import copy, copy_inc, pieces
from nengo_jit.engines.cpu.kernels.tables import (
    lower_piecewise,
    lower_present_input,
    lower_white_signal,
    piecewise,
    present_input,
    white_signal,
)
from nengo_jit.engines.cpu.language.kernel import Kernel, start
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.processes import SimProcess

# ``y = values`` and ``y += values``, after all that is done in other ways on the same level
store, store_inc = copy.variant(stage=1), copy_inc.variant(stage=1)

# The function lowers an operator, with the contiguous array that the output goes to.
LOWERING_OF_STEP: dict[Any, Callable[[SimProcess, np.ndarray, Lowering], Lowered | None]] = {
    LinearFilter.make_step: lower_linear_filter,
    Triangle.make_step: lower_triangle,
    WhiteNoise.make_step: lower_white_noise,
    FilteredNoise.make_step: lower_filtered_noise,
    WhiteSignal.make_step: lower_white_signal,
    PresentInput.make_step: lower_present_input,
    Piecewise.make_step: lower_piecewise,
}

KERNELS: dict[type, Kernel[Any]] = {
    WhiteNoise: noise,
    FilteredNoise: filtered_noise,
    WhiteSignal: white_signal,
    PresentInput: present_input,
    Piecewise: piecewise,
}


def _lowering_of(process: Any) -> Any:
    """The function that lowers what a process's ``make_step`` makes; None if it is not known."""
    make_step = getattr(process, "make_step", None)
    return LOWERING_OF_STEP.get(getattr(make_step, "__func__", None))


def kernel_of(process: Process) -> Kernel | None:
    """The kernel that a process of one of nengo's usual types runs on, most likely."""
    if isinstance(process, Lowpass):
        return filter_first_order if process.tau > 0 else None
    return KERNELS.get(type(process))


@lowers(SimProcess, lambda operator: _lowering_of(operator.process) is not None)
def lower_sim_process(operator: SimProcess, lowering: Lowering) -> Lowered | None:
    """Lower processes that make their step by a function that is known; others run in Python.

    Outputs that are incremented, and those that are not contiguous, are put into memory of their
    own first: a generator's numbers cannot be shared among threads, but the sum can.
    """
    lower = _lowering_of(operator.process)
    output = lowering.array(operator.output)
    if operator.mode != "inc" and contiguous(output):
        return lower(operator, output, lowering)
    y = lowering.arena.buffer(output.size, lowering.dtype).reshape(output.shape)
    lowered = lower(operator, y, lowering)
    if lowered is None:
        return None
    last = store_inc if operator.mode == "inc" else store
    return lowered + [last.row(src=start(a), dst=start(b), n=a.size) for a, b in pieces(y, output)]
