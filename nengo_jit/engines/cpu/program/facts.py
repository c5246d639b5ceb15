"""Facts about operands that fusion and lowering rely on while programs are used."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.program.exposure import Exposure
from nengo_jit.engines.cpu.program.uses import Uses
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan


class Facts:
    """Facts about the operands of a plan.

    Parameters
    ----------
    plan : Plan
        The plan that is lowered.
    signals : SignalDict
        The engine's memory.
    exposure : Exposure
        Memory that user code may read and change.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of the numbers.
    uses : Uses
        Readers and writers of each block of memory.
    """

    def __init__(self, plan: Plan, signals: SignalDict, exposure: Exposure):
        self.signals = signals
        self.dtype = np.dtype(plan.time.dtype)
        self.uses = Uses(plan)
        self._exposure = exposure

    def array(self, signal: Signal) -> np.ndarray:
        """Live array of a signal."""
        array: np.ndarray = self.signals[signal]
        return array

    def address(self, signal: Signal) -> Address:
        """Address of a signal's first element."""
        return start(self.signals[signal])

    def is_exposed(self, *signals: Signal) -> bool:
        """Whether code other than the operators that declare them may access signals."""
        return bool(self._exposure) and any(each.base in self._exposure for each in signals)

    def is_public(self, base: Signal) -> bool:
        """Whether users may have got the array of a base."""
        return base in self._exposure.public

    def is_fixed(self, signal: Signal) -> bool:
        """Whether a signal is a constant that cannot be changed within a run."""
        is_changed = signal.base in self._exposure.changed
        return signal.base.readonly and not is_changed and not self.is_exposed(signal)
