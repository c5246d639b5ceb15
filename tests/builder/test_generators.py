"""Generators: those of NumPy, used again only if nobody has kept them."""

import numpy as np
import pytest

from nengo_jit.builder.generators import generator


@pytest.mark.parametrize("seed", [0, 5, 2**31 - 1, np.int64(7)])
def test_generators_draw_what_new_ones_would(seed):
    for _ in range(2):
        expected = np.random.RandomState(seed)
        with generator(seed) as rng:
            assert rng.randn() == expected.randn()  # leaves a second number behind
            assert rng.randint(1000) == expected.randint(1000)
        with generator(seed) as rng:
            assert rng.randn() == np.random.RandomState(seed).randn()


def test_generators_are_used_again():
    with generator(1) as rng:
        first = id(rng)
    del rng
    with generator(2) as rng:
        assert id(rng) == first


def test_a_generator_that_was_kept_goes_on():
    kept = []
    with generator(1) as rng:
        kept.append(rng)
    del rng
    with generator(2) as other:
        assert other is not kept[0]
        other.rand(10)
    assert kept[0].rand() == np.random.RandomState(1).rand()


def test_generators_inside_each_other():
    with generator(1) as outer, generator(2) as inner:
        assert outer is not inner
        assert inner.rand() == np.random.RandomState(2).rand()
        assert outer.rand() == np.random.RandomState(1).rand()
