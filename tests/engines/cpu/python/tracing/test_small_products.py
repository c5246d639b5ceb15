"""Products of small vectors and matrices have the same bits as those that NumPy leaves to BLAS."""

import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from nengo_jit.engines.cpu.python.tracing import products
from nengo_jit.engines.cpu.python.tracing.values import Unsupported

LENGTHS = 1, 2, 3, 9
SIZE = 4 * max(LENGTHS) ** 2
SHAPES = [((m, n), (n, p)) for m, n, p in product(LENGTHS, repeat=3)]
SHAPES += [((m, n), (n,)) for m, n in product(LENGTHS, repeat=2)]
SHAPES += [((n,), (n, p)) for n, p in product(LENGTHS, repeat=2)]
SHAPES += [((n,), (n,)) for n in LENGTHS]
ALL, EVEN, BACKWARDS = slice(None), slice(None, None, 2), slice(None, None, -1)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, 1e-170, -1e-170, 1e-310]  # squares underflow
TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
FUNCTIONS = pytest.mark.parametrize("function", [np.dot, np.matmul])


def contiguous(numbers, shape):
    return numbers[: np.prod(shape)].reshape(shape)


def transposed(numbers, shape):
    return contiguous(numbers, shape[::-1]).T


def strided(numbers, shape):
    return contiguous(numbers, [2 * n for n in shape])[(EVEN,) * len(shape)]


def reversed_(numbers, shape):
    return contiguous(numbers, shape)[(BACKWARDS,) * len(shape)]


def shifted(numbers, shape):
    return contiguous(numbers[1:], shape)


def column(numbers, shape):
    return contiguous(numbers, shape) if len(shape) > 1 else contiguous(numbers, (*shape, 3))[:, 1]


LAYOUTS = {
    "contiguous": (contiguous, contiguous),
    "transposed and contiguous": (transposed, contiguous),
    "columns and transposed": (column, transposed),
    "strided and reversed": (strided, reversed_),
    "contiguous and reversed": (contiguous, reversed_),
    "contiguous and shifted": (contiguous, shifted),
    "reversed and columns": (reversed_, column),
}


def inputs(n_steps=12):
    """Random numbers, and then more and more special ones."""
    rng = np.random.RandomState(1)
    made = rng.uniform(-2, 2, (n_steps, SIZE))
    for row, share in zip(made[n_steps // 2 :], np.linspace(0.1, 1, n_steps)):
        is_special = rng.uniform(size=SIZE) < share
        row[is_special] = rng.choice(SPECIAL, is_special.sum())
    return made


def multiplies(function, dtypes, of_first, of_second, shapes=tuple(SHAPES)):
    """A function of a node that multiplies arrays of all shapes, in two layouts."""

    def compute(t, x):
        first, second = x.astype(dtypes[0]), (x[::-1] * 0.7).astype(dtypes[1])
        return np.concatenate(
            [np.ravel(function(of_first(first, a), of_second(second, b))) for a, b in shapes]
        )

    return compute


N_RESULTS = multiplies(np.dot, (np.float64,) * 2, contiguous, contiguous)(0.0, np.zeros(SIZE)).size


@TYPES
@FUNCTIONS
@pytest.mark.parametrize("layouts", LAYOUTS)
def test_products_of_all_shapes(run_function, function, dtype, layouts):
    compute = multiplies(function, (dtype, dtype), *LAYOUTS[layouts])
    assert run_function(compute, inputs(), N_RESULTS) == "compiled"


@TYPES
@FUNCTIONS
@pytest.mark.parametrize("layouts", LAYOUTS)
def test_products_of_two_types(run_function, function, dtype, layouts):
    """NumPy converts the operand of single precision first."""
    other = np.float32 if dtype == np.float64 else np.float64
    compute = multiplies(function, (dtype, other), *LAYOUTS[layouts])
    assert run_function(compute, inputs(), N_RESULTS) == "compiled"


@FUNCTIONS
def test_products_of_two_types_do_not_need_numpy(function):
    types = np.dtype(np.float64), np.dtype(np.float32)
    for dtypes in (types, types[::-1]):
        for first, second in SHAPES:
            layouts = (products._layout_of(np.zeros(shape)) for shape in (first, second))
            products._way(function, dtypes, *layouts)


@pytest.mark.parametrize("kernels", ["Prescott", "Haswell", "SkylakeX"])
def test_other_kernels_of_openblas(kernels):
    """A vector's product with another one depends on their alignment in the oldest of these."""
    only = "test_products_of_all_shapes and dot and float64"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", __file__, "-k", only]
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernels}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"{len(LAYOUTS)} passed" in process.stdout


def test_numbers_that_are_not_finite(run_function):
    """NumPy computes such products, in the same step."""
    given = inputs(8)
    for row, special in zip(given, [np.inf, -np.inf, np.nan, 1e308, 1e200]):
        row[1] = special
    compute = multiplies(np.dot, (np.float64,) * 2, contiguous, contiguous)
    run_function(lambda t, x: np.nan_to_num(compute(t, x)), given, N_RESULTS)


VECTORS = ((3,), (1,)), ((3,), (1,))


def backwards(a, b):
    return (a[2] * b[2] + a[1] * b[1]) + a[0] * b[0]


def by_alignment(a, b):
    return np.dot(a, b) if a.ctypes.data % 16 == 0 else backwards(a, b)


@TYPES
@pytest.mark.parametrize("function", [backwards, by_alignment, np.vdot])
def test_a_way_is_one_that_gives_the_same_bits(function, dtype):
    dtypes = (np.dtype(dtype),) * 2
    by_numpy = products._way(np.matmul, dtypes, *VECTORS)
    assert by_numpy is products.BY_LOOP
    if function is np.vdot:
        assert products._way(function, dtypes, *VECTORS) is by_numpy
    else:
        with pytest.raises(Unsupported, match="multiplies"):
            products._way(function, dtypes, *VECTORS)
