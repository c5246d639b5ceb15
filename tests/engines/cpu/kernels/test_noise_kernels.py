import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.processes import FilteredNoise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import Alpha, Triangle
from processes import assert_as_reference

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.reference import ReferenceBackend


@pytest.mark.parametrize("n", [1, 2, 25, 255, 700])
def test_noise_of_any_size(n):
    assert_as_reference(WhiteNoise(), "set", 64, exact=True, shape=(n,))


def test_processes_draw_their_seeds_in_order():
    def samples(engine_class):
        with nengo.Network(seed=0) as net:
            noise = nengo.Node(WhiteNoise(), size_out=2)
            shown = nengo.Node(PresentInput([[1.0], [2.0]], 0.003))
            ens = nengo.Ensemble(30, 2, noise=FilteredNoise())
            signal = nengo.Node(WhiteSignal(0.1, high=50))
            nengo.Connection(noise, ens, synapse=Triangle(0.004))
            nengo.Connection(shown, ens[0], synapse=Alpha(0.01))
            nengo.Connection(signal, ens[1], synapse=None)
            probes = [nengo.Probe(each) for each in (noise, shown, ens, signal)]
            probes.append(nengo.Probe(ens.neurons, "input"))
        model = Model()
        model.build(net)
        engine = compiled(model, engine_class)
        engine.reset(5)
        engine.run(50)
        assert not getattr(engine, "callbacks", None)
        return [np.array(engine.samples[probe]) for probe in probes]

    for got, want in zip(samples(CpuBackend), samples(ReferenceBackend)):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
