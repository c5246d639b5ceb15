"""The contract of neurons."""

from __future__ import annotations

from nengo_jit.engines.cpu.program.contracts.contract import Arrays, requires
from nengo_jit.ir.neurons import SimNeurons


@requires(SimNeurons)
def _sim_neurons(operator: SimNeurons, signals: Arrays) -> bool:
    """Currents, output and states are vectors of the same length."""
    arrays = [signals[signal] for signal in (operator.J, *operator.sets)]
    shape = arrays[0].shape
    return (
        len(shape) == 1
        and shape[0] > 0
        and all(array.shape == shape and array.flags.c_contiguous for array in arrays)
    )
