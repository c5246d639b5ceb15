"""What of a program depends on parameters: elements of constants, and of the state at the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.jax.blocks import Blocks, elements_of
from nengo_jit.engines.jax.bucket import Constants, Packing
from nengo_jit.engines.jax.columns import Index, as_index
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.training.derived import Derived


class Packed(NamedTuple):
    """A constant.

    Attributes
    ----------
    numbers : tuple of int
        Numbers of `Derived.likes` that have elements of it.
    others : (n,) numpy.ndarray
        The values of signals that do not depend on parameters.
    chosen : slice or numpy.ndarray of int
        The elements of all of these, one after the other.
    shape : tuple of int
        Shape of the constant.
    """

    numbers: tuple[int, ...]
    others: np.ndarray
    chosen: Index
    shape: tuple[int, ...]

    def filled(self, values: Sequence[jax.Array]) -> jax.Array:
        """Return the constant, given the values of all that depends on parameters."""
        parts = [jnp.ravel(values[number]) for number in self.numbers]
        if self.others.size:
            parts.append(jnp.asarray(self.others))
        return jnp.reshape(jnp.concatenate(parts)[self.chosen], self.shape)


def packed_constants(
    constants: Constants, signals: SignalDict, derived: Derived
) -> dict[int, Packed]:
    """Return the constants that depend on parameters, by their number.

    Parameters
    ----------
    constants : Constants
        All constants.
    signals : SignalDict
        The values of signals.
    derived : Derived
        The signals that depend on parameters.
    """
    return {
        number: _packed(packing, signals, derived)
        for number, packing in constants.packings.items()
        if any(each.base in derived.places for each in packing.signals)
    }


def _packed(packing: Packing, signals: SignalDict, derived: Derived) -> Packed:
    bases = list(dict.fromkeys(each.base for each in packing.signals))
    others = [each for each in bases if each not in derived.places]
    numbers = tuple(sorted({derived.places[each][0] for each in bases if each in derived.places}))
    starts = _starts(numbers, others, derived)
    elements = {}
    for base in bases:
        by_place = np.empty(base.size, int)
        by_place[elements_of(base).ravel()] = np.arange(starts[base], starts[base] + base.size)
        elements[base] = by_place
    index = packing.pack([elements[each.base][elements_of(each)] for each in packing.signals])
    values = [np.ravel(signals[each]) for each in others]
    kept = np.concatenate(values) if values else np.empty(0)
    return Packed(numbers, kept, as_index(index.ravel()), index.shape)


def _starts(
    numbers: Sequence[int], others: Sequence[Signal], derived: Derived
) -> Mapping[Signal, int]:
    """Return where each signal starts, if all are one after the other."""
    bases = [each for number in numbers for each in derived.likes[number].signals] + [*others]
    ends = np.cumsum([each.size for each in bases])
    return {base: int(end) - base.size for base, end in zip(bases, ends)}


class Learned(NamedTuple):
    """Elements of a block that start as parameters: weights that a learning rule changes.

    Attributes
    ----------
    block : int
        Number of the block.
    elements : (n,) numpy.ndarray of int
        The elements.
    number : int
        Number of the `Derived.likes` with their values.
    chosen : slice or numpy.ndarray of int
        Which of these values.
    """

    block: int
    elements: np.ndarray
    number: int
    chosen: Index


def learned_elements(blocks: Blocks, derived: Derived) -> Iterator[Learned]:
    """Yield the elements of blocks that start as parameters."""
    for number, like in enumerate(derived.likes):
        by_block: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        for row, signal in enumerate(like.signals):
            if signal in blocks:
                block, elements = blocks.region_of(signal)
                values = row * signal.size + np.arange(signal.size)
                by_block.setdefault(block, []).append((elements.ravel(), values))
        for block, pairs in by_block.items():
            elements, values = map(np.concatenate, zip(*pairs))
            yield Learned(block, elements, number, as_index(values))
