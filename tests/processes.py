"""Processes, and models of one process each, run by one engine."""

import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.dists import Gaussian, Uniform
from nengo.processes import (
    BrownNoise,
    FilteredNoise,
    Piecewise,
    PresentInput,
    WhiteNoise,
    WhiteSignal,
)
from nengo.synapses import Alpha, LinearFilter, Lowpass, Triangle

from nengo_jit.builder import Model, build_process
from nengo_jit.builder.operator import Reset
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.reference import ReferenceBackend

N_STEPS = 60
DT = 0.001
SYNAPSES = {
    "gain": LinearFilter([0.5], [1]),
    "lowpass": Lowpass(0.01),
    "alpha": Alpha(0.01),
    "discrete": LinearFilter([0.2, 0.1], [1, -0.7], analog=False),
    "with_d": LinearFilter([1e-4, 0.02, 1], [2e-4, 0.03, 1]),
    "third_order": Lowpass(0.02).combine(Alpha(0.01)),
    "triangle": Triangle(0.008),
    "short_triangle": Triangle(0.0),
}
NOISE = {
    "normal": WhiteNoise(),
    "normal_unscaled": WhiteNoise(Gaussian(-0.3, 2.5), scale=False),
    "uniform": WhiteNoise(Uniform(-1, 3)),
    "uniform_unscaled": WhiteNoise(Uniform(2, 1), scale=False),
    "seeded": WhiteNoise(seed=8),
    "filtered": FilteredNoise(),
    "filtered_alpha": FilteredNoise(Alpha(0.01), Uniform(-2, 1), scale=False),
    "filtered_gain": FilteredNoise(LinearFilter([0.5], [1])),
    "brown": BrownNoise(),
}
STORED = {
    "white_signal": WhiteSignal(0.04, high=100),
    "white_signal_y0": WhiteSignal(0.035, high=200, y0=0.1),
    "present_input": PresentInput(np.arange(15).reshape(5, 3) / 7.0, 0.0085),
    "piecewise": Piecewise({0.01: [1, 2, 3], 0.0305: [0.1, -1, 0], 0.03: [5, 5, 6]}),
    "piecewise_from_0": Piecewise({0: [1, 0, 2], 0.02: [0.1, -1, 0]}),
}
GENERAL = ["discrete", "with_d"]  # nengo cannot increment by their outputs, of one more dimension
EXACT = {*STORED, *NOISE} - {"filtered", "filtered_alpha", "filtered_gain", "brown"}
ALL = {**SYNAPSES, **NOISE, **STORED}
every_process = pytest.mark.parametrize("name", ALL)
every_mode = pytest.mark.parametrize("mode", ["set", "inc", "update"])
every_precision = pytest.mark.parametrize("bits", [64, 32])


class Setup:
    """A process in a model of its own, run by one engine."""

    def __init__(self, engine_class, process, mode="set", shape=(3,), strided=False):
        model = Model(dt=DT)
        self.input = None
        if isinstance(process, nengo.synapses.Synapse):
            self.input = self._signal(shape, strided)
        self.output = self._signal(shape, strided)
        if mode == "inc":
            model.add_op(Reset(self.output, value=0.5))
        build_process(model, process, self.input, self.output, mode=mode)
        self.engine = compiled(model, engine_class)
        self.inputs = np.random.RandomState(0).uniform(-1, 1, (N_STEPS, *shape))

    @staticmethod
    def _signal(shape, strided):
        if not strided:
            return Signal(shape=shape)
        every_second = (*(slice(None) for _ in shape[1:]), slice(None, None, 2))
        return Signal(shape=(*shape[:-1], 2 * shape[-1]))[every_second]

    def run(self, seed=3, n_steps=N_STEPS):
        self.engine.reset(seed)
        outputs = []
        for x in self.inputs[:n_steps]:
            if self.input is not None:
                self.engine.signals[self.input][...] = x
            self.engine.run(1)
            outputs.append(self.engine.signals[self.output].copy())
        return np.array(outputs)

    @property
    def in_python(self):
        return len(self.engine.callbacks)


def assert_as_reference(process, mode, bits, exact=False, **how):
    nengo.rc.set("precision", "bits", str(bits))
    native, reference = (Setup(cls, process, mode, **how) for cls in (CpuBackend, ReferenceBackend))
    assert native.in_python == 0
    got, want = native.run(), reference.run()
    assert got.dtype == want.dtype == f"f{bits // 8}"
    assert np.ptp(want) > 0
    if exact:
        np.testing.assert_array_equal(got, want)
    else:
        tolerance = {64: 1e-12, 32: 2e-5}[bits]
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max())
