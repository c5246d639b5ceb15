"""Elementwise operations on arrays give what NumPy gives, for any size and any operands."""

import numpy as np
import pytest

from nengo_jit.builder.signal import aligned_block
from nengo_jit.engines.cpu.language.kernel import kernel, start, table_of
from nengo_jit.engines.cpu.language.operations import Operation
from nengo_jit.engines.cpu.language.primitives import ENTRY, FLOAT64, Address, Memory, calculate
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e308, -5e-324, 1e39, 2.0**53, -(2.0**53), 0.5, 2.5]


@kernel(exact=True)
def calculate_once(
    memory: Memory,
    operation: int,
    n: int,
    result: Address,
    a: Address,
    b: Address,
    c: Address,
    numbers: int,
) -> int:
    """Compute one operation; returns zero if all results are finite."""
    return 0 if calculate(operation, n, result, a, b, c, numbers) else 1


def rounded(numbers):
    return numbers.astype(np.float32).astype(np.float64)


def short(function):
    return lambda *operands: rounded(function(*operands))


def at_most(a, c):
    return np.where(a > c, c, a)


def integer(a, b, c):
    return np.where(np.abs(a) < 2.0**53, a + 0.0, np.inf)


EXPECTED = {
    Operation.MOVE: lambda a, b, c: a,
    Operation.ADD: lambda a, b, c: a + b,
    Operation.SUBTRACT: lambda a, b, c: a - b,
    Operation.MULTIPLY: lambda a, b, c: a * b,
    Operation.DIVIDE: lambda a, b, c: a / b,
    Operation.NEGATIVE: lambda a, b, c: -a,
    Operation.ABSOLUTE: lambda a, b, c: np.abs(a),
    Operation.SQRT: lambda a, b, c: np.sqrt(a),
    Operation.FLOOR: lambda a, b, c: np.floor(a),
    Operation.CEIL: lambda a, b, c: np.ceil(a),
    Operation.TRUNC: lambda a, b, c: np.trunc(a),
    Operation.RINT: lambda a, b, c: np.rint(a),
    Operation.INTEGER: integer,
    Operation.LESS: lambda a, b, c: (a < b) * 1.0,
    Operation.LESS_EQUAL: lambda a, b, c: (a <= b) * 1.0,
    Operation.EQUAL: lambda a, b, c: (a == b) * 1.0,
    Operation.NOT_EQUAL: lambda a, b, c: (a != b) * 1.0,
    Operation.AND: lambda a, b, c: ((a != 0) & (b != 0)) * 1.0,
    Operation.OR: lambda a, b, c: ((a != 0) | (b != 0)) * 1.0,
    Operation.NOT: lambda a, b, c: (a == 0) * 1.0,
    Operation.SELECT: lambda a, b, c: np.where(c != 0, a, b),
    Operation.SHORT: short(lambda a, b, c: a),
    Operation.AT_LEAST: lambda a, b, c: np.where(a < b, b, a),
    Operation.AT_MOST: lambda a, b, c: np.where(a > b, b, a),
    Operation.AT_LEAST_AT_MOST: lambda a, b, c: at_most(np.where(a < b, b, a), c),
    Operation.LESS_MULTIPLY: lambda a, b, c: (a < b) * c,
    Operation.LESS_EQUAL_MULTIPLY: lambda a, b, c: (a <= b) * c,
    Operation.SUBTRACT_MULTIPLY: lambda a, b, c: (a - b) * c,
    Operation.MULTIPLY_MULTIPLY: lambda a, b, c: a * b * c,
    Operation.MULTIPLY_ADD: lambda a, b, c: a * b + c,
    Operation.ADD_SELECT: lambda a, b, c: np.where(c != 0, a + b, a),
    Operation.SUBTRACT_SELECT: lambda a, b, c: np.where(c != 0, a - b, a),
    Operation.MULTIPLY_SELECT: lambda a, b, c: np.where(c != 0, a * b, a),
    Operation.ADD_SELECT_SHORT: lambda a, b, c: np.where(c != 0, rounded(a + b), a),
    Operation.SUBTRACT_SELECT_SHORT: lambda a, b, c: np.where(c != 0, rounded(a - b), a),
    Operation.MULTIPLY_SELECT_SHORT: lambda a, b, c: np.where(c != 0, rounded(a * b), a),
    Operation.LESS_MULTIPLY_SHORT: short(lambda a, b, c: (a < b) * c),
    Operation.LESS_EQUAL_MULTIPLY_SHORT: short(lambda a, b, c: (a <= b) * c),
    Operation.SUBTRACT_MULTIPLY_SHORT: short(lambda a, b, c: rounded(a - b) * c),
    Operation.MULTIPLY_MULTIPLY_SHORT: short(lambda a, b, c: rounded(a * b) * c),
    Operation.MULTIPLY_ADD_SHORT: short(lambda a, b, c: rounded(a * b) + c),
    Operation.ADD_SHORT: short(lambda a, b, c: a + b),
    Operation.SUBTRACT_SHORT: short(lambda a, b, c: a - b),
    Operation.MULTIPLY_SHORT: short(lambda a, b, c: a * b),
    Operation.DIVIDE_SHORT: short(lambda a, b, c: a / b),
    Operation.SQRT_SHORT: short(lambda a, b, c: np.sqrt(a)),
    Operation.WIDEN: lambda a, b, c: a.astype(np.float64),
    Operation.NARROW: lambda a, b, c: a.astype(np.float32),
}


