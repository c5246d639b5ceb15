"""Functions of the kinds that Nengo's users write: which are compiled, and why others are not.

The kinds are those found in Nengo's documentation, examples and tests, and in public models; the
functions here are our own. Each is run for 1,000 steps both ways, and must give the same bits.
"""

# Functions in the wild do things that one should not do.
# ruff: noqa: B006  functions keep their state in defaults, as some people write it

import functools
import math
import random
import time

import numpy as np
import pytest

GAIN = 1.5
FREQUENCIES = (1.0, 2.5, 4.0)
PATTERNS = np.array([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5], [-1.0, 0.2, 0.9], [0.0, 0.1, -0.3]])
ROTATION = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
SCHEDULE = [0.0, 1.0, 0.5]
EVENTS = {0.1: 1.0, 0.2: -1.0}
COUNT = 0
CASES = []


def case(remark="compiled", size_in=0, size_out=1):
    """Decorator: a function, how many numbers it takes and returns, and what becomes of it."""

    def register(function):
        name = getattr(function, "__name__", type(function).__name__)
        CASES.append(pytest.param(function, remark, size_in, size_out, id=f"{len(CASES)}-{name}"))
        return function

    return register


# Stimuli

case()(lambda t: t)
case()(lambda t: np.sin(6 * t))
case()(lambda t: 0.5 * np.cos(2 * np.pi * t))
case()(lambda t: math.sin(2 * math.pi * t))
case()(np.sin)
case(size_out=2)(lambda t: [np.sin(t * 3), np.cos(t * 3)])
case(size_out=2)(lambda t: (t, t + 2))
case(size_out=4)(lambda t: np.arange(4) * t)
case(size_out=3)(lambda t: np.sin(t + np.arange(3)))
case(size_out=3)(lambda t: [np.sin(f * t) for f in FREQUENCIES])
case()(lambda t: sum(np.sin(f * t) for f in FREQUENCIES))
case()(lambda t: 1 if t < 0.1 else 0)
case()(lambda t: 1.0 if (t > 0.1 and t < 0.4) else 0.0)
case()(lambda t: float(0.2 < t < 0.6))
case()(lambda t: int(t > 0.3))
case()(lambda t: t > 0.5)
case()(lambda t: 2)
case(size_out=2)(lambda t: [1, 0] if t % 0.2 < 0.1 else [0, 1])
case(size_out=3)(lambda t: np.zeros(3) if t < 0.5 else -np.ones(3))
case()(lambda t: -1 if int(t * 20) % 2 else 1)
case()(lambda t: np.sign(np.sin(20 * t)))
case()(lambda t: np.exp(-((t - 0.5) ** 2) / (2 * 0.1**2)))
case()(lambda t: min(1.0, max(0.0, 2 * t - 0.3)))
case()(lambda t: t // 0.1 * 0.1)
case()(lambda t, frequency=3.0: np.sin(frequency * t))
case(size_out=3)(lambda t: PATTERNS[int(t / 0.05) % len(PATTERNS)])
case(size_out=3)(lambda t: np.roll(PATTERNS[0], int(t / 0.1)))
case()(lambda t: (0.1, 0.7, -0.4)[int(t * 10) % 3])
case()(lambda t: GAIN * t)
case()(functools.partial(lambda t, slope, offset: slope * t + offset, slope=2.0, offset=0.1))
case()(lambda t: abs(2 * (t * 3 - math.floor(t * 3 + 0.5))))
case()(lambda t: round(t * 7) / 7)
case()(lambda t: (t * 1000) ** 2 % 1 if t else 0)
case(size_out=2)(lambda t: np.array([t**2, t**3]))


@case(size_out=2)
def piecewise(t):
    """Several stretches of time."""
    if t < 0.2:
        return [0, 0]
    if t < 0.5:
        return [1, t]
    if t < 0.7:
        return [np.sin(9 * t), -1]
    return [0.5, 0.25]


@case()
def chirp(t):
    """With intermediate results, and a helper."""

    def phase(seconds, rate=3.0):
        return rate * seconds * seconds

    angle = phase(t) + phase(t, rate=0.5)
    return np.sin(angle) * math.exp(-t)


@case(size_out=3)
def filled(t):
    """An array that is filled in."""
    out = np.zeros(3)
    out[0] = np.sin(t)
    out[1:] = t
    out[-1] *= 2
    return out


# Functions of the input

case(size_in=3, size_out=3)(lambda t, x: x)
case(size_in=3, size_out=3)(lambda t, x: -x + 0.5)
case(size_in=2, size_out=2)(lambda t, x: t * x)
case(size_in=2)(lambda t, x: x[0] * x[1])
case(size_in=1)(lambda t, x: np.square(x))
case(size_in=1)(lambda t, x: np.sin(x) ** 2)
case(size_in=1)(lambda t, x: 1 if x > 0.5 else 0)
case(size_in=1)(lambda t, x: x if t < 0.5 else 0)
case(size_in=3, size_out=3)(lambda t, x: np.maximum(x, 0))
case(size_in=3, size_out=3)(lambda t, x: np.clip(x, -0.5, 0.5))
case(size_in=3, size_out=3)(lambda t, x: 1 / (1 + np.exp(-GAIN * x)))
case(size_in=3, size_out=3)(lambda t, x: np.exp(x) / np.sum(np.exp(x)))
case(size_in=3, size_out=3)(lambda t, x: np.where(x > 0, x, 0.1 * x))
case(size_in=3, size_out=3)(lambda t, x: np.dot(ROTATION, x))
case(size_in=3, size_out=3)(lambda t, x: ROTATION @ x)
case(size_in=3)(lambda t, x: np.linalg.norm(x))
case(size_in=3)(lambda t, x: np.mean(x) + x.max() - x.min())
case(size_in=3)(lambda t, x: np.sqrt(x[0] ** 2 + x[1] ** 2))
case(size_in=2)(lambda t, x: np.arctan2(x[1], x[0]))
case(size_in=4)(lambda t, x: np.dot(x[:2], x[2:]))
case(size_in=4, size_out=4)(lambda t, x: np.outer(x[:2], x[2:]).flatten())
case(size_in=3, size_out=3)(lambda t, x: np.eye(3)[np.argmax(x)])
case(size_in=3, size_out=2)(lambda t, x: [max(x), min(x)])
case(size_in=3, size_out=4)(lambda t, x: np.concatenate([x, [t]]))
case(size_in=2, size_out=2)(lambda t, x: (x > 0) * 1.0)
case(size_in=2)(lambda t, x: bool(x[0] > 0) and bool(x[1] > 0))


@case(size_in=3, size_out=3)
def lorenz(t, x):
    """The Lorenz attractor."""
    dx0 = -10 * x[0] + 10 * x[1]
    dx1 = -x[0] * x[2] - x[1]
    dx2 = x[0] * x[1] - 8.0 / 3.0 * (x[2] + 28) - 28
    return [dx0 * 0.1 + x[0], dx1 * 0.1 + x[1], dx2 * 0.1 + x[2]]


@case(size_in=3, size_out=2)
def oscillator(t, x):
    """A controlled oscillator."""
    radius = np.sqrt(x[0] ** 2 + x[1] ** 2)
    speed = 10 * x[2]
    return x[0] - 0.1 * speed * x[1] / (radius + 1), x[1] + 0.1 * speed * x[0] / (radius + 1)


@case(size_in=2, size_out=2)
def arm(t, q):
    """Where the hand of an arm of two segments is."""
    first, second = q
    lengths = [0.31, 0.27]
    return [
        lengths[0] * math.cos(first) + lengths[1] * math.cos(first + second),
        lengths[0] * math.sin(first) + lengths[1] * math.sin(first + second),
    ]


@case(size_in=3, size_out=3)
def normalised(t, x):
    """With a guard against zero."""
    length = np.linalg.norm(x)
    if length == 0:
        return x
    return x / length


@case(size_in=3)
def by_index(t, x):
    """A loop over indices."""
    total = 0
    for i in range(len(x)):
        total += (i + 1) * x[i]
    return total


@case(size_in=1)
def newton(t, x):
    """A fixed number of iterations."""
    root = 1.0
    for _ in range(4):
        root = 0.5 * (root + (abs(x[0]) + 1) / root)
    return root


@case(size_in=2)
def careful(t, x):
    """Errors that are caught: Python sees to those."""
    try:
        return math.log(x[0]) / x[1]
    except ValueError:
        return -1.0


@case(size_in=3, size_out=3)
def nested(t, x):
    """Functions inside of functions, which share variables, in comprehensions and loops."""
    offset = t
    shifts = [lambda v, i=i: v + i * offset for i in range(3)]
    offset = 2 * t
    i = 5
    values = [shift(v) + i for shift, v in zip(shifts, x)]
    total = sum(v * w for v in values for w in (1, 2) if w > i - 4)
    return [total if k == 0 else values[k] for k in range(3)]


@case(size_in=2)
def with_locals(t, x):
    """Tuples, conditions and loops that end early."""
    a, b = (x[0], x[1]) if t > 0.5 else (x[1], 2)
    best = None
    for candidate in (a, b, a * b):
        if best is None or candidate > best:
            best = candidate
        if best > 1.5:
            break
    else:
        best += 1
    return best if best != 2 else -best


@case(size_in=1)
def dead_zone(t, x):
    """Nothing about zero."""
    if -0.2 < x[0] < 0.2:
        return 0
    return x[0] - 0.2 if x[0] > 0 else x[0] + 0.2


@case("compiled except calls `print`", size_in=1)
def with_message(t, x):
    """A message now and then."""
    if t > 0.9985:
        print("almost there", end="\r")
    return x * 2


@case(size_in=1)
def with_settings(t, x):
    """Chooses by names, and by what is not there."""
    shape, offset = "ramp", None
    slope = 2.0 if shape == "ramp" else 1.0
    start = 0.5 if offset == None else offset  # noqa: E711  as some people write it
    return slope * x if shape != "step" else start


class Limits:
    """Constants in a class, and functions that read them."""

    low, high = -0.5, 0.5

    @classmethod
    def clipped(cls, t, x):
        return min(max(x[0], cls.low), cls.high)

    @staticmethod
    def inverted(t, x):
        return -x


case(size_in=1)(Limits.clipped)
case(size_in=1)(Limits.inverted)
case(size_in=1)(lambda t, x: Limits.high - Limits.inverted(t, x) * Limits.clipped(t, x))


# By calling NumPy

case(size_in=3, size_out=3)(lambda t, x: x.cumsum())
case(size_in=3, size_out=3)(lambda t, x: np.convolve(x, [1, 2, 1], "same"))
case()(lambda t: np.interp(t, [0, 1], [0, 2]))
case(size_in=4, size_out=4)(lambda t, x: np.fft.ifft(np.fft.fft(x) * np.fft.fft(x[::-1])).real)
case(size_in=4, size_out=2)(lambda t, x: x.reshape(2, 2).sum(axis=1) + np.median(x))

# What stays in Python, and why

case("uses numpy.random")(lambda t: np.random.uniform(0.5, 0.5))
case("reads the global `SCHEDULE`, a list")(lambda t: SCHEDULE[int(t * 10) % 3])
case("reads the global `EVENTS`, a dict")(lambda t: EVENTS.get(round(t, 3), 0.0))
case("calls `perf_counter`")(lambda t: 0.0 * time.perf_counter())
case("calls `piecewise`", 3, 3)(lambda t, x: np.piecewise(x, [x > 0], [1.0, 0.0]))
case("calls `unique`")(lambda t: np.unique([t, t])[0])


@case("is a Counter, an object with state")
class Counter:
    """Counts its calls."""

    n = 0

    def __call__(self, t):
        self.n += 1
        return self.n


@case("calls `Plant.step`, a method of an object with state")
class Plant:
    """Has a state that a method advances."""

    def __init__(self):
        self.x = 0.0

    def step(self, t):
        self.x += 0.1 * (t - self.x)
        return self.x


@case("reads the closure variable `rng`, a RandomState")
class Noise:
    """Made anew for each run, so that both runs draw the same."""

    @staticmethod
    def make():
        rng = np.random.RandomState(0)
        return lambda t: rng.randn()


@case("calls `Random.seed`, a method of an object with state")
class OfPython:
    """Seeded in its first call."""

    @staticmethod
    def make():
        return lambda t: random.seed(int(t * 1000)) or random.random()


@case("assigns to the closure variable `n`")
class WithNonlocal:
    """A counter in a closure."""

    @staticmethod
    def make():
        n = 0

        def count(t):
            nonlocal n
            n += 1
            return n

        return count


@case("reads the closure variable `memory`, a list", 1, 1)
class Delay:
    """A delay line in a list."""

    @staticmethod
    def make():
        memory = [0.0] * 5

        def delay(t, x):
            memory.append(float(x[0]))
            return memory.pop(0)

        return delay


@case("calls itself (`factorial`)")
def recursive(t):
    """A function that calls itself."""

    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    return factorial(5)


@case("reads the default argument `weights`, a list")
def with_list(t, weights=[0.5, 0.5]):
    """A default that could be changed."""
    return weights[0] * t


@case("assigns to the global `COUNT`")
def with_global(t):
    """A counter in a global."""
    global COUNT
    COUNT = int(t * 1000)
    return COUNT


def made(function):
    """The function itself, made anew where it has a state."""
    if hasattr(function, "make"):
        return function.make()
    if function is Plant:
        return Plant().step
    return function() if isinstance(function, type) else function


@pytest.mark.parametrize(("function", "remark", "size_in", "size_out"), CASES)
def test_function(run_function, function, remark, size_in, size_out):
    inputs = np.random.RandomState(1).uniform(-1, 1, (1000, size_in))
    assert run_function(lambda: made(function), inputs, size_out, makes=True) == remark


def test_there_are_enough_of_them():
    assert len(CASES) >= 60
