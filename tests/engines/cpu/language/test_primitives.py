"""The machine: subnormal numbers, which are zero in single precision alone; and lanes."""

import nengo
import numpy as np
import pytest
from compiling import compiled

from nengo_jit.builder import Model
from nengo_jit.builder.operator import ElementwiseInc, Reset, SimPyFunc
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.language.kernel import kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    PRECISIONS,
    Address,
    Memory,
    add_product,
    load_lanes,
    n_lanes,
    store_lanes,
    vector,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import IS_X86

N = 1000

only_x86 = pytest.mark.skipif(not IS_X86, reason="other processors compute with them")
either_precision = pytest.mark.parametrize("bits", ["32", "64"])


def multiply(x, factor):
    """A model that multiplies N numbers, which are all the same."""
    model = Model()
    dtype = nengo.rc.float_dtype
    y = Signal(np.zeros(N, dtype))
    model.add_op(Reset(y))
    factors, numbers = (Signal(np.full(N, value, dtype)) for value in (factor, x))
    model.add_op(ElementwiseInc(factors, numbers, y))
    return model, y


def products(run_both, bits, threads):
    """Products that are subnormal, and of what is subnormal: on both engines."""
    nengo.rc.set("precision", "bits", bits)
    tiny = np.finfo(nengo.rc.float_dtype).tiny
    for x, factor in ((tiny, 0.5), (0.5 * tiny, 4.0)):
        model, y = multiply(x, factor)
        cpu, reference = run_both(model, 2, threads)
        yield cpu.signals[y], reference.signals[y]


@only_x86
@pytest.mark.parametrize("threads", [1, 3])
def test_zero_in_single_precision(run_both, threads):
    for got, want in products(run_both, "32", threads):
        assert np.all(want > 0)
        assert np.all(got == 0)


@pytest.mark.parametrize("threads", [1, 3])
def test_computed_in_double_precision(run_both, threads):
    for got, want in products(run_both, "64", threads):
        assert np.all(want > 0)
        np.testing.assert_array_equal(got, want)


def is_computed(t):
    """Whether subnormal numbers are computed where this is called."""
    return 1.0 if float(t) * 1e-310 > 0.0 else 0.0


def run_function(function, n_steps=5, **options):
    model = Model()
    output = Signal(np.zeros(1))
    model.add_op(SimPyFunc(output, function, t=model.time, x=None))
    engine = compiled(model, **options)
    engine.reset(0)
    plan = engine.explain()
    engine.run(n_steps)
    return plan, engine.signals[output]


@either_precision
def test_computed_in_python_and_in_tapes(bits):
    nengo.rc.set("precision", "bits", bits)
    for is_compiled in (True, False):
        plan, output = run_function(is_computed, compile_python=is_compiled)
        assert bool(plan.compiled) == is_compiled
        assert output == 1.0


@either_precision
def test_computed_after_a_run_even_if_it_failed(bits):
    nengo.rc.set("precision", "bits", bits)

    def fail(t):
        if t > 0.0025:
            raise ValueError("no more")
        return t

    assert is_computed(1.0)
    run_function(lambda t: t)
    assert is_computed(1.0)
    with pytest.raises(ValueError, match="no more"):
        run_function(fail)
    assert is_computed(1.0)


@kernel()
def add_multiple(
    memory: Memory, y: Address, x: Address, factor: Address, n_x: int, n_y: int, n_stored: int
) -> int:
    """Add to some of the numbers at y those at x, times a factor; returns how many lanes there are.

    So many numbers of x and of y are loaded, and so many are stored.
    """
    lanes = load_lanes(memory, y, n_y)
    lanes = add_product(lanes, vector(memory, factor, 1)[0], load_lanes(memory, x, n_x))
    store_lanes(y, n_stored, lanes)
    return n_lanes(memory)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("counts", [(100, 100, 100), (3, 2, 100), (100, 1, 3), (0, -5, 2)])
def test_lanes(dtype, counts):
    rng = np.random.RandomState(0)
    y, x, factor = (rng.randn(n).astype(dtype) for n in (20, 20, 1))
    n_x, n_y, n_stored = counts
    want = y.copy()
    row = add_multiple.row(
        y=start(y), x=start(x), factor=start(factor), n_x=n_x, n_y=n_y, n_stored=n_stored
    )
    table = table_of([row])
    n = ENTRY(address_of(add_multiple, dtype))(None, start(table))
    assert n * dtype.itemsize in (32, 64)
    places = np.arange(min(n_stored, n))
    loaded = [np.where(places < m, v[places], 0) for v, m in ((want, n_y), (x, n_x))]
    want[places] = loaded[0] + factor * loaded[1]
    np.testing.assert_allclose(y, want, rtol=10 * np.finfo(dtype).eps)
