"""Lowering of processes, to the kernels in `filters.py`, `noise.py` and `tables.py`.

A process runs in Python if it has no kernel, or if its class overrides what the kernel computes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from nengo import Process
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import LinearFilter, Lowpass, Triangle

from nengo_jit.engines.cpu.kernels.filters import (
    filter_first_order,
    lower_linear_filter,
    lower_triangle,
)
from nengo_jit.engines.cpu.kernels.half import half_inc_by_doubles
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
from nengo_jit.engines.cpu.language.primitives import FLOAT16, Address
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.processes import SimProcess, make_step_of

# ``y = values`` and ``y += values``, after other kernels on the same level
store, store_inc = copy.variant(stage=1), copy_inc.variant(stage=1)

LowerProcess = Callable[[SimProcess, np.ndarray, Lowering], "Lowered | None"]
"""Lowers an operator, given the contiguous array that its output is written to."""

# by the function that makes a process's step
LOWERING_OF_STEP: dict[object, LowerProcess] = {
    LinearFilter.make_step: lower_linear_filter,
    Triangle.make_step: lower_triangle,
    WhiteNoise.make_step: lower_white_noise,
    FilteredNoise.make_step: lower_filtered_noise,
    WhiteSignal.make_step: lower_white_signal,
    PresentInput.make_step: lower_present_input,
    Piecewise.make_step: lower_piecewise,
}

KERNELS: dict[type, Kernel[...]] = {
    WhiteNoise: noise,
    FilteredNoise: filtered_noise,
    WhiteSignal: white_signal,
    PresentInput: present_input,
    Piecewise: piecewise,
}


def _lowering_of(process: Process) -> LowerProcess | None:
    """Return the function that lowers a process's steps; None if its ``make_step`` is unknown."""
    return LOWERING_OF_STEP.get(make_step_of(process))


def kernel_of(process: Process) -> Kernel | None:
    """Return the kernel that a process most likely runs on, by its type; None if it has none."""
    if isinstance(process, Lowpass):
        return filter_first_order if process.tau > 0 else None
    return KERNELS.get(type(process))


@lowers(SimProcess, lambda operator: _lowering_of(operator.process) is not None)
def lower_sim_process(operator: SimProcess, lowering: Lowering) -> Lowered | None:
    """Lower processes whose ``make_step`` is known; others run in Python.

    Outputs that are incremented or not contiguous are computed in a buffer first, and then added
    or copied. Threads cannot share the numbers of a generator, but they can share the sum.
    """
    lower = _lowering_of(operator.process)
    assert lower is not None
    output = lowering.array(operator.output)
    if lowering.dtype == FLOAT16 and operator.mode == "inc" and lower is lower_white_noise:
        return _inc_in_half(operator, output, lowering)
    if operator.mode != "inc" and contiguous(output):
        return lower(operator, output, lowering)
    y = lowering.arena.buffer(output.size, lowering.dtype).reshape(output.shape)
    lowered = lower(operator, y, lowering)
    if lowered is None:
        return None
    last = store_inc if operator.mode == "inc" else store
    return lowered + [last.row(src=start(a), dst=start(b), n=a.size) for a, b in pieces(y, output)]


def _inc_in_half(operator: SimProcess, output: np.ndarray, lowering: Lowering) -> Lowered | None:
    """Add white noise, whose numbers have double precision until they are added."""
    if not contiguous(output):
        return None
    y = lowering.arena.buffer(output.size, lowering.dtype)
    rows = lower_white_noise(operator, y, lowering)
    if rows is None:
        return None
    numbers = Address(rows[0]["values"])
    return [*rows, half_inc_by_doubles.row(numbers=numbers, y=start(output), size=output.size)]
