"""The runs of a sweep: a grid, or a list, of parameters, each with all seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from nengo.exceptions import ValidationError

SEED, CASE = "seed", "case"
RESERVED = {"time", "error", "seconds", CASE}
MOST_LETTERS = 40  # of the name of an object

Grid: TypeAlias = Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Design:
    """All runs of a sweep, numbered in the order of a grid whose last dimension is the seed.

    Attributes
    ----------
    dims : tuple of str
        Dimensions of the grid.
    shape : tuple of int
        Their sizes.
    coordinates : dict of (str, (str, list))
        Dimension and values of each coordinate.
    cases : list of dict or None
        Parameters of each case, if they are listed.
    values : dict of (str, list)
        Values of each parameter, if they form a grid.
    seeds : list of int or None
        The seeds; None if networks keep their own.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coordinates: dict[str, tuple[str, list[Any]]]
    cases: list[dict[str, Any]] | None
    values: dict[str, list[Any]]
    seeds: list[int] | None

    @classmethod
    def of(cls, parameters: Grid | None, seeds: Iterable[int] | None) -> Design:
        """Make a design; ValidationError if a parameter or the seeds are invalid."""
        values: dict[str, list[Any]] = {}
        cases = None
        coordinates: dict[str, tuple[str, list[Any]]] = {}
        sizes: dict[str, int] = {}
        if parameters is None or isinstance(parameters, Mapping):
            values = {name: list(each) for name, each in (parameters or {}).items()}
            for name, each in values.items():
                coordinates[name] = (name, names_of(each))
                sizes[name] = len(each)
        else:
            cases = [dict(case) for case in parameters]
            sizes[CASE] = len(cases)
            for name in dict.fromkeys(name for case in cases for name in case):
                coordinates[name] = (CASE, names_of([case.get(name) for case in cases]))
        listed = None if seeds is None else _checked(seeds)
        reserved = RESERVED if listed is None else RESERVED | {SEED}
        for name in coordinates:
            if name in reserved:
                raise ValidationError(f"'{name}' has another meaning here", attr="parameters")
        if listed is not None:
            coordinates[SEED] = (SEED, list(listed))
            sizes[SEED] = len(listed)
        if 0 in sizes.values():
            raise ValidationError("Every parameter needs a value, and a sweep a seed", "parameters")
        return cls(tuple(sizes), tuple(sizes.values()), coordinates, cases, values, listed)

    @property
    def n_runs(self) -> int:
        """int: number of runs."""
        return math.prod(self.shape)

    def index(self, number: int) -> tuple[int, ...]:
        """Place of a run in the grid."""
        return tuple(int(i) for i in np.unravel_index(number, self.shape)) if self.shape else ()

    def run(self, number: int) -> tuple[dict[str, Any], int | None]:
        """Parameters and seed of a run."""
        place = dict(zip(self.dims, self.index(number)))
        seed = None if self.seeds is None else self.seeds[place[SEED]]
        if self.cases is not None:
            return self.cases[place[CASE]], seed
        return {name: each[place[name]] for name, each in self.values.items()}, seed


def names_of(values: Sequence[Any]) -> list[Any]:
    """Values of a coordinate: numbers and strings as they are, objects by name or by index."""
    if all(isinstance(each, (bool, np.bool_)) for each in values):
        return list(values)
    if all(isinstance(each, (int, float, np.number)) for each in values):
        return list(values)
    names = [_name(each) for each in values]
    is_clear = all(name and len(name) <= MOST_LETTERS for name in names)
    return names if is_clear and len(set(names)) == len(names) else list(range(len(values)))


def _name(value: object) -> str:
    name = value if isinstance(value, str) else getattr(value, "__name__", None)
    return str(name) if name else re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _checked(seeds: Iterable[int]) -> list[int]:
    listed = [int(seed) for seed in seeds]
    if len(set(listed)) < len(listed) or any(not 0 <= seed < 2**32 for seed in listed):
        raise ValidationError("Seeds must be different, from 0 to 2**32 - 1", attr="seeds")
    return listed
