"""Columns: one operand of all members of a bucket, as parts of blocks.

A column is read as few parts of blocks as possible, most often as one whole block. Everything here
is NumPy, and is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np

from nengo_jit.engines.jax.blocks import Region

Index: TypeAlias = "slice | np.ndarray"  # of elements of a block, which is flat


@dataclass(frozen=True)
class Part:
    """Elements of one block.

    Attributes
    ----------
    block : int
        Number of the block.
    index : slice or numpy.ndarray of int
        The elements; a slice if they are contiguous.
    size : int
        Their number.
    """

    block: int
    index: Index
    size: int


@dataclass(frozen=True)
class Column:
    """Elements of blocks, one after the other.

    Attributes
    ----------
    parts : tuple of Part
        The elements, in order.
    shape : tuple of int
        The shape that the operator sees.
    """

    parts: tuple[Part, ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """int: number of elements."""
        return sum(part.size for part in self.parts)


def column_of(regions: Sequence[Region], shape: tuple[int, ...]) -> Column:
    """Make a column of regions, in their order.

    Parameters
    ----------
    regions : sequence of Region
        The operand of each member.
    shape : tuple of int
        Shape of the column.
    """
    parts = []
    filled = [region for region in regions if region.elements.size]
    for block, run in groupby(filled, key=lambda region: region.block):
        index = np.concatenate([region.elements.ravel() for region in run])
        parts.append(Part(block, _as_slice(index), index.size))
    return Column(tuple(parts), shape)


def in_turns(column: Column) -> list[tuple[Part, Index]]:
    """Divide a column into parts without repeated elements, to be incremented one after the other.

    Returns
    -------
    list of (Part, slice or numpy.ndarray)
        Each part, and which elements of the column it has.
    """
    turns: list[tuple[Part, Index]] = []
    start = 0
    for part in column.parts:
        whole = slice(start, start + part.size)
        start += part.size
        if isinstance(part.index, slice):
            turns.append((part, whole))
            continue
        turn = _occurrence(part.index)
        for number in range(int(turn.max()) + 1):
            chosen = np.flatnonzero(turn == number)
            index = _as_slice(part.index[chosen])
            selected = whole if chosen.size == part.size else _as_slice(whole.start + chosen)
            turns.append((Part(part.block, index, chosen.size), selected))
    return turns


def _as_slice(index: np.ndarray) -> Index:
    """Return indices as a slice if they are contiguous."""
    if (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[0]) + index.size)
    return index.astype(np.int32) if index.max() < np.iinfo(np.int32).max else index


def _occurrence(index: np.ndarray) -> np.ndarray:
    """Return how often each index occurs before its place."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    is_new = np.r_[True, ordered[1:] != ordered[:-1]]
    place = np.arange(index.size)
    occurrence = np.empty(index.size, int)
    occurrence[order] = place - np.maximum.accumulate(np.where(is_new, place, 0))
    return occurrence
