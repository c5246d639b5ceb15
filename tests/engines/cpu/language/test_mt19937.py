"""Streams of random numbers: equal to those of RandomState, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from nengo_jit.engines.cpu.language.mt19937 import (
    HAS_NORMAL,
    NORMAL,
    RADII,
    WORDS,
    BorrowedGenerator,
    Stream,
    fill_normal,
    fill_poisson,
    fill_uniform,
    is_legacy,
    next_uniform,
)
from nengo_jit.engines.cpu.toolchain.compiler import define_helpers

N_DRAWS = 100_000
SEEDS = [0, 1, 12345, 2**32 - 1]
define_helpers()
every_seed = pytest.mark.parametrize("seed", SEEDS)


@njit
def uniform(generator, output):
    fill_uniform(generator, output)


@njit
def single_uniform(generator, output):
    for i in range(output.size):
        output[i] = next_uniform(generator)


@njit
def normal(generator, output):
    fill_normal(generator, output)


@njit
def poisson(generator, means):
    numbers = means.copy()
    fill_poisson(generator, numbers)
    return numbers


@njit
def poisson_of_means(generator, output):
    for i in range(output.size):
        output[i] = 0.03 * (i % 7)
    fill_poisson(generator, output)


FILLING = {
    uniform: lambda rng, n: rng.random_sample(n),
    single_uniform: lambda rng, n: rng.random_sample(n),
    normal: lambda rng, n: rng.standard_normal(n),
    poisson_of_means: lambda rng, n: rng.poisson(0.03 * (np.arange(n) % 7)),
}


def stream_of(rng):
    stream = Stream(np.zeros(Stream.size, np.int64))
    stream.load(rng)
    return stream


def drawn(fill, stream, n):
    output = np.empty(n)
    fill(stream.address, output)
    return output


def assert_same_state(stream, rng):
    expected = stream_of(rng).buffer
    n = RADII if expected[HAS_NORMAL] else NORMAL  # what follows is made of what is compared
    np.testing.assert_array_equal(stream.buffer[:n], expected[:n])
    np.testing.assert_array_equal(stream.buffer[WORDS:RADII], expected[WORDS:RADII])


def test_what_is_lent_goes_on_where_the_other_has_ended():
    rng, expected = np.random.RandomState(5), np.random.RandomState(5)
    stream = Stream(np.zeros(Stream.size, np.int64))
    generator = BorrowedGenerator(rng, stream)
    for n in (3, 700, 1, 2000):
        np.testing.assert_array_equal(rng.random_sample(n), expected.random_sample(n))
        assert rng.standard_normal() == expected.standard_normal()  # another one is kept
        generator.borrow()
        np.testing.assert_array_equal(drawn(uniform, stream, n), expected.random_sample(n))
        generator.give_back()
        generator.give_back()
        assert rng.standard_normal() == expected.standard_normal()
    for rng_now in (rng, expected):
        rng_now.__setstate__(np.random.RandomState(9).__getstate__())
    generator.borrow()
    np.testing.assert_array_equal(drawn(uniform, stream, 5), expected.random_sample(5))
    generator.give_back()
    assert rng.random_sample() == expected.random_sample()


def test_impossible_positions_are_refused():
    rng = np.random.RandomState(5)
    rng.set_state(("MT19937", np.zeros(624, np.uint32), 625))
    with pytest.raises(ValueError, match="625 of 624"):
        BorrowedGenerator(rng, Stream(np.zeros(Stream.size, np.int64))).borrow()


@every_seed
@pytest.mark.parametrize("fill", FILLING, ids=lambda fill: fill.__name__)
def test_long_streams(fill, seed):
    rng = np.random.RandomState(seed)
    stream = stream_of(rng)
    np.testing.assert_array_equal(drawn(fill, stream, N_DRAWS), FILLING[fill](rng, N_DRAWS))
    assert_same_state(stream, rng)


@every_seed
def test_poisson_numbers_of_all_means(seed):
    rng = np.random.RandomState(seed)
    stream = stream_of(rng)
    means = np.random.RandomState(seed ^ 1).choice(
        [0.0, 1e-9, 0.02, 0.5, 3.0, 9.99, 10.0, 11.0, 25.0, 300.0, 1e6, 1e12], N_DRAWS
    )
    np.testing.assert_array_equal(poisson(stream.address, means), rng.poisson(means))
    assert_same_state(stream, rng)


@every_seed
@pytest.mark.parametrize("largest", [0.05, 1.0, 9.9, 10.1, 1000.0])
def test_poisson_numbers_of_blocks(seed, largest):
    rng, others = np.random.RandomState(seed), np.random.RandomState(seed ^ 1)
    stream = stream_of(rng)
    for n in (0, 1, 127, 128, 129, 5000):
        means = np.where(others.rand(n) < 0.3, 0.0, others.uniform(0, largest, n))
        np.testing.assert_array_equal(poisson(stream.address, means), rng.poisson(means))
        assert_same_state(stream, rng)


def test_poisson_numbers_whose_limits_are_as_large_as_the_deviates():
    for seed in range(300):
        deviate = np.random.RandomState(seed).random_sample()
        means = [-np.log(deviate)]
        for toward in (0.0, 100.0):
            means += [np.nextafter(means[0], toward), np.nextafter(means[-1], toward)]
        for mean in means:
            rng = np.random.RandomState(seed)
            stream = stream_of(rng)
            assert poisson(stream.address, np.array([mean])) == rng.poisson(mean)
            assert_same_state(stream, rng)


@pytest.mark.parametrize("mean", [-1e-9, np.nan, np.inf, 1e19])
def test_impossible_means_give_nan_and_draw_nothing(mean):
    rng = np.random.RandomState(0)
    with pytest.raises(ValueError, match="lam"):
        rng.poisson(mean)
    stream = stream_of(rng)
    assert np.isnan(poisson(stream.address, np.array([mean])))
    assert_same_state(stream, rng)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_words=st.integers(0, 3),
    requests=st.lists(
        st.tuples(st.sampled_from(list(FILLING)), st.integers(0, 700)), min_size=1, max_size=12
    ),
)
def test_any_sequence_of_requests(seed, n_words, requests):
    rng = np.random.RandomState(seed)
    rng.tomaxint(n_words)  # an odd number of words, perhaps
    rng.randint(2**31, size=n_words, dtype=np.uint32)
    stream = stream_of(rng)
    for fill, n in requests:
        np.testing.assert_array_equal(drawn(fill, stream, n), FILLING[fill](rng, n))
    assert_same_state(stream, rng)


def test_numbers_that_straddle_two_blocks_of_words():
    rng = np.random.RandomState(3)
    rng.randint(2**31, size=1, dtype=np.uint32)
    assert rng.get_state()[2] % 2 == 1
    stream = stream_of(rng)
    np.testing.assert_array_equal(drawn(uniform, stream, 1000), rng.random_sample(1000))


def test_a_stream_goes_on_from_any_state():
    rng = np.random.RandomState(5)
    rng.standard_normal(7)  # one more is kept
    stream = stream_of(rng)
    assert_same_state(stream, rng)
    np.testing.assert_array_equal(drawn(normal, stream, 10), rng.standard_normal(10))


def test_streams_are_independent():
    first, second = (stream_of(np.random.RandomState(seed)) for seed in (0, 1))
    drawn(normal, first, 10)
    np.testing.assert_array_equal(
        drawn(normal, second, 10), np.random.RandomState(1).standard_normal(10)
    )


def test_only_legacy_generators_have_streams():
    assert is_legacy(np.random.RandomState(0))
    assert is_legacy(np.random.RandomState(np.random.MT19937(0)))
    assert not is_legacy(np.random.RandomState(np.random.PCG64(0)))
    assert not is_legacy(np.random.default_rng(0))
    assert not is_legacy(None)
