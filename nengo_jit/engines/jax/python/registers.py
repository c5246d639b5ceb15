"""The registers of a tape, while its instructions become operations of JAX."""

from __future__ import annotations

from bisect import bisect_right

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.cpu.python.tracing.instruction import CONSTANTS

MOST_PIECES = 8  # if there are more, elements are gathered


class Registers:
    """What is in the registers at some point of a path: arrays, each in a range of registers.

    Parameters
    ----------
    constants : (n,) jax.Array
        The values of registers from `CONSTANTS` on.
    """

    def __init__(self, constants: jax.Array):
        self._constants = constants
        self._firsts: list[int] = []
        self._arrays: list[jax.Array] = []

    def copy(self) -> Registers:
        """The same, for a path that parts here."""
        other = Registers(self._constants)
        other._firsts, other._arrays = list(self._firsts), list(self._arrays)
        return other

    def write(self, first: int, values: jax.Array) -> None:
        """Write a vector to registers; they are new, or belong to one earlier vector."""
        place = bisect_right(self._firsts, first) - 1
        if place < 0 or first >= self._firsts[place] + self._arrays[place].size:
            self._firsts.append(first)
            self._arrays.append(values)
            return
        start, whole = first - self._firsts[place], self._arrays[place]
        if start + values.size > whole.size:
            raise Unsupported("has a tape that writes to several results at once")
        if values.size == whole.size:
            self._arrays[place] = values
        else:
            self._arrays[place] = whole.at[start : start + values.size].set(values)

    def read(self, numbers: np.ndarray) -> jax.Array:
        """Read registers with any numbers, as a vector."""
        numbers = numbers.ravel()
        places = np.searchsorted(self._firsts, numbers, "right") - 1
        places[numbers >= CONSTANTS] = -1
        starts = np.array([*self._firsts, CONSTANTS])
        offsets = numbers - starts[places]
        ends = np.flatnonzero(np.diff(places)) + 1
        if len(ends) < MOST_PIECES:
            pieces = [
                _elements(self._array(int(places[low])), offsets[low:high])
                for low, high in zip([0, *ends], [*ends, numbers.size])
            ]
            return pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces)
        used, place_of = np.unique(places, return_inverse=True)
        arrays = [self._array(int(place)) for place in used]
        begins = np.cumsum([0, *(each.size for each in arrays)])
        return jnp.concatenate(arrays)[begins[place_of] + offsets]

    def _array(self, place: int) -> jax.Array:
        return self._constants if place < 0 else self._arrays[place]


def _elements(array: jax.Array, offsets: np.ndarray) -> jax.Array:
    """Elements of an array: a slice if possible."""
    first, last = int(offsets[0]), int(offsets[-1])
    steps = np.diff(offsets)
    if offsets.size > 1 and not steps.any():
        return jnp.broadcast_to(array[first], offsets.shape)
    if (steps == 1).all():
        return array if offsets.size == array.size else array[first : last + 1]
    if steps[0] > 0 and (steps == steps[0]).all():
        return array[first : last + 1 : int(steps[0])]
    return array[offsets]
