"""The vocabulary of formulas, compiled: precise to a few units in the last place, and vectorised.

The reference is NumPy in a wider format: extended precision for float64 where the platform has
it, float64 for float32.
"""

import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit, types

import nengo_jit.engines.cpu.toolchain.llvm.elementary as compiled
from nengo_jit import scalar
from nengo_jit.engines.cpu.language.primitives import compilable, use_widest_vectors
from nengo_jit.engines.cpu.toolchain.compiler import define_helpers

DTYPES = [np.float64, np.float32]
LARGEST_ERROR = {"exp": 1.1, "expm1": 2.2, "log1p": 1.7, "tanh": 2.8}  # units in the last place
EXACT = {  # besides zero, the infinities and NaN
    "exp": lambda largest: [largest, -largest],
    "expm1": lambda largest: [largest, -largest],
    "log1p": lambda largest: [-1.0, -1.5, -largest],
    "tanh": lambda largest: [largest, -largest],
}
WIDER = {np.float64: np.longdouble, np.float32: np.float64}
ROUNDING_OF_REFERENCE = {
    dtype: 0.0 if np.finfo(WIDER[dtype]).nmant > np.finfo(dtype).nmant else 1.0 for dtype in DTYPES
}


@cache
def loop(name, fastmath):
    function = getattr(scalar, name)

    @njit(error_model="numpy", fastmath=set(fastmath))
    def apply(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    return apply


def evaluate(name, x, fastmath=()):
    y = np.empty_like(x)
    loop(name, fastmath)(x, y)
    return y


def check_precision(name, x):
    dtype = x.dtype.type
    got = evaluate(name, x)
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x.astype(WIDER[dtype]))
        rounded = exact.astype(dtype)
        special = ~np.isfinite(rounded) | ~np.isfinite(got)
        np.testing.assert_array_equal(got[special], rounded[special])
        got, exact, unit = got[~special], exact[~special], np.spacing(np.abs(rounded[~special]))
    errors = np.abs(got - exact) / unit
    assert errors.size == 0 or errors.max() <= LARGEST_ERROR[name] + ROUNDING_OF_REFERENCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_precision_on_dense_grids(name, dtype):
    near_minus_one = -1.0 + np.logspace(-16, 0, 20_001)
    grid = np.concatenate(
        [
            np.linspace(-2, 2, 200_001),
            np.linspace(-50, 50, 100_001),
            np.linspace(-760, 720, 100_001),
            near_minus_one[near_minus_one.astype(dtype) > -1.0],
        ]
    )
    check_precision(name, grid.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_precision_on_all_magnitudes(name, dtype):
    size = np.dtype(dtype).itemsize
    rng = np.random.default_rng(0)
    check_precision(name, np.frombuffer(rng.bytes(200_000 * size), dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_precision_on_single_numbers(name, dtype):
    @settings(deadline=None, derandomize=True, max_examples=300)
    @given(st.floats(width=np.finfo(dtype).bits))
    def check(x):
        check_precision(name, np.array([x], dtype=dtype))

    check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_limits_are_exact(name, dtype):
    largest = np.finfo(dtype).max
    limits = np.array([0.0, np.inf, -np.inf, np.nan, *EXACT[name](largest)], dtype=dtype)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(limits)
    np.testing.assert_array_equal(evaluate(name, limits), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh"])
def test_small_numbers_are_returned_as_they_are(name, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    small = np.array([0.0, -0.0, tiny, -tiny, np.finfo(dtype).tiny], dtype=dtype)
    got = evaluate(name, small)
    np.testing.assert_array_equal(got, small)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(small))


@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_fastmath_of_the_caller_changes_nothing(name):
    x = np.linspace(-0.9, 20.0, 1001)
    flags = ("reassoc", "contract", "nsz", "arcp", "afn")
    np.testing.assert_array_equal(evaluate(name, x, flags), evaluate(name, x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_selecting_functions_equal_those_of_numpy(dtype):
    @njit(error_model="numpy")
    def apply(a, b, results):
        for i in range(a.size):
            results[0, i] = scalar.where(a[i] > b[i], a[i], b[i])
            results[1, i] = scalar.maximum(a[i], b[i])
            results[2, i] = scalar.minimum(a[i], b[i])
            results[3, i] = scalar.clip(a[i], -1.0, 1.0)
            results[4, i] = scalar.floor(a[i])
            results[5, i] = scalar.where(scalar.above(a[i], b[i]), 1.0, 0.0)
            results[6, i] = scalar.where(scalar.reached(a[i], b[i]), 1.0, 0.0)

    numbers = [-np.inf, -2.5, -1.0, -0.3, 0.0, 0.3, 1.0, 2.5, 1e30, np.inf, np.nan]
    a, b = (grid.ravel().astype(dtype) for grid in np.meshgrid(numbers, numbers))
    results = np.empty((7, a.size), dtype=dtype)
    apply(a, b, results)
    want = [
        scalar.where(a > b, a, b),
        scalar.maximum(a, b),
        scalar.minimum(a, b),
        scalar.clip(a, -1.0, 1.0),
        scalar.floor(a),
        a > b,
        a >= b,
    ]
    np.testing.assert_array_equal(results, want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGEST_ERROR)
def test_loops_are_vectorised_and_call_no_library(name, dtype):
    evaluate(name, np.zeros(1, dtype=dtype))
    apply = loop(name, ())
    signature = next(s for s in apply.signatures if s[0].dtype.name == np.dtype(dtype).name)
    code = apply.inspect_llvm(signature)
    number = "double" if dtype is np.float64 else "float"
    assert re.search(rf"call .*<\d+ x {number}> @llvm\.fmuladd", code)
    called = set(re.findall(r"call [^@]*@([\w.]+)", code))
    assert not any(re.search(rf"{name}f?\b", function) for function in called)
    if dtype is np.float32:
        assert "fpext" not in code


def test_literals_take_the_precision():
    def formula(x):
        """Text and integers stay."""
        return 0.1 * x + 2

    single = compiled.with_precision(formula, np.float32)
    assert single(np.float32(1.0)).dtype == np.float32
    assert [type(c) for c in single.__code__.co_consts] == [str, np.float32, int]
    assert formula(1.0) == 2.1


def test_formulas_call_formulas_in_the_precision_of_their_arguments():
    def inner(x):
        return scalar.where(x > 0.0, 0.1, x)

    def outer(x):
        return 2.0 * inner(x), 0.5

    compilable(outer)  # and so what it calls
    define_helpers()

    @njit
    def call(x):
        return outer(x)

    call(np.float32(1.0))
    call(1.0)
    assert [call.overloads[s].signature.return_type.dtype for s in call.signatures] == [
        types.float32,
        types.float64,
    ]
    assert call(1.0) == (0.2, 0.5)


def test_widest_vectors_change_no_results():
    @njit
    def double(x, y):
        use_widest_vectors()
        for i in range(x.size):
            y[i] = x[i] + x[i]

    x = np.arange(100.0)
    y = np.empty_like(x)
    double(x, y)
    np.testing.assert_array_equal(y, 2.0 * x)
    assert '"prefer-vector-width"="512"' in double.inspect_llvm(double.signatures[0])
