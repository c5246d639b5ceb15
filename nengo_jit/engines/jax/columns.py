"""Columns: one operand of all members of a bucket, as parts of blocks.

A column is read as few parts of blocks as possible, most often as one whole block. Everything here
is NumPy, and is computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np

from nengo_jit.engines.jax.blocks import Region

MOST_PARTS = 8  # if a column had more, elements of one block are put together

Index: TypeAlias = "slice | np.ndarray"  # of elements of a flat array; a slice is contiguous


@dataclass(frozen=True)
class Part:
    """Elements of one block.

    Attributes
    ----------
    block : int
        Number of the block.
    index : slice or numpy.ndarray of int
        The elements.
    places : slice or numpy.ndarray of int
        Which elements of the column they are.
    size : int
        Their number.
    """

    block: int
    index: Index
    places: Index
    size: int


@dataclass(frozen=True)
class Column:
    """Elements of blocks.

    Attributes
    ----------
    parts : tuple of Part
        The elements.
    order : numpy.ndarray of int or None
        Where each element of the column is among those of all parts, one after the other; None if
        they are in order.
    shape : tuple of int
        The shape that the operator sees.
    """

    parts: tuple[Part, ...]
    order: np.ndarray | None
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """int: number of elements."""
        return sum(part.size for part in self.parts)

    @property
    def indices(self) -> list[Index]:
        """List of (slice or numpy.ndarray): all indices that reading or writing it needs."""
        own = [] if self.order is None else [self.order]
        return [*own, *indices_of(self.parts)]


def indices_of(parts: Iterable[Part]) -> list[Index]:
    """Return all indices of parts."""
    return [each for part in parts for each in (part.index, part.places)]


def column_of(regions: Sequence[Region], shape: tuple[int, ...]) -> Column:
    """Make a column of regions, in their order.

    Parameters
    ----------
    regions : sequence of Region
        The operand of each member.
    shape : tuple of int
        Shape of the column.
    """
    filled = [(region.block, region.elements.ravel()) for region in regions if region.elements.size]
    runs = [
        (block, np.concatenate([elements for _, elements in run]))
        for block, run in groupby(filled, key=lambda each: each[0])
    ]
    ends = np.cumsum([elements.size for _, elements in runs])
    if len(runs) <= MOST_PARTS:
        parts = [
            Part(
                block, as_index(elements), slice(int(end) - elements.size, int(end)), elements.size
            )
            for (block, elements), end in zip(runs, ends)
        ]
        return Column(tuple(parts), None, shape)
    blocks = np.repeat([block for block, _ in runs], [elements.size for _, elements in runs])
    index = np.concatenate([elements for _, elements in runs])
    parts = []
    for block in np.unique(blocks):
        places = np.flatnonzero(blocks == block)
        parts.append(Part(int(block), as_index(index[places]), as_index(places), places.size))
    order = np.argsort(blocks, kind="stable")
    inverse = np.empty_like(order)
    inverse[order] = np.arange(order.size)
    return Column(tuple(parts), compact(inverse), shape)


def in_turns(column: Column) -> list[Part]:
    """Divide a column into parts without repeated elements, to be incremented one after the other.

    Parameters
    ----------
    column : Column
        A column.

    Returns
    -------
    list of Part
        Together they have all elements. Repeated elements are in the order of the column.
    """
    turns = []
    for part in column.parts:
        if isinstance(part.index, slice):
            turns.append(part)
            continue
        turn = _occurrence(part.index)
        places = np.arange(column.size)[part.places]
        for number in range(int(turn.max()) + 1):
            chosen = np.flatnonzero(turn == number)
            index = as_index(part.index[chosen])
            turns.append(Part(part.block, index, as_index(places[chosen]), chosen.size))
    return turns


def as_index(elements: np.ndarray) -> Index:
    """Return the numbers of elements as a slice if they are contiguous."""
    if (np.diff(elements) == 1).all():
        return slice(int(elements[0]), int(elements[0]) + elements.size)
    return compact(elements)


def compact(numbers: np.ndarray) -> np.ndarray:
    """Return integers in 32 bits if they fit."""
    return numbers.astype(np.int32) if numbers.max() <= np.iinfo(np.int32).max else numbers


def _occurrence(index: np.ndarray) -> np.ndarray:
    """Return how often each number occurs before its place."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    is_new = np.r_[True, ordered[1:] != ordered[:-1]]
    place = np.arange(index.size)
    occurrence = np.empty(index.size, int)
    occurrence[order] = place - np.maximum.accumulate(np.where(is_new, place, 0))
    return occurrence
