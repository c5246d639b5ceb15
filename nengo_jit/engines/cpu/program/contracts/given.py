"""The contract of the operator that outputs what users give."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.program.contracts.contract import Arrays, contiguous, requires
from nengo_jit.ir.given import Given


@requires(Given, exempt=["step"])
def _given(operator: Given, signals: Arrays) -> bool:
    output, computed = signals[operator.output], signals[operator.computed]
    return (
        output.ndim == 1
        and output.shape == computed.shape
        and contiguous(output)
        and contiguous(computed)
        and signals[operator.step].dtype in (np.int64, np.int32, np.int16)
    )
