"""The results of a sweep, as runs end.

An array of samples is made when the first run brings it, and grows when a run brings more numbers.
What no run has filled is NaN. A run counts once its ``seconds`` are there, which are written last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.persistence.interrupts import HeldInterrupts
from nengo_jit.persistence.variables import Axis, Variable
from nengo_jit.sweeps.arrays import Array, Arrays, Place
from nengo_jit.sweeps.design import ERROR, SECONDS, Design
from nengo_jit.sweeps.worker import Outcome

if TYPE_CHECKING:
    import xarray


class Results:
    """The results of all runs.

    Parameters
    ----------
    design : Design
        The runs.
    n_steps : int
        Number of steps of a run.
    arrays : Arrays
        Where results go. If they have the results of runs already, these stay.
    """

    def __init__(self, design: Design, n_steps: int, arrays: Arrays):
        self._design, self._n_steps, self._arrays = design, n_steps, arrays
        self._numbers: dict[str, np.ndarray] = {}
        for name, (dim, values) in design.coordinates.items():
            if name not in arrays:
                arrays.add_coordinate(name, dim, values, {})
        self._add_numbers(ERROR, np.dtype(object), "", {"long_name": "why a run has failed"})
        about = {"units": "s", "long_name": "time to build and run"}
        self._add_numbers(SECONDS, np.dtype(float), np.nan, about)

    def _add_numbers(
        self, name: str, dtype: np.dtype, fill: float | str, attributes: dict[str, str]
    ) -> None:
        if name not in self._arrays:
            dims, shape = self._design.dims, self._design.shape
            self._arrays.make(name, Array(dims, shape, dtype, fill, attributes))
            self._numbers[name] = np.full(shape, fill, dtype)
        if name not in self._numbers:
            if self._arrays.dims(name) != self._design.dims:
                raise ValidationError(f"There is a probe '{name}', too", attr="probes")
            self._numbers[name] = self._arrays.numbers(name)

    @property
    def missing(self) -> list[int]:
        """List of int: runs that are not there, or have failed."""
        is_missing = np.isnan(self._numbers[SECONDS]) | (self._numbers[ERROR] != "")
        return [int(number) for number in np.flatnonzero(is_missing)]

    @property
    def n_failed(self) -> int:
        """int: number of runs that have failed."""
        return int(np.count_nonzero(self._numbers[ERROR] != ""))

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Add the outcomes of runs. Ctrl-C waits until this is done.

        Raises
        ------
        OSError
            If they cannot be written.
        """
        with HeldInterrupts():
            changed: dict[str, list[Place]] = {}
            for outcome in outcomes:
                place = self._design.index(outcome.number)
                numbers: dict[str, float | str] = {}
                if not outcome.error:
                    try:
                        for variable, axis, samples in outcome.samples:
                            numbers |= self._put(place, variable, axis, samples)
                    except ValidationError as error:
                        outcome.error = str(error)
                numbers |= {ERROR: outcome.error, SECONDS: outcome.seconds}
                for name, number in numbers.items():
                    if self._numbers[name][place] != number:
                        self._numbers[name][place] = number
                        changed.setdefault(name, []).append(place)
            for name in (*changed.keys() - {SECONDS}, SECONDS):
                self._arrays.set_numbers(name, self._numbers[name], changed.get(name, ()))

    def _put(
        self, place: Place, variable: Variable, axis: Axis, samples: np.ndarray
    ) -> dict[str, int]:
        """Write samples of a run; returns its sizes where they differ from those of other runs."""
        name, dims = variable.name, (*self._design.dims, *variable.dims)
        if axis.name not in self._arrays:
            times, about = axis.times(0, self._n_steps), axis.variable.attributes
            self._arrays.add_coordinate(axis.name, axis.name, times, about)
        if name not in self._arrays:
            dtype = samples.dtype if samples.dtype.kind == "f" else np.dtype(float)
            shape = (*self._design.shape, *samples.shape)
            self._arrays.make(name, Array(dims, shape, dtype, np.nan, variable.attributes))
        if self._arrays.dims(name) != dims:
            others = self._arrays.dims(name)
            raise ValidationError(
                f"'{name}' has the dimensions {dims}, but {others} in other runs", attr="probes"
            )
        sizes = {}
        usual = self._arrays.first(name)
        for dim, size, other in zip(variable.dims[1:], samples.shape[1:], usual[1:]):
            label = f"{dim}.size"
            if size != other:
                about = {"long_name": f"size of {dim}, NaN beyond"}
                self._add_numbers(label, np.dtype(np.int64), other, about)
            elif label in self._arrays:
                self._add_numbers(label, np.dtype(np.int64), other, {})
            if label in self._numbers:
                sizes[label] = size
        self._arrays.set_samples(name, place, samples)
        return sizes

    def dataset(self) -> xarray.Dataset:
        """Return all results; those in a store are read when they are needed."""
        return self._arrays.dataset()
