"""Processes as kernels, compared with the reference engine."""

import nengo
import numpy as np
import pytest
from compiling import compiled
from nengo.dists import Choice, Gaussian, Uniform
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


@every_process
@every_mode
@every_precision
def test_as_reference(name, mode, bits):
    if name in GENERAL and mode == "inc":
        mode = "set"
    exact = name in EXACT and (bits == 64 or mode != "inc")
    assert_as_reference(ALL[name], mode, bits, exact)


@every_mode
@pytest.mark.parametrize("name", ["gain", "lowpass", "alpha", "third_order"])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_filters_of_arrays_that_are_not_contiguous(name, mode, shape):
    assert_as_reference(ALL[name], mode, 64, shape=shape, strided=True)


@every_mode
@pytest.mark.parametrize("name", ["uniform", "filtered", "piecewise"])
def test_outputs_that_are_not_contiguous(name, mode):
    assert_as_reference(ALL[name], mode, 64, strided=True)


def test_an_increment_by_a_filter_with_a_feedthrough():
    nengo.rc.set("precision", "bits", "64")
    inc, plain = (Setup(CpuBackend, SYNAPSES["with_d"], mode) for mode in ("inc", "set"))
    assert inc.in_python == plain.in_python == 0
    np.testing.assert_allclose(inc.run(), 0.5 + plain.run(), rtol=1e-14)


@pytest.mark.parametrize("name", ["lowpass", "alpha", "triangle"])
def test_filters_of_matrices(name):
    assert_as_reference(ALL[name], "update", 64, shape=(4, 5))


@every_mode
@pytest.mark.parametrize("name", ["gain", "lowpass", "alpha", "third_order", "triangle"])
def test_filters_of_single_numbers(name, mode):
    assert_as_reference(ALL[name], mode, 64, shape=())


@pytest.mark.parametrize("name", [*NOISE, *STORED])
def test_reset_repeats_exactly_and_depends_on_the_seed(name):
    setup = Setup(CpuBackend, ALL[name])
    first = setup.run(seed=3)
    np.testing.assert_array_equal(setup.run(seed=3), first)
    is_random = name not in ("seeded", "present_input", "piecewise", "piecewise_from_0")
    assert np.array_equal(setup.run(seed=4), first) != is_random


@pytest.mark.parametrize("name", ALL)
def test_two_runs_equal_one_longer(name):
    whole, parts = (Setup(CpuBackend, ALL[name], mode="update") for _ in range(2))
    for setup in (whole, parts):
        setup.engine.reset(3)
        if setup.input is not None:
            setup.engine.signals[setup.input][...] = 0.7
    whole.engine.run(20)
    parts.engine.run(7)
    parts.engine.run(13)
    np.testing.assert_array_equal(
        whole.engine.signals[whole.output], parts.engine.signals[parts.output]
    )


@pytest.mark.parametrize("n", [1, 2, 25, 255, 700])
def test_noise_of_any_size(n):
    assert_as_reference(WhiteNoise(), "set", 64, exact=True, shape=(n,))


def test_a_silent_input_gives_silence_even_without_a_feedthrough():
    setup = Setup(CpuBackend, Alpha(0.01))
    setup.inputs[...] = 0
    assert not setup.run().any()


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


class OtherGenerator(WhiteNoise):
    def get_rng(self, rng):
        rng.randint(10)
        return np.random.RandomState(1)


class OtherGaussian(Gaussian):
    def sample(self, n, d=None, rng=np.random):
        return np.ones((n, d))


class OtherStep(PresentInput):
    def make_step(self, *args):
        step = super().make_step(*args)
        return lambda t: -step(t)


class Doubled(Lowpass):
    def make_step(self, *args):
        step = super().make_step(*args)
        return lambda t, x: 2 * step(t, x)


@pytest.mark.parametrize(
    "process",
    [
        WhiteNoise(Choice([[1, 2, 3]])),
        WhiteNoise(Uniform(0, 9, integer=True)),
        WhiteNoise(OtherGaussian(0, 1)),
        OtherGenerator(),
        FilteredNoise(Triangle(0.01)),
        FilteredNoise(Doubled(0.01)),
        OtherStep(np.ones((2, 3)), 0.01),
        Doubled(0.01),
        Piecewise({0: lambda t: [t, 1, 2], 0.01: [0, 1, 0]}),
        Piecewise({0: [0, 1, 2], 0.1: [0, 1, 0]}, interpolation="linear"),
    ],
    ids=lambda process: type(process).__name__,
)
def test_what_is_not_known_exactly_runs_in_python(process):
    native, reference = (Setup(cls, process) for cls in (CpuBackend, ReferenceBackend))
    assert native.in_python == 1
    np.testing.assert_array_equal(native.run(), reference.run())


def test_a_step_that_was_replaced_in_the_instance_is_run():
    process = WhiteNoise(seed=0)
    process.__dict__["make_step"] = lambda *args: lambda t: [t, 0, 0]
    native = Setup(CpuBackend, process)
    assert native.in_python == 1
    assert native.run(n_steps=2).tolist() == [[0.001, 0, 0], [0.002, 0, 0]]


def test_errors_of_a_process_come_when_it_is_reset():
    setup = Setup(CpuBackend, WhiteSignal(1.0, high=1000))
    with pytest.raises(nengo.exceptions.ValidationError, match="Nyquist"):
        setup.engine.reset(0)