def run(operation, n, result, operands, numbers=0):
    row = calculate_once.row(
        operation=int(operation),
        n=n,
        result=start(result),
        a=start(operands[0]),
        b=start(operands[1]),
        c=start(operands[2]),
        numbers=numbers,
    )
    table = table_of([row])
    return ENTRY(address_of(calculate_once, FLOAT64))(None, start(table))


def array(n, dtype=np.float64):
    return aligned_block(n * np.dtype(dtype).itemsize).view(dtype)


def made(n, seed):
    rng = np.random.RandomState(seed)
    values = array(n)
    values[:] = np.where(rng.uniform(size=n) < 0.4, rng.choice(SPECIAL, n), rng.uniform(-3, 3, n))
    return values


@pytest.mark.parametrize("operation", Operation, ids=lambda each: each.name)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 511, 512, 513])
def test_every_operation(operation, n):
    whole = [made(max(n, 1), seed) for seed in range(3)]
    if operation == Operation.WIDEN:
        singles = array(max(n, 1), np.float32)
        with np.errstate(all="ignore"):
            singles[:] = whole[0]
        whole[0] = singles
    dtype = np.float32 if operation == Operation.NARROW else np.float64
    result = array(n + 8, dtype)
    for numbers in range(8) if operation != Operation.WIDEN else [0]:
        operands = [each[:1] if numbers >> i & 1 else each[:n] for i, each in enumerate(whole)]
        with np.errstate(all="ignore"):
            expected = np.broadcast_to(EXPECTED[operation](*operands), n)
        result[:] = 77.0
        run(operation, n, result, whole, numbers)
        np.testing.assert_array_equal(result[:n], expected)
        is_number = ~np.isnan(expected)
        assert (np.signbit(result[:n]) == np.signbit(expected))[is_number].all()
        assert (result[n:] == 77.0).all()  # nothing is written after the last element


def checked(operation, operands):
    """What must be finite of the results."""
    if operation in (Operation.SELECT, Operation.NARROW):
        return np.zeros(1)
    name = operation.name.replace("_SELECT", "")
    return EXPECTED[Operation[name]](*operands)


@pytest.mark.parametrize("operation", Operation, ids=lambda each: each.name)
@pytest.mark.parametrize("n", [1, 8, 31, 32, 77])
def test_whether_all_results_are_finite(operation, n):
    dtype = np.float32 if operation == Operation.WIDEN else np.float64
    result = array(n)
    for special in (0.5, np.inf, -np.inf, np.nan, 1e308, 0.0):
        for place in {0, n // 2, n - 1}:
            operands = [array(n, each) for each in (dtype, np.float64, np.float64)]
            for i, each in enumerate(operands):
                each[:] = 1.5 - i / 2  # the last operand is a condition
            with np.errstate(all="ignore"):
                operands[0][place] = special
                operands[1][place] = special
                is_finite = np.isfinite(checked(operation, operands)).all()
            assert run(operation, n, result, operands) == (not is_finite), (special, place)


@pytest.mark.parametrize("operand", range(3))
def test_the_result_may_be_an_operand(operand):
    operands = [made(21, seed) for seed in range(3)]
    expected = np.where(operands[2] != 0, *operands[:2])
    run(Operation.SELECT, 21, operands[operand], operands)
    np.testing.assert_array_equal(operands[operand], expected)
