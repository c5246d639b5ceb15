"""A small circuit of operators, all of which can be fused, and how it is fused."""

from dataclasses import replace

import nengo
import numpy as np

from nengo_jit.builder import Model, Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.program.exposure import Exposure
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.ir.learning_rules import SimPES
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.processes import SimProcess
from nengo_jit.planner import ProbePlan, passes

N, M = 6, 4  # neurons, and what they represent


class Circuit:
    """Currents that are encoded, LIF neurons, and two products of spikes that are equal."""

    def __init__(self):
        self.model = Model()
        self.exposed = []
        numbers = np.random.RandomState(0).uniform(-1, 1, (N, M))
        self.x, self.J, self.spikes = signal(M, name="x"), signal(N, name="J"), signal(N)
        self.encoders = Signal(numbers, readonly=True)
        self.stimulus = self.filter(signal(M), self.x, "set")
        self.state = {name: signal(N) for name in nengo.LIF.state}
        self.bias = Copy(Signal(np.ones(N), readonly=True), self.J)
        self.encoding = DotInc(self.encoders, self.x, self.J)
        self.neurons = SimNeurons(nengo.LIF(), self.J, self.spikes, self.state)
        self.decoders = [Signal(numbers.T.copy(), readonly=True) for _ in range(2)]
        self.y = [signal(M) for _ in range(2)]
        self.resets = [Reset(y) for y in self.y]
        self.decodings = [DotInc(d, self.spikes, y) for d, y in zip(self.decoders, self.y)]
        self.read = [self.filter(y, signal(M), "update") for y in self.y]

    def filter(self, input, output, mode):
        """A process, which is carried out in each step, since it keeps a state."""
        state = {"X": signal(1, *output.shape)}
        return SimProcess(nengo.Lowpass(0.1), input, output, self.model.time, mode, state)

    @property
    def operators(self):
        return [
            self.stimulus,
            *(self.bias, self.encoding, self.neurons),
            *(*self.resets, *self.decodings, *self.read),
        ]

    def fuse(self, *more, probed=()):
        """Fusion of these operators and some more."""
        for operator in (*self.operators, *more):
            self.model.add_op(operator)
        return lowering_for(self.model, self.exposed, probed).fusion


def signal(*shape, **options):
    return Signal(np.zeros(shape), **options)


def lowering_for(model, exposed=(), probed=()):
    """A Lowering for a model, before anything is lowered."""
    plan = replace(
        CpuBackend().plan(model), probes=tuple(ProbePlan(None, each, 1) for each in probed)
    )
    signals = SignalDict()
    signals.allocate_runs(plan.runs)
    signals.allocate(each for op in plan.operators for each in op.all_signals)
    exposure = Exposure(plan.operators, signals)
    exposure.public.update(exposed)
    if exposed:
        plan = passes.expose(plan, exposure.private, exposure.public)
    return Lowering(plan, signals, exposure)


def pes():
    return SimPES(signal(N), signal(M), signal(M, N), 0.1)
