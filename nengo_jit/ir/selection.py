"""Indices of arrays: slices, and lists of integers or booleans."""

from __future__ import annotations

from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np
from nengo.utils.numpy import is_array_like

Place: TypeAlias = slice | EllipsisType | np.ndarray  # an index of an array


def as_selection(selection: Any) -> Place:
    """Convert an index: None to ``...``, a list or a tuple to an array."""
    if selection is None:
        return Ellipsis
    if not is_array_like(selection):
        return selection
    indices = np.asarray(selection)
    return indices if indices.size else indices.astype(int)  # an empty list has no integer type


def without_mask(selection: Place, shape: tuple[int, ...]) -> Place:
    """Convert a mask of the right length to indices; return other results of `as_selection`."""
    if not isinstance(selection, np.ndarray) or selection.dtype.kind != "b":
        return selection
    return np.flatnonzero(selection) if selection.shape == shape[:1] else selection


def is_list_of_indices(selection: Place) -> bool:
    """Whether a result of `as_selection` is a list of integers."""
    if not isinstance(selection, np.ndarray):
        return False
    return selection.ndim == 1 and selection.dtype.kind in "iu"


def has_repeats(indices: Any, length: int) -> bool:
    """Whether a list of indices into ``length`` elements contains an element twice.

    Parameters
    ----------
    indices : array_like of int or bool
        Negative integers count from the end; booleans are a mask and never repeat.
    length : int
        Length of the dimension that is indexed.
    """
    array = np.asarray(indices)
    if array.dtype.kind == "b":
        return False
    return np.unique(np.where(array < 0, array + length, array)).size < array.size


def selects_twice(selection: Place, shape: tuple[int, ...]) -> bool:
    """Whether a result of `as_selection` selects an element of an array twice."""
    return isinstance(selection, np.ndarray) and has_repeats(selection, shape[0])
