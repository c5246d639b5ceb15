"""The results of a sweep: arrays over all runs, in memory or in a Zarr store.

An array is made when the first run brings it, and grows when a run brings more numbers. What no run
has filled is NaN. A run counts once its ``seconds`` are there, which are written last.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.persistence.lock import PathLock
from nengo_jit.persistence.variables import Axis, Variable
from nengo_jit.sweeps.design import Design
from nengo_jit.sweeps.fingerprint import difference
from nengo_jit.sweeps.worker import Outcome

if TYPE_CHECKING:
    import xarray

SWEEP = "nengo_jit_sweep"  # attribute that has the description of a sweep
SECONDS, ERROR = "seconds", "error"


class Results:
    """The arrays of a sweep.

    Parameters
    ----------
    design : Design
        The runs.
    n_steps : int
        Number of steps of a run.
    out : Path or None
        Folder of a Zarr store; None to keep all in memory.
    described : mapping of (str, str)
        What the sweep is made of.
    overwrite : bool
        Whether to delete a store that is there.
    resume : bool
        Whether to continue one.

    Raises
    ------
    ValidationError
        If there is something else at the path, or it is being written.
    """

    def __init__(
        self,
        design: Design,
        n_steps: int,
        out: Path | None,
        described: Mapping[str, str],
        resume: bool = True,
        overwrite: bool = False,
    ):
        self._design, self._n_steps, self._out = design, n_steps, out
        self._arrays: dict[str, Any] = {}
        self._first: dict[str, list[Any]] = {}  # dims, shape and attributes of each variable
        self._axes: dict[str, np.ndarray] = {}
        self._lock = None if out is None else PathLock(out)
        try:
            if out is not None:
                self._open(out, dict(described), resume, overwrite)
            if SECONDS not in self._arrays:
                attributes = {"units": "s", "long_name": "time to build and run"}
                self._make(SECONDS, (), (), np.dtype(float), np.nan, attributes)
                self._make(ERROR, (), (), np.dtype(object), "", {})
                for name, (dim, values) in design.coordinates.items():
                    self._coordinate(name, dim, np.asarray(values))
        except BaseException:
            self.close()
            raise
        self.seconds = np.array(self._arrays[SECONDS][...])
        self.errors = np.array(self._arrays[ERROR][...], dtype=object)

    def _open(self, out: Path, described: dict[str, str], resume: bool, overwrite: bool) -> None:
        import zarr

        if out.exists():
            known = None
            if (out / "zarr.json").exists():
                known = json.loads((out / "zarr.json").read_bytes())["attributes"].get(SWEEP)
            if known is None:
                raise ValidationError(f"'{out}' exists, and is no sweep", attr="out")
            if overwrite:
                shutil.rmtree(out)
            elif not resume:
                raise ValidationError(f"'{out}' exists: use resume or overwrite", attr="out")
            else:
                changed = difference(known, described)
                if changed is not None:
                    raise ValidationError(
                        f"'{out}' is of another sweep: {changed}. Choose another path, or begin "
                        "anew by overwrite=True",
                        attr="out",
                    )
        self._group = zarr.open_group(str(out), mode="a", zarr_format=3)
        self._group.attrs[SWEEP] = described
        arrays = dict(self._group.arrays())
        if not {SECONDS, ERROR, *self._design.coordinates} <= arrays.keys():
            return  # it was interrupted before its first run
        for name, array in arrays.items():
            self._arrays[name] = array
            first = array.attrs.get("first")
            if first is not None:
                self._first[name] = first

    @property
    def missing(self) -> list[int]:
        """List of int: runs that are not there, or have failed."""
        is_missing = np.isnan(self.seconds) | (self.errors != "")
        return [int(number) for number in np.flatnonzero(is_missing)]

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Add the outcomes of runs."""
        for outcome in outcomes:
            place = self._design.index(outcome.number)
            if not outcome.error:
                try:
                    for variable, axis, samples in outcome.samples:
                        self._put(place, variable, axis, samples)
                except ValidationError as error:
                    outcome.error = str(error)
            if outcome.error or self.errors[place]:
                self.errors[place] = outcome.error
                self._arrays[ERROR][place] = outcome.error
            self.seconds[place] = outcome.seconds
        rows = {self._design.index(each.number)[:-1] for each in outcomes}
        for row in rows:
            self._arrays[SECONDS][row] = self.seconds[row]

    def _put(
        self, place: tuple[int, ...], variable: Variable, axis: Axis, samples: np.ndarray
    ) -> None:
        name = variable.name
        if name in {*self._design.coordinates, SECONDS, ERROR}:
            raise ValidationError(f"A probe and a parameter are called '{name}'", attr="probes")
        if axis.name not in self._axes:
            self._axes[axis.name] = axis.times(0, self._n_steps)
            if axis.name not in self._arrays:
                attributes = axis.variable.attributes
                self._coordinate(axis.name, axis.name, self._axes[axis.name], attributes)
        if name not in self._arrays:
            dtype = samples.dtype if samples.dtype.kind == "f" else np.dtype(float)
            first = [list(variable.dims), list(samples.shape)]
            self._first[name] = first
            attributes = {**variable.attributes, "first": first}
            self._make(name, variable.dims, samples.shape, dtype, np.nan, attributes)
        dims, shape = self._first[name]
        if list(variable.dims) != dims:
            raise ValidationError(f"'{name}' has dimensions {variable.dims}, and {dims} before")
        array = self._arrays[name]
        n = len(self._design.shape)
        wanted = tuple(max(pair) for pair in zip(array.shape[n:], samples.shape))
        if wanted != array.shape[n:]:
            array = self._grow(name, (*self._design.shape, *wanted))
        for dim, size, usual in zip(dims[1:], samples.shape[1:], shape[1:]):
            sizes = f"{dim}.size"
            if size != usual and sizes not in self._arrays:
                about = {"long_name": f"size of {dim}; NaN beyond"}
                self._make(sizes, (), (), np.dtype(np.int64), usual, about)
            if sizes in self._arrays:
                self._arrays[sizes][place] = size
        array[(*place, *(slice(0, size) for size in samples.shape))] = samples

    def _make(
        self,
        name: str,
        dims: Sequence[str],
        shape: Sequence[int],
        dtype: np.dtype,
        fill: Any,
        attributes: dict[str, Any],
    ) -> None:
        """Make an array over all runs; in a store, it has a chunk for each run."""
        whole = (*self._design.shape, *shape)
        self._first.setdefault(name, [list(dims), list(shape)])
        if self._out is None:
            self._arrays[name] = np.full(whole, fill, dtype)
            return
        runs = (*[1] * len(self._design.shape[:-1]), *self._design.shape[-1:])
        chunks = (*[1] * len(self._design.shape), *(max(1, n) for n in shape)) if dims else runs
        self._arrays[name] = self._group.create_array(
            name,
            shape=whole,
            chunks=chunks,
            dtype=str if dtype == object else dtype,
            compressors=None,
            fill_value=fill,
            dimension_names=(*self._design.dims, *dims),
            attributes={**attributes, "first": self._first[name]},
        )

    def _grow(self, name: str, shape: tuple[int, ...]) -> Any:
        array = self._arrays[name]
        if self._out is None:
            pads = [(0, new - old) for new, old in zip(shape, array.shape)]
            self._arrays[name] = np.pad(array, pads, constant_values=np.nan)
        else:
            array.resize(shape)
        return self._arrays[name]

    def _coordinate(
        self, name: str, dim: str, values: np.ndarray, attributes: Mapping[str, Any] | None = None
    ) -> None:
        about = dict(attributes or {})
        if self._out is None:
            self._axes_of[name] = (dim, values, about)
            self._arrays.setdefault(name, values)
            return
        is_text = values.dtype.kind == "U"
        array = self._group.create_array(
            name,
            shape=values.shape,
            dtype=str if is_text else values.dtype,
            dimension_names=(dim,),
            compressors=None,
            attributes=about,
        )
        array[...] = values.astype(object) if is_text else values
        self._arrays[name] = array

    @property
    def _axes_of(self) -> dict[str, tuple[str, np.ndarray, dict[str, Any]]]:
        return self.__dict__.setdefault("_coordinates", {})

    def dataset(self) -> xarray.Dataset:
        """Return all results; those in a store are read when they are needed."""
        import xarray

        if self._out is not None:
            found = xarray.open_zarr(str(self._out), consolidated=False, chunks=None)
            names = [name for name in self._design.coordinates if name in found]
            for name in found.variables:
                found[name].attrs.pop("first", None)
            return found.set_coords(names)
        variables = {
            name: ((*self._design.dims, *self._first[name][0]), array)
            for name, array in self._arrays.items()
            if name not in self._axes_of
        }
        return xarray.Dataset(variables, self._axes_of)

    def close(self) -> None:
        """Let others write to the store."""
        if self._lock is not None:
            self._lock.release()
