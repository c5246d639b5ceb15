"""The operator that marks a signal as one that is recorded."""

from __future__ import annotations

import nengo.builder.probe as reference

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, operand
from nengo_jit.ir.signal import Signal


class SimProbe(Operator, reference.SimProbe):
    """Mark a signal as one that is recorded.

    Implements nothing: the engine records the signal at the end of the step. The operator
    keeps signals alive that nothing else uses, such as a constant node's.

    Parameters
    ----------
    signal : Signal
        What is recorded.
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[]``, incs ``[]``, reads ``[signal]``, updates ``[]``
    """

    signal = operand("reads")

    def __init__(self, signal: Signal, tag: str | None = None):
        Operator.__init__(self, tag, sets=[], incs=[], reads=[signal], updates=[])

    @property
    def _descstr(self) -> str:
        return str(self.signal)

    @staticmethod
    def compute(xp: Namespace, signal: Array) -> tuple[Array, ...]:
        return ()
