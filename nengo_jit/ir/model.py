"""The model: signals, operators and probes, the input of the planner."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from nengo import Probe

from nengo_jit.ir.base import Operator
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.operator import TimeUpdate
from nengo_jit.ir.signal import Signal
from nengo_jit.settings import settings


class Model:
    """Signals and operators, and the probes that record signals.

    Parameters
    ----------
    dt : float
        Length of a step (seconds).

    Attributes
    ----------
    operators : list of Operator
        All operators, in the order in which they were added.
    probes : list of nengo.Probe
        The probes; each records the signal ``sig[probe]["in"]``.
    sig : dict of (object, dict of (str, Signal))
        The signals of each object by purpose, such as ``sig[ens]["encoders"]``.
        ``sig["common"]`` holds the constants 0 and 1.
    step : Signal
        Number of steps so far, an integer.
    time : Signal
        Simulated time (seconds).
    """

    def __init__(self, dt: float = 0.001):
        self.dt = dt
        self.operators: list[Operator] = []
        self.probes: list[Probe] = []
        self.sig: defaultdict[object, dict[Any, Any]] = defaultdict(dict)
        zero, one = (np.array(number, settings().float_dtype) for number in (0, 1))
        self.sig["common"][0] = Signal(zero, name="ZERO", readonly=True)
        self.sig["common"][1] = Signal(one, name="ONE", readonly=True)
        self.step = Signal(np.array(0, settings().int_dtype), name="step")
        self.time = Signal(np.array(0, settings().float_dtype), name="time")
        self.add_op(TimeUpdate(self.step, self.time))

    def add_op(self, op: Operator) -> None:
        """Add an operator to the model.

        If nengo's setting ``fail_fast`` is on, the operator's step is made at once and discarded,
        so that the traceback of an error shows where the operator was added.

        Parameters
        ----------
        op : Operator
            Ours, nengo's or a third party's.
        """
        self.operators.append(op)
        if settings().fail_fast:
            signals = SignalDict()
            op.init_signals(signals)
            op.make_step(signals, self.dt, np.random)
