"""Arrays of results: one with a number for each run, or with samples, which may grow.

`InMemory` keeps them in memory; `nengo_jit.sweeps.stored.InStore` in a Zarr store.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import xarray

Place: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Array:
    """What an array is made of.

    Attributes
    ----------
    dims : tuple of str
        Names of its dimensions.
    shape : tuple of int
        Their sizes.
    dtype : numpy.dtype
        Type of the numbers; object for texts.
    fill : float or str
        What is in places that nothing has been written to.
    attributes : mapping of (str, str)
        Units and descriptions.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    fill: float | str
    attributes: Mapping[str, str]


class Arrays(Protocol):
    """Arrays by name."""

    def __contains__(self, name: str) -> bool:
        """Whether there is an array, or a coordinate, of this name."""

    def make(self, name: str, array: Array) -> None:
        """Make an array."""

    def add_coordinate(
        self, name: str, dim: str, values: np.ndarray, attributes: Mapping[str, str]
    ) -> None:
        """Add the coordinates of a dimension."""

    def dims(self, name: str) -> tuple[str, ...]:
        """Dimensions of an array."""

    def first(self, name: str) -> tuple[int, ...]:
        """Shape of the samples of the first run, after the dimensions of the grid."""

    def numbers(self, name: str) -> np.ndarray:
        """All numbers of an array without samples."""

    def set_numbers(self, name: str, numbers: np.ndarray, places: Collection[Place]) -> None:
        """Write the numbers of some runs, which are at these places among those of all runs."""

    def set_samples(self, name: str, place: Place, samples: np.ndarray) -> None:
        """Write the samples of a run; the array grows if they are more than before."""

    def dataset(self) -> xarray.Dataset:
        """All arrays."""

    def close(self) -> None:
        """Let others write."""


class InMemory(Arrays):
    """Arrays in memory.

    Parameters
    ----------
    n_dims : int
        Number of dimensions of the grid, which are the first ones of all arrays.
    attributes : mapping of (str, object)
        Attributes of the data set.
    """

    def __init__(self, n_dims: int, attributes: Mapping[str, str | float]):
        self._n_dims, self._attributes = n_dims, dict(attributes)
        self._made: dict[str, Array] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._coordinates: dict[str, tuple[str, np.ndarray, dict[str, str]]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._made or name in self._coordinates

    def make(self, name: str, array: Array) -> None:
        self._made[name] = array
        self._arrays[name] = np.full(array.shape, array.fill, array.dtype)

    def add_coordinate(
        self, name: str, dim: str, values: np.ndarray, attributes: Mapping[str, str]
    ) -> None:
        self._coordinates[name] = dim, values, dict(attributes)

    def dims(self, name: str) -> tuple[str, ...]:
        return self._made[name].dims

    def first(self, name: str) -> tuple[int, ...]:
        return self._made[name].shape[self._n_dims :]

    def numbers(self, name: str) -> np.ndarray:
        return self._arrays[name].copy()

    def set_numbers(self, name: str, numbers: np.ndarray, places: Collection[Place]) -> None:
        for place in places:
            self._arrays[name][place] = numbers[place]

    def set_samples(self, name: str, place: Place, samples: np.ndarray) -> None:
        array = self._arrays[name]
        wanted = tuple(map(max, array.shape, (*array.shape[: len(place)], *samples.shape)))
        if wanted != array.shape:
            pads = [(0, new - old) for new, old in zip(wanted, array.shape)]
            array = self._arrays[name] = np.pad(array, pads, constant_values=np.nan)
        index: tuple[int | slice, ...] = (*place, *(slice(size) for size in samples.shape))
        array[index] = samples

    def dataset(self) -> xarray.Dataset:
        import xarray

        variables = {
            name: (self._made[name].dims, array, dict(self._made[name].attributes))
            for name, array in self._arrays.items()
        }
        return xarray.Dataset(variables, self._coordinates, self._attributes)

    def close(self) -> None:
        pass
