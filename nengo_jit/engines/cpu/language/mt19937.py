"""NumPy's legacy random numbers in compiled code: bit for bit those of `numpy.random.RandomState`.

A `Stream` owns the memory with the state of a generator. Kernels know the generator by the address
of that memory. The bits are those of the Mersenne Twister MT19937 (Matsumoto and Nishimura 1998).
They are transformed as NumPy does it: uniform deviates have 53 bits; normal ones come from the
polar method, two at a time, and the second is kept for the next call; Poisson ones are made by
multiplying uniform ones, or for large means by transformed rejection (Hörmann 1993, algorithm
PTRS).

For equal bits, each operation is rounded as in C (no ``fastmath``), and ``log`` and ``exp`` are
those of the C library, one number at a time: vector libraries, which Numba uses where it finds
them, round differently. Where
a vectorised ``exp`` is only compared with something, the C library is asked in the rare case that
rounding could matter.

Numbers are drawn in bulk, which is faster, but never more than are used.
"""

# Numba infers the types of the functions below.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import ctypes
import math

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    float64s,
    helper,
    int32s,
    int64s,
    libm_exp,
    libm_log,
)
from nengo_jit.scalar import exp

N_WORDS, MIDDLE = 624, 397  # of MT19937
UPPER, LOWER = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
TWIST = np.uint32(0x9908B0DF)
TEMPER = np.uint32(0x9D2C5680), np.uint32(0xEFC60000)

POSITION, HAS_NORMAL = 0, 1  # offsets of the parts of a generator, in units of 8 bytes
NORMAL, WORDS, RADII = 2, 3, 3 + N_WORDS // 2
MOST_PAIRS = 128  # of normal deviates made at a time
# Poisson deviates are made in blocks of as many, with scratch memory that begins where radii do.
BLOCK = 128
DEVIATES, LIMITS, PLACES = RADII, RADII + BLOCK, RADII + 2 * BLOCK

# Helpers inherit the caller's fastmath unless they say otherwise.
compiled = helper(error_model="numpy", fastmath=False)

LARGEST_MEAN = np.iinfo(np.int64).max - 10.0 * math.sqrt(np.iinfo(np.int64).max)
MULTIPLIED_BELOW = 10.0  # means of Poisson deviates made by multiplication
EXP_ERROR = 2.0**-49  # more than the relative errors of both exponentials
LOG_2_PI = 1.8378770664093453
# Stirling's series for the logarithm of the gamma function, from the lowest power up
STIRLING = (
    8.333333333333333e-02,
    -2.777777777777778e-03,
    7.936507936507937e-04,
    -5.952380952380952e-04,
    8.417508417508418e-04,
    -1.917526917526918e-03,
    6.410256410256410e-03,
    -2.955065359477124e-02,
    1.796443723688307e-01,
    -1.39243221690590e00,
)


class Stream:
    """The state of a generator in memory, for kernels.

    Attributes
    ----------
    buffer : numpy.ndarray of int64
        The memory, without a generator until `load` is called.
    """

    size = PLACES + BLOCK

    def __init__(self, buffer: np.ndarray):
        self.buffer = buffer

    @property
    def address(self) -> Address:
        """Address: the ``generator`` of the functions in this file."""
        return start(self.buffer)

    def load(self, rng: np.random.RandomState) -> None:
        """Continue from the state of ``rng``."""
        state = rng.get_state(legacy=False)
        words, position = state["state"]["key"], state["state"]["pos"]
        if not 0 <= position <= N_WORDS:  # NumPy does not check it
            raise ValueError(f"{rng} is at position {position} of {N_WORDS}")
        self.buffer[POSITION], self.buffer[HAS_NORMAL] = position, state["has_gauss"]
        self.buffer[NORMAL : NORMAL + 1].view(np.float64)[:] = state["gauss"]
        self.buffer[WORDS:RADII].view(np.uint32)[:] = words

    def give(self, rng: np.random.RandomState) -> None:
        """Set ``rng`` to this state."""
        normal = self.buffer[NORMAL : NORMAL + 1].view(np.float64).item()
        words = self.buffer[WORDS:RADII].view(np.uint32).copy()
        position, has_normal = self.buffer[[POSITION, HAS_NORMAL]].tolist()
        rng.set_state(("MT19937", words, position, has_normal, normal))


