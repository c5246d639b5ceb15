"""Processes as kernels, compared with the reference engine."""

import numpy as np
import pytest
from nengo.dists import Choice, Gaussian, Uniform
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise
from nengo.synapses import Lowpass, Triangle
from processes import (
    ALL,
    EXACT,
    GENERAL,
    NOISE,
    STORED,
    Setup,
    assert_as_reference,
    every_mode,
    every_precision,
    every_process,
)

from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.reference import ReferenceBackend


@every_process
@every_mode
@every_precision
def test_as_reference(name, mode, bits):
    if name in GENERAL and mode == "inc":
        mode = "set"
    exact = name in EXACT and (bits == 64 or mode != "inc")
    assert_as_reference(ALL[name], mode, bits, exact)


@every_mode
@pytest.mark.parametrize("name", ["uniform", "filtered", "piecewise"])
def test_outputs_that_are_not_contiguous(name, mode):
    assert_as_reference(ALL[name], mode, 64, strided=True)


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
