"""The data of a simulation: the samples of probes, and the built parameters of objects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nengo.simulator
import numpy as np
from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_jit.batching import Members
from nengo_jit.engines import Engine
from nengo_jit.engines.samples import Samples
from nengo_jit.ir.signal import is_sparse
from nengo_jit.persistence.export import Recorded
from nengo_jit.persistence.stored import Stored

if TYPE_CHECKING:
    import xarray


class Nowhere:
    """The sink for samples of a probe whose data has been deleted."""

    def __init__(self, probe: Probe):
        self.probe = probe

    def append(self, sample: object) -> None:
        """Raise KeyError, as a dictionary does."""
        raise KeyError(self.probe)


class RawData(MutableMapping[object, Any]):
    """The data of each object: for a probe, the list of its samples.

    An object that is assigned to a probe takes the place of the list: later samples are appended to
    it, one by one.

    Parameters
    ----------
    parameters : dict
        The built parameters by object. The samples of probes are entered here, too.
    engine : Engine
        Records the samples.
    catch_up : callable
        Makes the engine finish an interrupted run, and deliver its samples.
    """

    def __init__(self, parameters: dict[object, Any], engine: Engine, catch_up: Callable[[], None]):
        self._engine, self._recording = engine, engine.recording
        self._catch_up = catch_up
        self._parameters = parameters

    def __getitem__(self, key: object) -> Any:
        if key not in self._recording.recorders:
            value = self._parameters[key]
            self._catch_up()
            if isinstance(value, tuple):  # built parameters, of which none is drawn here
                kept = tuple.__iter__(value)
                parts = [each.data if is_sparse(each) else each for each in kept]
                self._engine.hand_out_constants(a for a in parts if isinstance(a, np.ndarray))
            return value
        self._catch_up()
        samples = self._recording.latest(key)
        if type(samples) is Nowhere:
            raise KeyError(key)
        return samples

    def __setitem__(self, key: object, value: Any) -> None:
        if key not in self._recording.recorders:
            self._parameters[key] = value
        elif isinstance(self._recording.latest(key), Stored):
            self._recording.latest(key).clear()  # which raises
        elif self._recording.latest(key) is not value:
            is_array = isinstance(value, np.ndarray)  # it has no append
            self._recording.redirect(key, list(value) if is_array else value)
            self.publish(key)

    def publish(self, probe: Probe) -> None:
        """Enter the samples of a probe among the parameters, or remove them if deleted."""
        if probe in self:
            self._parameters[probe] = self[probe]
        else:
            self._parameters.pop(probe, None)

    def __delitem__(self, key: object) -> None:
        if key in self._recording.recorders:
            if key not in self:
                raise KeyError(key)
            self[key] = Nowhere(key)
        else:
            del self._parameters[key]

    def __iter__(self) -> Iterator[object]:
        return (key for key in list(self._parameters) if key in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(self.copy())

    def copy(self) -> dict[object, Any]:
        """Return a dictionary with the current data."""
        return dict(self)

    def __reduce__(self) -> tuple[object, ...]:
        """Copy and pickle as a dictionary, which does not grow with the simulation."""
        return dict, (self.copy(),)

    def __or__(self, other: Mapping[object, Any]) -> dict[object, Any]:
        return self.copy() | dict(other)

    def __ror__(self, other: Mapping[object, Any]) -> dict[object, Any]:
        return dict(other) | self.copy()

    def __ior__(self, other: Mapping[object, Any]) -> RawData:
        self.update(other)
        return self


class SimulationData(nengo.simulator.SimulationData, Mapping[object, Any]):
    """The data of each object in a simulation.

    Probes map to arrays of shape ``(n_samples, *signal shape)``, ensembles and connections to
    their built parameters (`BuiltEnsemble`, `BuiltConnection`), and objects without parameters,
    such as nodes, to None.

    Parameters
    ----------
    raw : RawData or dict
        The data of each object; `Samples`, or a list, for a probe.
    recorded : Recorded, optional
        What else is known of the probes, for files and xarray.

    Attributes
    ----------
    raw : RawData or dict
        As given. A probe's list grows during a run. Any thread may read, empty, change and replace
        it at any time, also during a run.
    """

    def __init__(self, raw: Mapping[object, Any], recorded: Recorded | None = None):
        self.raw, self._recorded = raw, recorded
        # each array, with a mark that changes when its list does
        self._cache: dict[object, tuple[tuple[int, ...], np.ndarray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without the simulation, whose data can no longer be saved then."""
        return {**vars(self), "_recorded": None}

    def __getitem__(self, key: object) -> Any:
        """Return the data of an object; a probe's samples as a read-only array."""
        value = self.raw[key]
        if isinstance(value, Samples):
            array = value.array
            return array if len(array) else np.zeros(0)  # as in nengo
        if not isinstance(value, list):
            return value
        value = value.copy()  # another thread may append to it
        mark = (len(value), *map(id, value[:1] + value[-1:]))
        known = self._cache.get(key)
        if known is None or known[0] != mark:
            array = np.asarray(value)
            array.setflags(write=False)
            known = self._cache[key] = (mark, array)
        return known[1]

    def __iter__(self) -> Iterator[object]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return repr(self.raw)

    def __str__(self) -> str:
        return str(self.raw)

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the data of all probes, and the times of their samples, to a file or a folder.

        Names are made of the labels of probes, or of their targets.

        Parameters
        ----------
        path : str or os.PathLike
            A file that ends in ``.npz``, for `numpy.load`; an existing file is replaced. Or a
            folder that ends in ``.zarr``, for Zarr and xarray, with units and descriptions.
        overwrite : bool
            Whether to replace an existing folder.

        Raises
        ------
        ImportError
            If Zarr is needed, and is not installed.
        OSError
            If the path cannot be written.
        ValidationError
            If the path ends in something else, or if the folder exists.
        """
        self._known().save(self, Path(path), overwrite)

    def to_xarray(self) -> xarray.Dataset:
        """Return the data of all probes as a data set in memory, with times, units and names.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        return self._known().to_xarray(self)

    def _known(self) -> Recorded:
        if self._recorded is None:
            raise ValidationError("Only the data of a simulator can be saved", attr="data")
        return self._recorded

    def reset(self) -> None:
        """Drop the cached arrays."""
        self._cache.clear()


class BatchData(SimulationData):
    """The data of each object in the members of a batch.

    Probes map to arrays of shape ``(n_members, n_samples, *signal shape)``. Built parameters are
    as ever, with a leading axis where members have their own.

    Parameters
    ----------
    raw : RawData
        The data of each object. A sample of a probe has the shape ``(n_members, *signal shape)``.
    members : Members
        The members.
    recorded : Recorded
        See `SimulationData`.
    """

    def __init__(self, raw: Mapping[object, Any], members: Members, recorded: Recorded):
        super().__init__(raw, recorded)
        self._members = members

    def __getitem__(self, key: object) -> Any:
        """Return the data of an object; a probe's samples as a read-only array."""
        value = super().__getitem__(key)
        if isinstance(value, Stored):
            value = value.array
        if not isinstance(key, Probe):
            return self._members.variation.built.get(key, value)
        n_members = self._members.batch.n_members
        return np.moveaxis(value, 0, 1) if len(value) else np.zeros((n_members, 0))
