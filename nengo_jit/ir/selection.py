"""Selections of elements of an array, by lists of indices."""

from __future__ import annotations

from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np
from nengo.utils.numpy import is_array_like

Place: TypeAlias = slice | EllipsisType | np.ndarray  # what an array is indexed with


def as_selection(selection: Any) -> Place:
    """What to index an array with: everything for None, an array for a list or a tuple."""
    if selection is None:
        return Ellipsis
    if not is_array_like(selection):
        return selection
    indices = np.asarray(selection)
    return indices if indices.size else indices.astype(int)  # [] has no type of its own


def without_mask(selection: Place, shape: tuple[int, ...]) -> Place:
    """What `as_selection` returned; the indices that it stands for, if it is a mask that fits."""
    if not isinstance(selection, np.ndarray) or selection.dtype.kind != "b":
        return selection
    return np.flatnonzero(selection) if selection.shape == shape[:1] else selection


def is_list_of_indices(selection: Place) -> bool:
    """Whether what `as_selection` returned is a list of integers."""
    if not isinstance(selection, np.ndarray):
        return False
    return selection.ndim == 1 and selection.dtype.kind in "iu"


def has_repeats(indices: Any, length: int) -> bool:
    """Whether a list of indices into ``length`` elements names one of them twice.

    Parameters
    ----------
    indices : array_like of int or bool
        Negative integers count from the end; booleans are a mask and never repeat.
    length : int
        Number of elements that are indexed.
    """
    array = np.asarray(indices)
    if array.dtype.kind == "b":
        return False
    return np.unique(np.where(array < 0, array + length, array)).size < array.size


def selects_twice(selection: Place, shape: tuple[int, ...]) -> bool:
    """Whether what `as_selection` returned names an element of an array of some shape twice."""
    return isinstance(selection, np.ndarray) and has_repeats(selection, shape[0])
