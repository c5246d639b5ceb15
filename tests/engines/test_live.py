"""The memory of a simulation as users see it."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.ir.signal import Signal


@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_it_is_a_mapping_of_live_arrays(engine):
    with nengo.Network() as net:
        u = nengo.Node([0.5, 1.0])
        v = nengo.Node(size_in=2)
        nengo.Connection(u, v, synapse=None, transform=[2, 2])
    with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
        signal = sim.model.sig[u]["out"]
        live = sim.signals
        assert signal in live
        assert len(live) == len(list(live))
        assert live[signal].tolist() == [0.5, 1.0]
        assert live[signal[:1]].tolist() == [0.5]
        live[signal] = [3.0, 4.0]
        assert live[signal].tolist() == [3.0, 4.0]
        sim.step()
        assert live[sim.model.sig[v]["in"]].tolist() == [6.0, 8.0]
        assert all(repr(each) in str(live) for each in live)
        with pytest.raises(KeyError, match="no memory"):
            live[Signal(np.zeros(2), name="stranger")]
        constant = next(each for each in live if each.readonly and each.size)
        with pytest.raises(ValueError, match="read-only"):
            live[constant] = 0.0


def test_who_never_looks_does_not_pay():
    """Programs are made anew only where they rely on that nobody looks."""
    with nengo.Network(seed=0) as net:
        u = nengo.Node(nengo.processes.WhiteSignal(1.0, 5))
        ens = nengo.Ensemble(20, 1)
        conn = nengo.Connection(u, ens)
    with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
        engine = sim._engine
        sim.run_steps(3)
        lowering = engine._lowering
        for signal in (sim.model.sig[ens.neurons]["voltage"], sim.model.sig[ens]["encoders"]):
            sim.signals[signal].copy()
        assert sim.data[ens].bias.size == 20
        assert sim.data[conn].weights is None
        sim.run_steps(3)
        assert engine._lowering is lowering
        encoders = sim.signals[sim.model.sig[ens]["encoders"]]
        encoders.setflags(write=True)
        encoders[...] = 0
        sim.run_steps(3)
        assert engine._lowering is not lowering
        lowering = engine._lowering
        encoders[...] = 1
        sim.run_steps(3)
        assert engine._lowering is lowering