class BorrowedGenerator:
    """A generator that kernels draw from during a run, and Python before and after it.

    Kernels must not draw normal deviates: NumPy keeps the second one of a pair elsewhere.

    Parameters
    ----------
    rng : numpy.random.RandomState
        The generator.
    stream : Stream
        The copy of its state that kernels draw from.
    """

    def __init__(self, rng: np.random.RandomState, stream: Stream):
        self._rng, self._words = rng, stream.buffer[WORDS:RADII].view(np.uint32)
        self._position = stream.buffer[POSITION : POSITION + 1]
        self._bits: np.random.BitGenerator | None = None  # owns the memory of the state
        self._state = np.empty(0, np.uint32)
        self._is_borrowed = False

    def borrow(self) -> None:
        """Copy the state of the generator to the stream."""
        bits = self._rng._bit_generator
        if bits is not self._bits:  # `get_state` takes a hundred times as long
            self._bits = bits
            memory = (ctypes.c_uint32 * (N_WORDS + 1)).from_address(bits.ctypes.state_address)
            self._state = np.ctypeslib.as_array(memory)
        position = int(self._state[N_WORDS])
        if position > N_WORDS:  # NumPy does not check it
            raise ValueError(f"{self._rng} is at position {position} of {N_WORDS}")
        self._words[:] = self._state[:N_WORDS]
        self._position[0] = position
        self._is_borrowed = True

    def give_back(self) -> None:
        """Copy the state of the stream back to the generator, if it was borrowed.

        May be called again if it was interrupted.
        """
        if self._is_borrowed:
            self._state[:N_WORDS] = self._words
            self._state[N_WORDS] = self._position[0]
            self._is_borrowed = False


def is_legacy(rng: object) -> bool:
    """Whether a generator is one that the functions in this file reproduce."""
    if type(rng) is not np.random.RandomState:
        return False
    return bool(rng.get_state(legacy=False)["bit_generator"] == "MT19937")


@helper(forceinline=True)
def _words(generator):
    return int32s(generator + 8 * WORDS, N_WORDS).view(np.uint32)


@compiled
def _mixed(upper, lower):
    """The upper bit of a word and the lower bits of the next, multiplied by the twist's matrix."""
    y = np.uint32((upper & UPPER) | (lower & LOWER))
    return np.uint32((y >> np.uint32(1)) ^ (TWIST if lower & np.uint32(1) else np.uint32(0)))


@compiled
def _regenerate(words):
    """Replace all words with the next ones."""
    for i in range(N_WORDS - MIDDLE):
        words[i] = words[i + MIDDLE] ^ _mixed(words[i], words[i + 1])
    for i in range(N_WORDS - MIDDLE, N_WORDS - 1):
        words[i] = words[i + MIDDLE - N_WORDS] ^ _mixed(words[i], words[i + 1])
    words[N_WORDS - 1] = words[MIDDLE - 1] ^ _mixed(words[N_WORDS - 1], words[0])


@compiled
def _tempered(word):
    """Temper a word: the 32 bits of output."""
    y = np.uint32(word)
    y ^= np.uint32(y >> np.uint32(11))
    y ^= np.uint32(np.uint32(y << np.uint32(7)) & TEMPER[0])
    y ^= np.uint32(np.uint32(y << np.uint32(15)) & TEMPER[1])
    return np.uint32(y ^ np.uint32(y >> np.uint32(18)))


@compiled
def _from_bits(first, second):
    """A number in [0, 1) from 27 bits of one word and 26 of the next; exact."""
    high = np.int32(_tempered(first) >> np.uint32(5))
    low = np.int32(_tempered(second) >> np.uint32(6))
    return (high * 67108864.0 + low) * (1.0 / 9007199254740992.0)


