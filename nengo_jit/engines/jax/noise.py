"""Random numbers from the device, for ``noise="fast"``: not nengo's, but distributed alike.

They depend on the seed, the operator and the step, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

import jax
import numpy as np
from nengo.dists import Distribution, Gaussian, Uniform
from nengo.processes import FilteredNoise, WhiteNoise

from nengo_jit.engines.jax.bucket import Bucket, Constants, Key, Leaf
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.processes import SimProcess, make_step_of
from nengo_jit.neurons import formula_of
from nengo_jit.neurons.base import uniform
from nengo_jit.neurons.poisson_spiking import counts

MOST_SEEDS = 1 << 31


class Kind(Enum):
    """A distribution, with the numbers that it takes."""

    UNIFORM = auto()  # the lowest number, and the difference to the highest
    NORMAL = auto()  # mean and standard deviation
    POISSON = auto()  # the length of a step (seconds); rates (hertz) are the neurons' currents


@dataclass(frozen=True)
class Sampler:
    """Draws the numbers of an operator for one step.

    Attributes
    ----------
    kind : Kind
        The distribution.
    numbers : tuple of float
        What it takes.
    shape : tuple of int
        Of the result.
    dtype : str
        Type of the result.
    """

    kind: Kind
    numbers: tuple[float, ...]
    shape: tuple[int, ...]
    dtype: str

    def draw(self, key: jax.Array, arguments: Sequence[Any]) -> jax.Array:
        """Draw, given a key and the other arguments of the operator's `compute`."""
        if self.kind is Kind.POISSON:
            (dt,) = self.numbers
            rates = arguments[-1]
            return jax.random.poisson(key, abs(rates) * dt, self.shape).astype(self.dtype)
        base, factor = self.numbers
        draw = jax.random.uniform if self.kind is Kind.UNIFORM else jax.random.normal
        numbers: jax.Array = base + factor * draw(key, self.shape, self.dtype)
        return numbers


@dataclass(frozen=True)
class Drawing:
    """An operator's `compute` that takes a key in place of the numbers drawn."""

    compute: Callable[..., Any]
    sampler: Sampler

    def __call__(self, xp: object, *arguments: Any) -> Any:
        *others, key = arguments
        return self.compute(xp, *others, self.sampler.draw(key, others))


@dataclass(frozen=True)
class Noise:
    """The random numbers of an operator.

    Attributes
    ----------
    sampler : Sampler
        Draws them.
    key : (..., 2) numpy.ndarray of uint32
        The operator's own key, to be combined with the number of the step. For a batch, there is a
        key for each member.
    """

    sampler: Sampler
    key: np.ndarray

    @classmethod
    def of(cls, sampler: Sampler, rng: np.random.RandomState) -> Noise:
        """Make the noise of an operator with a generator of its own, which is left as it is."""
        own = np.random.RandomState()
        own.set_state(rng.get_state())
        return cls(sampler, own.randint(MOST_SEEDS, size=2).astype(np.uint32))


def drawing(bucket: Bucket, noise: Sequence[Noise], constants: Constants) -> Bucket:
    """Return a bucket that draws on the device what it would get from the host.

    Parameters
    ----------
    bucket : Bucket
        The bucket, with `Drawn` as its last argument.
    noise : sequence of Noise
        The noise of each member.
    constants : Constants
        Gets the keys.
    """
    keys = np.stack([each.key for each in noise], -2) if bucket.is_mapped else noise[0].key
    is_batched = noise[0].key.ndim > 1
    leaf = Leaf(constants.add(keys), bucket.is_mapped, is_batched)
    function = Drawing(bucket.function, noise[0].sampler)
    return replace(bucket, function=function, arguments=(*bucket.arguments[:-1], Key(leaf)))


def sampler_of(operator: Operator, dt: float) -> Sampler | None:
    """Return the sampler of an operator; None if the device cannot draw its numbers."""
    if isinstance(operator, SimNeurons):
        output, formula = operator.output, formula_of(operator.neurons)
        random = None if formula is None else formula.random
        if random is uniform:
            return Sampler(Kind.UNIFORM, (0.0, 1.0), output.shape, output.dtype.str)
        if random is counts:
            return Sampler(Kind.POISSON, (dt,), output.shape, output.dtype.str)
        return None
    if not isinstance(operator, SimProcess) or operator.input is not None:
        return None
    process, output = operator.process, operator.output
    make_step = make_step_of(process)
    if make_step not in (WhiteNoise.make_step, FilteredNoise.make_step):
        return None
    is_scaled = make_step is WhiteNoise.make_step and process.scale
    return _of_distribution(process.dist, 1 / np.sqrt(dt) if is_scaled else 1.0, output)


def _of_distribution(dist: Distribution, factor: float, output: Any) -> Sampler | None:
    """The sampler for numbers of a distribution, times a factor."""
    if type(dist) is Gaussian:
        kind, base, width = Kind.NORMAL, dist.mean, dist.std
    elif type(dist) is Uniform and not dist.integer:
        kind, base, width = Kind.UNIFORM, dist.low, dist.high - dist.low
    else:
        return None
    numbers = float(factor * base), float(factor * width)
    return Sampler(kind, numbers, output.shape, output.dtype.str)
