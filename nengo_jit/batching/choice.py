"""The arguments of a simulator that make it a batch, and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

Parameters = Mapping[object, Mapping[str, ArrayLike]]


@dataclass(frozen=True)
class Batch:
    """The members of a batch, as users choose them.

    Parameters
    ----------
    n_members : int
        Number of members.
    seeds : sequence of int, optional
        Seed of each member; all have the simulator's by default.
    rebuild : bool
        Whether each member is built with its seed as the network's.
    parameters : dict of (object, dict of (str, array_like))
        Built parameters by member.

    Raises
    ------
    ValidationError
        If one of them is invalid by itself.
    """

    n_members: int
    seeds: tuple[int, ...] | None = None
    rebuild: bool = False
    parameters: Parameters = field(default_factory=dict)

    @property
    def seeds_of_runs(self) -> tuple[int, ...] | None:
        """Tuple of int or None: the seed of each run; nengo adds one to that of a network."""
        if self.seeds is None or not self.rebuild:
            return self.seeds
        return tuple((seed + 1) % 2**32 for seed in self.seeds)

    @classmethod
    def chosen(
        cls, batch: object, seeds: object, rebuild: bool, parameters: object
    ) -> Batch | None:
        """Check the arguments of a simulator; returns None without a batch."""
        if batch is None:
            given = {"seeds": seeds, "rebuild": rebuild or None, "parameters": parameters}
            for name in (name for name, value in given.items() if value is not None):
                raise ValidationError("Needs a batch: give its size, batch=...", attr=name)
            return None
        n_members = whole(batch)
        if n_members is None or n_members < 1:
            raise ValidationError(
                f"Must be a positive whole number of members (got {batch!r})", attr="batch"
            )
        if rebuild and seeds is None:
            raise ValidationError("Needs the seeds of the networks: seeds=...", attr="rebuild")
        if not isinstance(parameters or {}, Mapping):
            raise ValidationError(
                f"Must be a dictionary from objects to parameters (got {parameters!r})",
                attr="parameters",
            )
        chosen: Any = parameters or {}
        return cls(n_members, seeds_of(seeds, n_members), rebuild, chosen)


def seeds_of(seeds: object, n_members: int) -> tuple[int, ...] | None:
    """Check the seeds of members; None stands for no seeds."""
    if seeds is None:
        return None
    if not isinstance(seeds, (Sequence, np.ndarray)) or isinstance(seeds, (str, bytes)):
        raise ValidationError(f"Must be a list of {n_members} integers (got {seeds!r})", "seeds")
    checked = [whole(each) for each in seeds]
    wrong = [each for each, seed in zip(seeds, checked) if seed is None or not 0 <= seed < 2**32]
    if wrong:
        raise ValidationError(
            f"Must be integers from 0 to {2**32 - 1} (got {wrong[0]!r})", attr="seeds"
        )
    if len(checked) != n_members:
        raise ValidationError(
            f"Must be one for each of the {n_members} members (got {len(checked)})", attr="seeds"
        )
    return tuple(seed for seed in checked if seed is not None)


def whole(value: Any) -> int | None:
    """Return a whole number of any type; None for all else."""
    if isinstance(value, (bool, np.bool_)):
        return None
    try:
        return index(value)
    except TypeError:
        return None


def numbers_in(value: object) -> np.ndarray | None:
    """Return a user's value as an array of real numbers; None if it is none."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None
