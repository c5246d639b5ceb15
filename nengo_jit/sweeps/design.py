"""The runs of a sweep: a grid, or a list, of parameters, each with all seeds."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.persistence.variables import ADDRESS, METADATA, TIME

SEED, CASE = "seed", "case"
SECONDS, ERROR = "seconds", "error"
RESERVED = {METADATA, TIME, CASE, SEED, SECONDS, ERROR}
MOST_LETTERS = 40  # of the name of an object
NUMBERS = (bool, int, float, np.bool_, np.number)
NAME = re.compile(r"\w[\w.-]*(?<!\.size)")  # of an array in a store

Grid: TypeAlias = Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Design:
    """All runs of a sweep, numbered in the order of a grid whose last dimension is the seed.

    Attributes
    ----------
    dims : tuple of str
        Dimensions of the grid.
    shape : tuple of int
        Their sizes.
    coordinates : dict of (str, (str, numpy.ndarray))
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
    coordinates: dict[str, tuple[str, np.ndarray]]
    cases: list[dict[str, Any]] | None
    values: dict[str, list[Any]]
    seeds: list[int] | None

    @classmethod
    def of(cls, parameters: Grid | None, seeds: Iterable[int] | None) -> Design:
        """Make a design; ValidationError if a parameter or the seeds are invalid."""
        values: dict[str, list[Any]] = {}
        cases = None
        coordinates: dict[str, tuple[str, np.ndarray]] = {}
        sizes: dict[str, int] = {}
        if parameters is None or isinstance(parameters, Mapping):
            for name, each in (parameters or {}).items():
                values[name] = _listed(each, f"Values of '{name}'", "parameters")
                coordinates[name] = (name, coordinate(values[name]))
                sizes[name] = len(values[name])
        else:
            cases = _listed(parameters, "Parameters", "parameters")
            if not all(isinstance(case, Mapping) for case in cases):
                raise ValidationError("Each case must be a dictionary", attr="parameters")
            cases = [dict(case) for case in cases]
            sizes[CASE] = len(cases)
            for name in dict.fromkeys(name for case in cases for name in case):
                known = [case[name] for case in cases if name in case]
                absent = math.nan if all(isinstance(each, NUMBERS) for each in known) else None
                coordinates[name] = (CASE, coordinate([case.get(name, absent) for case in cases]))
        for name in coordinates:
            if not isinstance(name, str) or name in RESERVED or not NAME.fullmatch(name):
                raise ValidationError(f"A parameter cannot be called {name!r}", attr="parameters")
        listed = None
        if seeds is not None:
            listed = _checked(_listed(seeds, "Seeds", "seeds"))
            coordinates[SEED] = (SEED, np.asarray(listed))
            sizes[SEED] = len(listed)
        for name, size in sizes.items():
            if size == 0:
                raise ValidationError(f"There is no {name} to run", attr="parameters")
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


def coordinate(values: Sequence[Any]) -> np.ndarray:
    """Numbers and strings as they are, other objects by their names or their places."""
    if all(isinstance(each, str) for each in values):
        return np.asarray(values)
    if all(isinstance(each, NUMBERS) for each in values):
        numbers = np.asarray(values)
        if numbers.dtype.kind in "biuf":
            return numbers
    names = [_name(each) for each in values]
    is_clear = all(0 < len(name) <= MOST_LETTERS for name in names)
    distinct = {each if isinstance(each, NUMBERS) else id(each) for each in values}
    if is_clear and len(set(names)) == len(distinct):
        return np.asarray(names)
    return np.arange(len(values))


def _name(value: object) -> str:
    if isinstance(value, str):
        return value
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else ADDRESS.sub("", repr(value))


def _listed(values: Iterable[Any], what: str, attr: str) -> list[Any]:
    if isinstance(values, (str, bytes)) or not np.iterable(values):
        raise ValidationError(f"{what} must be a list, not {values!r}", attr=attr)
    return list(values)


def _checked(seeds: list[Any]) -> list[int]:
    try:
        listed = [operator.index(seed) for seed in seeds]
    except TypeError:
        raise ValidationError("Seeds must be whole numbers", attr="seeds") from None
    if len(set(listed)) < len(listed) or any(not 0 <= seed < 2**32 for seed in listed):
        raise ValidationError("Seeds must be different, from 0 to 2**32 - 1", attr="seeds")
    return listed
