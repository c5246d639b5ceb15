"""The signals that depend on parameters, such as the product of encoders and gains.

Signals that are computed alike, of parameters in the same stacks, are computed together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.jax.columns import Index, as_index
from nengo_jit.ir.signal import Signal
from nengo_jit.training.stacks import Stacked, Stacks

Compute: TypeAlias = Callable[..., jax.Array]


def same(values: jax.Array) -> jax.Array:
    """Return (n, ...) values."""
    return values


def scaled(encoders: jax.Array, gain: jax.Array, radius: np.ndarray) -> jax.Array:
    """Return (n, neurons, dimensions) encoders times gains, divided by radii, (n,)."""
    return encoders * (gain / radius[:, np.newaxis])[..., np.newaxis]


def in_rows(factors: jax.Array, decoders: jax.Array) -> jax.Array:
    """Return (n, size, neurons) decoders times a number, or one for each row."""
    return jnp.reshape(factors, (len(factors), -1, 1)) * decoders


def product(transform: jax.Array, decoders: jax.Array) -> jax.Array:
    """Return (n, size_out, size) transforms times (n, size, neurons) decoders."""
    return transform @ decoders


class Recipe(NamedTuple):
    """How a signal is computed.

    Attributes
    ----------
    signal : Signal
        The signal.
    compute : callable
        From stacks of parameters and numbers to a stack of signals.
    names : tuple of str
        Names of the parameters.
    numbers : tuple of float
        More that it takes.
    chosen : numpy.ndarray of int or None
        Which elements of the result it is; None if it is all of them.
    """

    signal: Signal
    compute: Compute
    names: tuple[str, ...]
    numbers: tuple[float, ...] = ()
    chosen: np.ndarray | None = None


class Like(NamedTuple):
    """Signals that are computed together.

    Attributes
    ----------
    signals : tuple of Signal
        The signals, in the order of rows.
    compute : callable
        See `Recipe`.
    operands : list of (str, slice or numpy.ndarray)
        For each parameter, the name of a stack, and rows in it.
    numbers : list of (n,) numpy.ndarray
        More that it takes.
    chosen : numpy.ndarray of int or None
        See `Recipe`.
    """

    signals: tuple[Signal, ...]
    compute: Compute
    operands: list[tuple[str, Index]]
    numbers: list[np.ndarray]
    chosen: np.ndarray | None

    def values(self, stacks: Stacked) -> jax.Array:
        """Return the values, (n, ...); can be traced."""
        operands = [stacks[name][rows] for name, rows in self.operands]
        values = self.compute(*operands, *self.numbers)
        return values if self.chosen is None else values[:, self.chosen]


class Derived:
    """The signals that depend on parameters.

    Parameters
    ----------
    recipes : iterable of Recipe
        How each signal is computed.
    stacks : Stacks
        Where parameters are.
    dtype : numpy.dtype
        Type of their numbers.

    Attributes
    ----------
    likes : list of Like
        Signals that are computed together.
    places : dict of (Signal, tuple of int)
        Of each signal, the number of those, and its row.
    """

    def __init__(self, recipes: Iterator[Recipe], stacks: Stacks, dtype: np.dtype):
        found: dict[object, dict[Signal, Recipe]] = {}
        for each in recipes:
            key = (*(stacks.places[name].stack for name in each.names), each.compute)
            is_whole = each.chosen is None
            found.setdefault(key if is_whole else each.signal, {})[each.signal] = each
        self.likes = [_like(list(each.values()), stacks, dtype) for each in found.values()]
        self.places = {
            signal: (number, row)
            for number, like in enumerate(self.likes)
            for row, signal in enumerate(like.signals)
        }

    def values(self, stacks: Stacked) -> list[jax.Array]:
        """Return the values of all that are computed together, (n, ...) each; can be traced."""
        return [each.values(stacks) for each in self.likes]

    def value_of(self, signal: Signal, values: Sequence[jax.Array]) -> jax.Array:
        """Return the value of a signal, from those that `values` has returned."""
        number, row = self.places[signal]
        return values[number][row]


def _like(recipes: Sequence[Recipe], stacks: Stacks, dtype: np.dtype) -> Like:
    first = recipes[0]
    operands = []
    for names in zip(*(each.names for each in recipes)):
        rows = np.array([stacks.places[name].row for name in names])
        operands.append((stacks.places[names[0]].stack, as_index(rows)))
    numbers = [np.array(each, dtype) for each in zip(*(each.numbers for each in recipes))]
    signals = tuple(each.signal for each in recipes)
    return Like(signals, first.compute, operands, numbers, first.chosen)
