"""The operator that marks a signal for recording."""

from __future__ import annotations

import nengo.builder.probe as reference

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, operand
from nengo_jit.ir.signal import Signal


class SimProbe(Operator, reference.SimProbe):
    """Mark a signal for recording.

    Implements no computation: the engine records the signal at the end of the step. The operator
    makes signals part of the plan that no other operator uses, such as a constant node's.

    Parameters
    ----------
    signal : Signal
        The signal that is recorded.
    tag : str, optional
        The purpose of the operator.

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
