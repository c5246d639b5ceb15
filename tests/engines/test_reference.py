import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.builder.operator import Operator as NengoOperator

from nengo_jit.builder import Model, Signal
from nengo_jit.builder.signal import ALIGNMENT, address


def engine_for(model):
    engine = compiled(model, "reference")
    engine.reset(0)
    return engine


def test_it_runs_make_step_of_operators_it_has_never_seen():
    class Count(NengoOperator):
        def __init__(self, signal):
            super().__init__(tag="count")
            self.sets, self.incs, self.reads, self.updates = [], [], [], [signal]
            self.buffer = Signal(np.zeros(1), name="buffer")

        def init_signals(self, signals):
            super().init_signals(signals)
            signals.init(self.buffer)

        def make_step(self, signals, dt, rng):
            target, buffer = signals[self.updates[0]], signals[self.buffer]

            def step():
                buffer[...] += 1
                target[...] = 2 * buffer

            return step

    model = Model()
    signal = Signal(np.zeros(1), name="counted")
    model.add_op(Count(signal))
    engine = engine_for(model)
    engine.run(3)
    assert engine.signals[signal].tolist() == [6]
    engine.reset(0)
    engine.run(1)
    assert engine.signals[signal].tolist() == [2]


def test_writable_memory_is_in_aligned_pieces_and_constants_are_not_copied():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(7, 2)
    model = Model()
    model.build(net)
    engine = engine_for(model)
    for signal, array in engine.signals.items():
        if signal.readonly:
            assert array is signal.initial_value
        elif not signal.is_view:
            assert address(array) % ALIGNMENT == 0
    assert model.sig[ens]["encoders"].readonly


def test_an_error_says_in_which_step_and_operator():
    with nengo.Network() as net:
        nengo.Node(lambda t: None if t > 0.0015 else 0.0, label="broken")
    model = Model()
    model.build(net)
    engine = engine_for(model)
    with pytest.raises(nengo.exceptions.SimulationError) as info:
        engine.run(5)
    context = "".join(info.value.__notes__)
    assert "step 2 (t = 0.002 s)" in context
    assert "broken" in context
