"""Samples: bit for bit what nengo draws, and the generator in nengo's state afterwards."""

import nengo
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nengo.dists import (
    Choice,
    Gaussian,
    QuasirandomSequence,
    ScatteredHypersphere,
    Uniform,
    UniformHypersphere,
    get_samples,
)

from nengo_jit.builder.sampling import sample, shuffled


class MySequence(QuasirandomSequence):
    """Draws something of its own."""

    def sample(self, n, d=1, rng=np.random):
        return np.full((n, d), 0.25)


DISTRIBUTIONS = [
    QuasirandomSequence(),
    ScatteredHypersphere(),
    ScatteredHypersphere(surface=True),
    ScatteredHypersphere(min_magnitude=0.3),
    ScatteredHypersphere(method="sct"),
    ScatteredHypersphere(method="tfww"),
    ScatteredHypersphere(base=Uniform(0, 1)),
    ScatteredHypersphere(base=MySequence()),
    MySequence(),
    UniformHypersphere(),
    UniformHypersphere(surface=True),
    Uniform(-1, 1),
    Gaussian(0, 1),
]


def assert_same_draw(draw, other_draw, seed):
    ours, nengos = np.random.RandomState(seed), np.random.RandomState(seed)
    a, b = draw(ours), other_draw(nengos)
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()
    assert ours.randint(1 << 30) == nengos.randint(1 << 30)


@pytest.mark.parametrize("dist", DISTRIBUTIONS, ids=str)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 9, 64])
@pytest.mark.parametrize("n", [2, 3, 50, 751])
def test_samples_are_nengos(dist, d, n):
    for seed in range(3):
        assert_same_draw(
            lambda rng: sample(dist, n, d, rng), lambda rng: get_samples(dist, n, d, rng), seed
        )


@given(
    dist=st.sampled_from([nengo.Ensemble.eval_points.default, nengo.Ensemble.encoders.default]),
    n=st.integers(2, 200),
    d=st.integers(1, 6),
    seed=st.integers(0, 2**31 - 1),
)
def test_default_samples_of_ensembles_are_nengos(dist, n, d, seed):
    assert_same_draw(lambda rng: sample(dist, n, d, rng), lambda rng: dist.sample(n, d, rng), seed)


@pytest.mark.parametrize("dist", [Uniform(50, 100), Choice([0.5]), 0.5, [1.0, 2.0, 3.0]], ids=str)
def test_samples_without_dimensions_are_nengos(dist):
    assert_same_draw(
        lambda rng: sample(dist, 3, rng=rng), lambda rng: get_samples(dist, 3, rng=rng), 0
    )


def test_too_few_samples_are_left_to_nengo():
    with pytest.raises(ZeroDivisionError):
        ScatteredHypersphere().sample(1, 1, np.random.RandomState(0))
    with pytest.raises(ZeroDivisionError):
        sample(ScatteredHypersphere(), 1, 1, np.random.RandomState(0))


def test_given_samples_are_copied():
    given_samples = np.arange(3.0)
    assert not np.shares_memory(sample(given_samples, 3), given_samples)


@given(n=st.integers(0, 300), d=st.integers(1, 4), seed=st.integers(0, 1000))
def test_shuffling(n, d, seed):
    rows = np.arange(n * d).reshape(n, d)

    def shuffle(rng):
        shuffled_rows = rows.copy()
        rng.shuffle(shuffled_rows)
        return shuffled_rows

    assert_same_draw(lambda rng: shuffled(rows, rng), shuffle, seed)
