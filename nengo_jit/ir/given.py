"""The operator that lets users give the output of a node, step by step."""

from __future__ import annotations

from nengo.builder.signal import Signal

from nengo_jit.ir.base import Operator, Rng, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.rows import Rows


class Given(Operator):
    """Output what a node computes or, while there are rows, the row of the step.

    Implements ``output[...] = rows[step - 1 - first]``, or ``output[...] = computed`` while no rows
    are given.

    Parameters
    ----------
    output : Signal
        What other operators read.
    computed : Signal
        What the node itself outputs.
    step : Signal
        The step counter.
    function : SimPyFunc, optional
        The operator that computes ``computed`` by calling a function. It is not called in steps
        that have a row.
    tag : str, optional
        The purpose of the operator.

    Attributes
    ----------
    rows : Rows
        The rows, for engines that run operators in Python. Other engines keep their own.

    Notes
    -----
    sets ``[output]``, incs ``[]``, reads ``[computed, step]``, updates ``[]``
    """

    def __init__(
        self,
        output: Signal,
        computed: Signal,
        step: Signal,
        function: SimPyFunc | None = None,
        tag: str | None = None,
    ):
        Operator.__init__(self, tag, sets=[output], incs=[], reads=[computed, step], updates=[])
        self.function = function
        self.rows = Rows()

    @property
    def output(self) -> Signal:
        """Signal: what other operators read."""
        return self.sets[0]

    @property
    def computed(self) -> Signal:
        """Signal: what the node itself outputs."""
        return self.reads[0]

    @property
    def step(self) -> Signal:
        """Signal: the step counter."""
        return self.reads[1]

    @property
    def _descstr(self) -> str:
        return f"{self.computed} -> {self.output}"

    def parameters(self, dt: float) -> None:
        return None

    def make_step(self, signals: SignalDict, dt: float, rng: Rng) -> Step:
        rows = self.rows
        output, computed = signals[self.output], signals[self.computed]
        step = signals[self.step]

        def step_given() -> None:
            values = rows.values
            output[...] = computed if values is None else values[step.item() - 1 - rows.first]

        return step_given
