"""The log of a build: which operators belong to which object, and how long each object took."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple


class Built(NamedTuple):
    """An object that has been built.

    Attributes
    ----------
    obj : object
        The object; a connection together with its learning rules, an ensemble with its neurons.
    first, last : int
        Index of its first operator in the model, and of the first one after it.
    seconds : float
        Time that it took to build.
    """

    obj: object
    first: int
    last: int
    seconds: float


class BuildLog:
    """Objects in the order in which they were built. An entry takes 24 bytes.

    Attributes
    ----------
    stages : dict of (str, float)
        Duration of each stage until the simulator is ready (seconds).
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._objects: list[object] = []
        self._n_operators = array("q")
        self._times = array("d")

    def note(self, obj: object, n_operators: int, elsewhere: float = 0.0) -> None:
        """Note that all operators of an object have been added to the model, which has so many.

        None, in place of an object, begins a part of the log.

        Parameters
        ----------
        obj : object
            The object, or None.
        n_operators : int
            Number of operators in the model.
        elsewhere : float
            Time so far (seconds) that counts for no object.
        """
        self._objects.append(obj)
        self._n_operators.append(n_operators)
        self._times.append(perf_counter() - elsewhere)

    def __iter__(self) -> Iterator[Built]:
        first, began = 0, 0.0
        for obj, last, ended in zip(self._objects, self._n_operators, self._times):
            if obj is not None:
                yield Built(obj, first, last, ended - began)
            first, began = last, ended
