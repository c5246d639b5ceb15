import nengo
import numpy as np
import pytest
from nengo.synapses import Alpha, Lowpass
from processes import ALL, SYNAPSES, Setup, assert_as_reference, every_mode

from nengo_jit.builder import Model, Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.kernels.filters import LARGE
from nengo_jit.ir.processes import SimProcess


@every_mode
@pytest.mark.parametrize("name", ["gain", "lowpass", "alpha", "third_order"])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_filters_of_arrays_that_are_not_contiguous(name, mode, shape):
    assert_as_reference(ALL[name], mode, 64, shape=shape, strided=True)


def test_an_increment_by_a_filter_with_a_feedthrough():
    nengo.rc.set("precision", "bits", "64")
    inc, plain = (Setup(CpuBackend, SYNAPSES["with_d"], mode) for mode in ("inc", "set"))
    assert inc.in_python == plain.in_python == 0
    np.testing.assert_allclose(inc.run(), 0.5 + plain.run(), rtol=1e-14)


@pytest.mark.parametrize("name", ["lowpass", "alpha", "triangle"])
def test_filters_of_matrices(name):
    assert_as_reference(ALL[name], "update", 64, shape=(4, 5))


@every_mode
@pytest.mark.parametrize("bits", [32, 64])
def test_filters_of_many_numbers_keep_their_state_in_their_output(mode, bits):
    assert_as_reference(ALL["lowpass"], mode, bits, shape=(LARGE,))


def test_the_state_of_many_numbers_may_be_read_and_changed(run_both):
    rng = np.random.RandomState(0)
    u, y, state = (Signal(rng.uniform(-1, 1, shape)) for shape in (LARGE, LARGE, (1, LARGE)))
    model = Model()
    model.add_op(SimProcess(Lowpass(0.01), u, y, model.time, "update", {"X": state}))
    engines = run_both(model, 5)
    for signal in (state, y, u, state, y):
        for engine in engines:
            engine.hand_out(signal)
            engine.settle()
        for each in (u, y, state):
            assert np.allclose(*(engine.signals[each] for engine in engines), 1e-12)
        for engine in engines:
            engine.hand_out(signal)[...] += 0.5
            engine.run(3)


@every_mode
@pytest.mark.parametrize("name", ["gain", "lowpass", "alpha", "third_order", "triangle"])
def test_filters_of_single_numbers(name, mode):
    assert_as_reference(ALL[name], mode, 64, shape=())


def test_a_silent_input_gives_silence_even_without_a_feedthrough():
    setup = Setup(CpuBackend, Alpha(0.01))
    setup.inputs[...] = 0
    assert not setup.run().any()
