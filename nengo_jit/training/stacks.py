"""Like parameters of many objects as one array, so that programs do not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Params: TypeAlias = dict[str, jax.Array]  # by name of a parameter
ArrayT = TypeVar("ArrayT", jax.Array, np.ndarray)
Stacked: TypeAlias = dict[str, jax.Array]  # by name of a stack, (members, ...)


class Place(NamedTuple):
    """Where a parameter is: the name of its stack, and the row in it."""

    stack: str
    row: int


class Stacks:
    """Stacks of like parameters, of which all are trained, or none.

    Parameters
    ----------
    kinds : mapping of (str, str)
        By name of a parameter, its attribute and shape.
    trained : iterable of str
        Names of those that are trained.

    Attributes
    ----------
    members : dict of (str, list of str)
        By name of a stack, the names of its parameters, in the order of its rows.
    places : dict of (str, Place)
        By name of a parameter, where it is.
    trained : frozenset of str
        Names of the stacks that are trained.
    """

    def __init__(self, kinds: Mapping[str, str], trained: Iterable[str]):
        chosen = set(trained)
        self.members: dict[str, list[str]] = {}
        self.places: dict[str, Place] = {}
        for name, kind in kinds.items():
            stack = kind if name in chosen else f"{kind}, not trained"
            self.members.setdefault(stack, []).append(name)
        for stack, members in self.members.items():
            self.places |= {name: Place(stack, row) for row, name in enumerate(members)}
        self.trained = frozenset(self.places[name].stack for name in chosen)

    def stacked(self, params: Mapping[str, np.ndarray] | Params, xp: ModuleType = jnp) -> Stacked:
        """Return the stacks of parameters by name.

        Parameters
        ----------
        params : mapping of (str, array)
            All parameters, or all that are trained.
        xp : module
            NumPy or JAX's: what makes the stacks.
        """
        return {
            stack: xp.stack([params[name] for name in members])
            for stack, members in self.members.items()
            if members[0] in params
        }

    def by_name(self, stacks: Mapping[str, ArrayT]) -> dict[str, ArrayT]:
        """Return the parameters in stacks, by name."""
        return {
            name: value[row]
            for stack, value in stacks.items()
            for row, name in enumerate(self.members[stack])
        }