@compiled
def fill_uniform(generator, output):
    """Draw from [0, 1), as ``random_sample`` does."""
    state, words = int64s(generator, 1), _words(generator)
    position, n, done = state[POSITION], output.size, 0
    while done < n:
        if position == N_WORDS:
            _regenerate(words)
            position = 0
        if position == N_WORDS - 1:
            first = words[position]
            _regenerate(words)
            output[done] = _from_bits(first, words[0])
            position = 1
            done += 1
        else:
            m = min(n - done, (N_WORDS - position) // 2)
            part, source = output[done : done + m], words[position : position + 2 * m]
            for i in range(m):
                part[i] = _from_bits(source[2 * i], source[2 * i + 1])
            position += 2 * m
            done += m
    state[POSITION] = position


@compiled
def _next_word(state, words):
    if state[POSITION] == N_WORDS:
        _regenerate(words)
        state[POSITION] = 0
    state[POSITION] += 1
    return words[state[POSITION] - 1]


@compiled
def next_uniform(generator):
    """Draw a single number from [0, 1)."""
    state, words = int64s(generator, 1), _words(generator)
    first = _next_word(state, words)
    return _from_bits(first, _next_word(state, words))


@compiled
def fill_normal(generator, output):
    """Draw with mean 0 and standard deviation 1, as ``standard_normal`` does."""
    state, kept = int64s(generator, 2), float64s(generator + 8 * NORMAL, 1)
    radii = float64s(generator + 8 * RADII, MOST_PAIRS)
    n, done = output.size, 0
    if state[HAS_NORMAL] and n > 0:
        output[0] = kept[0]
        state[HAS_NORMAL], kept[0] = 0, 0.0
        done = 1
    while n - done > 1:
        # Each point makes one pair at most, so none of these is drawn too early. Those within
        # the unit circle are moved to the front.
        n_points = min((n - done) // 2, MOST_PAIRS)
        part = output[done : done + 2 * n_points]
        fill_uniform(generator, part)
        n_pairs = 0
        for i in range(n_points):
            x, y = 2.0 * part[2 * i] - 1.0, 2.0 * part[2 * i + 1] - 1.0
            radius = x * x + y * y
            part[2 * n_pairs], part[2 * n_pairs + 1], radii[n_pairs] = x, y, radius
            n_pairs += (radius < 1.0) & (radius != 0.0)
        for i in range(n_pairs):
            radii[i] = -2.0 * libm_log(radii[i]) / radii[i]
        for i in range(n_pairs):
            factor = math.sqrt(radii[i])
            x, y = part[2 * i], part[2 * i + 1]
            part[2 * i], part[2 * i + 1] = factor * y, factor * x
        done += 2 * n_pairs
    if done < n:
        x, y, radius = 0.0, 0.0, 0.0
        while radius >= 1.0 or radius == 0.0:
            x = 2.0 * next_uniform(generator) - 1.0
            y = 2.0 * next_uniform(generator) - 1.0
            radius = x * x + y * y
        factor = math.sqrt(-2.0 * libm_log(radius) / radius)
        output[done] = factor * y
        state[HAS_NORMAL], kept[0] = 1, factor * x


@compiled
def _log_gamma(x):
    """Logarithm of the gamma function of a whole number, by Stirling's series from 7 upwards."""
    if x == 1.0 or x == 2.0:
        return 0.0
    n_more = int(7.0 - x) if x < 7.0 else 0
    y = x + n_more
    square = (1.0 / y) * (1.0 / y)
    series = STIRLING[-1]
    for k in range(len(STIRLING) - 2, -1, -1):
        series = series * square + STIRLING[k]
    result = series / y + 0.5 * LOG_2_PI + (y - 0.5) * libm_log(y) - y
    for _ in range(n_more):
        result -= libm_log(y - 1.0)
        y -= 1.0
    return result


@compiled
def _poisson_by_rejection(generator, mean):
    """Hörmann's algorithm PTRS, with the names of its variables there."""
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = next_uniform(generator) - 0.5
        v = next_uniform(generator)
        u_s = 0.5 - abs(u)
        k = math.floor((2.0 * a / u_s + b) * u + mean + 0.43)
        if u_s >= 0.07 and v <= v_r:
            return k
        if k < 0 or (u_s < 0.013 and v > u_s):
            continue
        log_inverse_alpha = libm_log(1.1239 + 1.1328 / (b - 3.4))
        probability = -mean + k * libm_log(mean) - _log_gamma(k + 1.0)
        if libm_log(v) + log_inverse_alpha - libm_log(a / (u_s * u_s) + b) <= probability:
            return k


@compiled
def _poisson(generator, mean):
    """Draw a number with a given mean; see `fill_poisson`."""
    if not (mean >= 0.0 and mean <= LARGEST_MEAN):
        return np.nan
    if mean >= MULTIPLIED_BELOW:
        return float(_poisson_by_rejection(generator, mean))
    if mean == 0.0:
        return 0.0
    limit, product, n_events = libm_exp(-mean), 1.0, -1
    while n_events < 0 or product > limit:
        product *= next_uniform(generator)
        n_events += 1
    return float(n_events)


@compiled
def _multiply(generator, numbers):
    """As `fill_poisson`, for at most `BLOCK` means that are all below `MULTIPLIED_BELOW`."""
    deviates = float64s(generator + 8 * DEVIATES, BLOCK)
    limits = float64s(generator + 8 * LIMITS, BLOCK)
    places = int64s(generator + 8 * PLACES, BLOCK)
    n = 0
    for i in range(numbers.size):  # a mean of zero needs no deviates
        mean = numbers[i]
        limits[n], places[n] = mean, i
        n += mean != 0.0
    for k in range(n):
        limits[k] = exp(-limits[k])
    used = n_drawn = 0
    for k in range(n):
        low, high = limits[k] * (1.0 - EXP_ERROR), limits[k] * (1.0 + EXP_ERROR)
        product, n_events = 1.0, 0.0
        while True:
            if used == n_drawn:  # each number that is left needs one deviate at least
                used, n_drawn = 0, n - k
                fill_uniform(generator, deviates[:n_drawn])
            product *= deviates[used]
            used += 1
            if product < low:
                break
            if product <= high and product <= libm_exp(-numbers[places[k]]):
                break
            n_events += 1.0
        numbers[places[k]] = n_events


@compiled
def fill_poisson(generator, numbers):
    """Replace means by numbers that are drawn with these means, as ``poisson`` does.

    Where the mean is negative, NaN or very large, NumPy would raise an error; the result is NaN.
    """
    for first in range(0, numbers.size, BLOCK):
        part = numbers[first : first + BLOCK]
        n_small = 0
        for i in range(part.size):
            n_small += (part[i] >= 0.0) & (part[i] < MULTIPLIED_BELOW)
        if n_small == part.size:
            _multiply(generator, part)
        else:
            for i in range(part.size):
                part[i] = _poisson(generator, part[i])
