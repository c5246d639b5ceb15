"""Programs of tapes compute what the functions compute, call by call."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nengo_jit.engines.cpu.python.tracing import Unsupported, written
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.engines.jax.python import program as programs
from nengo_jit.engines.jax.python.program import Program

MATRIX = np.random.RandomState(0).uniform(-1, 1, (30, 40))
BY_COLUMNS = np.asfortranarray(MATRIX)


class Compiled:
    """A function of a vector, in Python and on the device."""

    def __init__(self, function, size=3, dtype=np.float64):
        self.x, self.y = np.zeros(size, dtype), np.zeros(size, dtype)
        x, y = self.x, self.y

        def step():
            y[...] = function(x.copy())

        self.step = step
        writer, *_ = written(step, [x, y])
        self.program, self.constants = Program(writer.instructions), writer.constant_values
        self.program.check(len(self.constants))
        self._call = jax.jit(lambda *arrays: self.program(jnp, *arrays))

    def __call__(self, x):
        """The result on the device, and whether Python is needed."""
        self.x[...] = x
        with as_given():
            arrays = [jnp.asarray(each.array) for each in self.program.memories]
            *results, is_lost = self._call(self.constants, *arrays)
        places = [self.program.memories[number].array is self.y for number in self.program.written]
        return np.asarray(results[places.index(True)]), bool(is_lost)

    def assert_same(self, x, tolerance=1e-12):
        result, is_lost = self(x)
        assert not is_lost
        self.step()
        np.testing.assert_allclose(result, self.y, rtol=tolerance, atol=tolerance)


POINTS = np.random.RandomState(1).uniform(-2, 2, (20, 3))


def in_place(x):
    m = np.outer(x, x)
    m @= m.T
    return np.sort(m[0]) + m[1]


def zeros(x):
    return np.arctan2(np.sign(x * 0.0), x) + np.copysign(1, x * 0.0 % -2) + np.copysign(1, x // 9)


def loops(x):
    total = np.zeros(3)
    for i, each in enumerate(x):
        total[i:] += each * (i + 1)
        if each > 1:
            total *= 0.5
    return total


def chooses(x):
    return max(x[0], min(x[1], x[2]))


FUNCTIONS = {
    "arithmetic": lambda x: (x * 2 - x[::-1]) / (3 + x[0]) + -x % 0.7,
    "whole numbers": lambda x: [int(x[0] * 10) // 3, int(x[1] * 7) % 4, math.ceil(x[2])],
    "comparisons": lambda x: (x > 0) * 1.0 + (x[0] <= x[1]) - np.logical_and(x < 1, x > -1),
    "selection": lambda x: np.where(x > 0, np.sqrt(np.abs(x)), x**2),
    "selected sum": lambda x: x[x > 0.5].sum() + (x < 0).sum() * x,
    "loops": loops,
    "in place": in_place,
    "zeros": zeros,
    "choices": chooses,
    "clipping": lambda x: np.clip(x, -0.5, x[0] * x[0] + 0.5),
    "order": lambda x: np.sort(x) + np.argmax(x) + np.cumsum(x),
    "rolled": lambda x: np.roll(x, int(x[0])),
    "reductions": lambda x: x.sum() * np.prod(x) + x.max() - np.min(x),
    "small products": lambda x: np.outer(x, x) @ x + np.dot(x, x) + MATRIX[:3, :3] @ x,
    "large products": lambda x: (MATRIX @ np.resize(x, 40))[:3] + (np.resize(x, 30) @ MATRIX)[:3],
    "by columns": lambda x: BY_COLUMNS.sum(axis=1)[:3] + np.dot(BY_COLUMNS.T, np.resize(x, 30))[:3],
    "views": lambda x: np.dot(MATRIX[::2, 1:4], x)[:3] * MATRIX[1:4, ::3].mean(),
    "rows": lambda x: MATRIX[int(abs(x[0]) * 10)][:3] + MATRIX[int(x[1])][:3],
    "transforms": lambda x: np.abs(np.fft.rfft(np.tile(x, 2)))[:3],
    "math": lambda x: [math.sin(x[0]), math.atan2(x[1], x[2]), math.log10(abs(x[2]) + 1)],
    "numpy": lambda x: np.arctan2(x, x[0]) + np.tanh(x) * np.log1p(np.abs(x)) + np.cosh(x),
    "joined": lambda x: np.concatenate([x[2:], [1.0, x[0] * x[1]]]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    compiled = Compiled(FUNCTIONS[name])
    for x in POINTS:
        compiled.assert_same(x)


@pytest.mark.parametrize("name", ["arithmetic", "selection", "reductions", "numpy", "clipping"])
def test_functions_of_float32(name):
    compiled = Compiled(FUNCTIONS[name], dtype=np.float32)
    for x in POINTS:
        compiled.assert_same(x, 2e-5)


@pytest.mark.parametrize("size", [1, 16, 17, 300])
def test_vectors_of_any_length(size):
    compiled = Compiled(lambda x: np.where(x > 0, x * x[0], np.exp(x)) / (1 + x.sum() ** 2), size)
    for seed in range(5):
        compiled.assert_same(np.random.RandomState(seed).uniform(-1, 1, size))


@pytest.mark.parametrize(
    "function, good, bad",
    [
        (lambda x: 1 / x, 0.5, 0.0),
        (lambda x: np.exp(x), 1.0, 1e3),
        (lambda x: np.exp(x) * 0.0 + 1, 1.0, 1e3),
        (lambda x: 1 / np.exp(x), 1.0, 1e3),
        (lambda x: np.where(np.exp(x) > 1, 1.0, 0.0), 1.0, 1e3),
        (lambda x: np.minimum(np.exp(x), 1.0), 1.0, 1e3),
        (lambda x: (x * 1e200) * (x * 1e200) * 0, 1e-60, 1.0),
        (lambda x: math.exp(x[0]) if x[1] < 5 else np.log(x), 1.0, -1e400),
        (lambda x: [math.sqrt(x[0]), 1, 2], 1.0, -1.0),
        (lambda x: MATRIX[int(x[0])][:3], 29.0, 30.0),
        (lambda x: MATRIX[int(x[0])][:3], -30.0, -31.0),
        (lambda x: int(x[0] * 1e15) % 2 + x, 1.0, 1e3),
        (lambda x: x if x[0] < 3 else [str(x)], 1.0, 4.0),
        (lambda x: np.log(x[x > 0]).sum() + x, -1.0, np.inf),
        (lambda x: np.linalg.inv(np.outer(x, x) + np.eye(3) * (x[0] - 1))[0], 3.0, 1.0),
        (lambda x: x[0] * x, 1.0, np.nan),
    ],
)
def test_calls_that_need_python(function, good, bad):
    compiled = Compiled(function)
    assert not compiled(np.full(3, good))[1]
    compiled.assert_same(np.full(3, good))
    assert compiled(np.full(3, bad))[1]


def test_elements_that_are_not_selected_need_not_be_finite():
    def function(x):
        y = x.copy()
        y[x > 0] = np.log(x[x > 0])
        return y

    compiled = Compiled(function)
    for x in (*POINTS, [0, 0, 0], [0, -1, 2]):
        compiled.assert_same(x)


def test_programs_of_equal_functions_are_equal():
    def made(factor, power=2):
        return Compiled(lambda x: np.abs(x) ** power * factor + MATRIX[0, :3]).program

    assert made(3.0) == made(4.0)
    assert hash(made(3.0)) == hash(made(4.0))
    assert made(3.0) != made(4.0, 3)
    assert made(3.0) != "something else"


def test_writes_to_rows():
    ring, x, at = np.zeros((5, 3)), np.zeros(3), np.zeros(1, int)

    def step():
        at[0] = (at[0] + 1) % 5
        ring[at[0]] = x

    writer, *_ = written(step, [x])
    program = Program(writer.instructions)
    with as_given():
        for n in range(12):
            x[:] = n
            arrays = [jnp.asarray(each.array.ravel()) for each in program.memories]
            *results, is_lost = program(jnp, writer.constant_values, *arrays)
            step()
            assert not is_lost
            for number, result in zip(program.written, results, strict=True):
                np.testing.assert_array_equal(result, program.memories[number].array.ravel())


def test_long_tapes_stay_in_python(monkeypatch):
    monkeypatch.setattr(programs, "MOST_INSTRUCTIONS", 20)
    Compiled(lambda x: x + 1)
    with pytest.raises(Unsupported, match="long"):
        Compiled(loops)


def test_functions_that_jax_has_otherwise_stay_in_python():
    with pytest.raises(Unsupported, match="not the same on the device"):
        Compiled(lambda x: np.partition(x, 1))
