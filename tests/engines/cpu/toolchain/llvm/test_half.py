"""Numbers of half precision in kernels: each operation has NumPy's bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nengo_jit.engines.cpu.language.columns import Count, In
from nengo_jit.engines.cpu.language.kernel import kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    FLOAT16,
    Address,
    Memory,
    compilable,
    scalars,
    vector,
)
from nengo_jit.engines.cpu.toolchain import half_tables
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.scalar import above, clip, exp, expm1, floor, log1p, maximum, minimum, tanh, where

N_RESULTS = 20
ODD = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    6e-8,
    -6e-8,
    6e-5,
    6.1e-5,
    65504.0,
    -65504.0,
    1.0,
    2049.0,
]

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def formula(x, y, first, second):
    """A formula for numbers x and y, and parameters, as those in `nengo_jit.neurons`."""
    voltage = x - (y - x) * expm1(-x / first)
    is_high = voltage > 1.0
    return (
        where(is_high, 0.0, voltage),
        where(above(voltage, 1.0), first / second, 0.0) * 0.1,
        (1.0 / first) * tanh(maximum(0.0, y)),
        floor(x) * second + minimum(y, 3.0),
        clip(second - x, 0.0, first),
        exp(x) + log1p(y),
        (first / second) / (1.0 + exp(-x)),
    )


@kernel()
def operations(
    memory: Memory, a: In, b: In, results: Address, parameters: Address, n: Count
) -> None:
    x, y, p = vector(memory, a, n), vector(memory, b, n), scalars(memory, parameters, 2)
    r = vector(memory, results, N_RESULTS * n)
    for i in range(n):
        r[i], r[n + i], r[2 * n + i] = x[i] + y[i], x[i] - y[i], x[i] * y[i]
        r[3 * n + i], r[4 * n + i] = x[i] / y[i], x[i] * p[0] + y[i]
        r[5 * n + i], r[6 * n + i] = -(x[i] - 1) / (y[i] - 1), abs(x[i])
        r[7 * n + i], r[8 * n + i] = x[i] > y[i], x[i] != y[i]
        r[9 * n + i] = np.float64(x[i]) * np.float64(y[i]) * 0.3
        r[10 * n + i] = np.float32(x[i]) * np.float32(y[i]) + np.float32(x[i])
        r[11 * n + i] = (p[0] / p[1]) * x[i]
        made = step(x[i], y[i], p[0], p[1])
        r[12 * n + i], r[13 * n + i], r[14 * n + i] = made[0], made[1], made[2]
        r[15 * n + i], r[16 * n + i], r[17 * n + i] = made[3], made[4], made[5]
        r[18 * n + i] = made[6]
        r[19 * n + i] = (x[i] <= y[i]) + 2 * (x[i] == p[0])


step = compilable(formula)


def by_numpy(x, y, p):
    """What the kernel computes."""
    single, double = [[each.astype(kind) for each in (x, y)] for kind in (np.float32, float)]
    return [
        *(x + y, x - y, x * y, x / y, x * p[0] + y, -(x - 1) / (y - 1), abs(x), x > y, x != y),
        *(double[0] * double[1] * 0.3, single[0] * single[1] + single[0], (p[0] / p[1]) * x),
        *formula_by_numpy(x, y, *p),
        (x <= y) + 2.0 * (x == p[0]),
    ]


def formula_by_numpy(x, y, first, second):
    voltage = x - (y - x) * np.expm1(-x / first)
    is_high = voltage > 1.0
    return (
        np.where(is_high, np.float16(0), voltage),
        (is_high * (first / second)).astype(np.float16) * 0.1,
        (1.0 / first) * np.tanh(np.maximum(0.0, y)),
        np.floor(x) * second + np.minimum(y, 3.0),
        np.clip(second - x, 0.0, first),
        np.exp(x) + np.log1p(y),
        (first / second) / (1.0 + np.exp(-x)),
    )


def check(x, y, p):
    n, results = len(x), np.zeros(N_RESULTS * len(x), np.float16)
    parameters = np.array(p)
    row = operations.row(
        a=start(x), b=start(y), results=start(results), parameters=start(parameters), n=n
    )
    table = table_of([row])
    assert ENTRY(address_of(operations, FLOAT16))(None, start(table)) == 0
    for number, expected in enumerate(by_numpy(x, y, p)):
        found = results[number * n : (number + 1) * n]
        expected = np.asarray(expected).astype(np.float16)
        is_same = (found.view(np.uint16) == expected.view(np.uint16)) | (
            np.isnan(found) & np.isnan(expected)
        )
        assert is_same.all(), (number, x[~is_same], y[~is_same], found[~is_same])


def test_random_bits():
    rng = np.random.RandomState(0)
    x, y = rng.randint(0, 1 << 16, (2, 1 << 18)).astype(np.uint16).view(np.float16)
    check(x, y, (0.02, 0.001))


numbers = st.one_of(st.sampled_from(ODD), st.floats(width=16))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    xy=arrays(np.float16, (2, 7), elements=numbers),
    p=st.tuples(*[st.floats(1e-9, 1e6), st.floats(1e-3, 1e3)]),
)
def test_odd_numbers(xy, p):
    check(xy[0].copy(), xy[1].copy(), p)


@kernel()
def store_doubles(memory: Memory, numbers: Address, results: Address, n: Count) -> None:
    given, rounded = scalars(memory, numbers, n), vector(memory, results, n)
    for i in range(n):
        rounded[i] = given[i]


def test_doubles_are_rounded_once():
    """Also those that are next to the middle between two numbers of half precision."""
    numbers = np.arange(0, 0x7C00, dtype=np.uint16).view(np.float16).astype(float)
    middles = (numbers[1:] + numbers[:-1]) / 2
    given = np.concatenate([middles, np.nextafter(middles, 0), np.nextafter(middles, 1e9)])
    given = np.concatenate([given, -given, [65519.99, 65520.0, 1e300, np.inf, np.nan, 1e-300]])
    results = np.zeros(given.size, np.float16)
    row = store_doubles.row(numbers=start(given), results=start(results), n=given.size)
    table = table_of([row])
    assert ENTRY(address_of(store_doubles, FLOAT16))(None, start(table)) == 0
    np.testing.assert_array_equal(results, given.astype(np.float16))


@pytest.mark.parametrize("name", half_tables.FUNCTIONS)
def test_tables_have_numpys_results(name):
    table = half_tables.table_of(half_tables.symbol_of(name))
    x = np.random.RandomState(1).normal(size=1000).astype(np.float16)
    np.testing.assert_array_equal(table[x.view(np.uint16)], getattr(np, name)(x))
    assert table.shape == (1 << 16,)
    assert table.dtype == np.float16
