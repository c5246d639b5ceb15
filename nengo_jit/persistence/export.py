"""Probe data as a data set with times, names and units: in files, and for xarray."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.engines import Engine
from nengo_jit.persistence.files import replace_file
from nengo_jit.persistence.store import Store
from nengo_jit.persistence.variables import Axis, Variable, axis_of, variables_of, with_axis
from nengo_jit.planner.plan import ProbePlan

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Recorded:
    """What is known of probes, besides their samples.

    Attributes
    ----------
    probes : sequence of ProbePlan
        The probes.
    engine : Engine
        Counts the steps.
    hold : callable
        Calls a function between runs, with arguments, and returns its result.
    label : str
        Label of the network; empty without one.
    n_members : int or None
        Number of members of a batch, the first axis of its data; None if there is no batch.
    """

    probes: Sequence[ProbePlan]
    engine: Engine
    hold: Callable[..., Any]
    label: str
    n_members: int | None = None

    @property
    def dt(self) -> float:
        """float: length of a step (seconds)."""
        return float(self.engine.plan.dt)

    @property
    def attributes(self) -> dict[str, Any]:
        """Dict: attributes of the data set."""
        seed = self.engine.seed
        return {"label": self.label, "dt": self.dt, "seed": None if seed is None else int(seed)}

    def save(self, data: Mapping[Any, Any], path: Path, overwrite: bool) -> None:
        """Write a file or a store; see `SimulationData.save`."""
        kinds = {".npz": self._save_npz, ".zarr": self._save_zarr}
        suffix = path.suffix.lower()
        if suffix not in kinds:
            raise ValidationError(f"'{path}' must end in .npz or .zarr", attr="path")
        self.hold(kinds[suffix], data, path, overwrite)

    def to_xarray(self, data: Mapping[Any, Any]) -> xarray.Dataset:
        """Make a data set; see `SimulationData.to_xarray`."""
        try:
            import xarray
        except ImportError as error:
            raise ImportError(
                "This needs xarray, which pip install 'nengo-jit[zarr]' installs"
            ) from error
        found = self.hold(self._collect, data)
        variables = {
            each.name: (each.outer_dims, np.asarray(array), each.attributes)
            for each, array in found
        }
        names = {each.name for each, _ in found if each.dims == (each.name,)}
        return xarray.Dataset(
            {name: each for name, each in variables.items() if name not in names},
            {name: variables[name] for name in names},
            self.attributes,
        )

    def _collect(self, data: Mapping[Any, Any]) -> list[tuple[Variable, Any]]:
        """Return the variables, times first, each with an array or an object like one."""
        n_steps = self.engine.n_steps
        axes: dict[str, tuple[Variable, np.ndarray]] = {}
        found: list[tuple[Variable, Any]] = []
        variables = variables_of(self.probes, self.dt, n_members=self.n_members)
        for planned, variable in zip(self.probes, variables):
            if planned.probe not in data:
                continue
            array, along = data[planned.probe], variable.time_axis
            if not array.size:
                array = np.empty(with_axis(variable.shape, along, 0), variable.dtype)
            n_samples = array.shape[along]
            axis = axis_of(planned, self.dt)
            times = _times(axis, n_steps, n_samples)
            name = axis.name
            if name in axes and len(axes[name][1]) != n_samples:  # a user has changed the data
                name = f"{axis.name}_of_{variable.name}"
            axes.setdefault(name, (replace(axis.variable, name=name, dims=(name,)), times))
            found.append((replace(variable, dims=(name, *variable.dims[1:])), array))
        return [*axes.values(), *found]

    def _save_npz(self, data: Mapping[Any, Any], path: Path, overwrite: bool) -> None:
        found = self._collect(data)

        def write(file: BinaryIO) -> None:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for variable, array in found:
                    with archive.open(f"{variable.name}.npy", "w", force_zip64=True) as part:
                        numbers = np.asarray(array)
                        np.lib.format.write_array(part, numbers, allow_pickle=False)

        replace_file(path, write)

    def _save_zarr(self, data: Mapping[Any, Any], path: Path, overwrite: bool) -> None:
        found = [
            (each, np.moveaxis(array, each.time_axis, 0)) for each, array in self._collect(data)
        ]
        variables = [variable for variable, _ in found]
        store = Store.create(path, variables, self.attributes, overwrite)
        try:
            for variable, array in found:
                size = store.rows[variable.name]
                for start in range(0, len(array), size):
                    rows = np.asarray(array[start : start + size])
                    store.write(variable.name, start // size, [rows])
            store.commit({variable.name: len(array) for variable, array in found})
            store.sync()
        finally:
            store.close()


def _times(axis: Axis, n_steps: int, n: int) -> np.ndarray:
    """Times of the latest ``n`` samples; NaN for samples that no step has recorded."""
    times = axis.times(0, n_steps)
    unknown = np.full(max(n - len(times), 0), np.nan)
    return np.concatenate([unknown, times[max(len(times) - n, 0) :]])
