"""Arrays of results in a Zarr store."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from operator import floordiv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.persistence.files import replace_file
from nengo_jit.persistence.lock import PathLock
from nengo_jit.persistence.store import is_store
from nengo_jit.persistence.variables import METADATA
from nengo_jit.sweeps.arrays import Array, Arrays, Place

if TYPE_CHECKING:
    import xarray

SWEEP = "nengo_jit_sweep"  # attribute of the store that has the description of the sweep
MOST_NUMBERS = 1 << 12  # of a chunk


class InStore(Arrays):
    """Arrays in a Zarr store, which one process may write at a time.

    Zarr makes the arrays, and writes numbers. Samples of a run are a chunk, or several if they are
    more than those of the first run. Chunks are not compressed: their files have the numbers and
    nothing else, and are renamed into place, so that they are whole or not there.

    Parameters
    ----------
    path : Path
        Folder of the store.
    n_dims : int
        Number of dimensions of the grid, which are the first ones of all arrays.
    attributes : mapping of (str, object)
        Attributes of the data set.

    Attributes
    ----------
    described : dict or None
        Description of the sweep that the store is of; None if it is new.

    Raises
    ------
    ValidationError
        If there is something else, or another process writes there.
    OSError
        If the folder cannot be made.
    """

    def __init__(self, path: Path, n_dims: int, attributes: Mapping[str, Any]):
        self._path, self._n_dims = Path(os.path.realpath(path)), n_dims
        self._attributes = attributes
        self._lock = PathLock(self._path)
        self._arrays: dict[str, Any] = {}
        try:
            self.described = self._read_description()
        except BaseException:
            self.close()
            raise

    def _read_description(self) -> dict[str, str] | None:
        if not self._path.exists():
            return None
        try:
            described: dict[str, str] = json.loads(_metadata(self._path)["attributes"][SWEEP])
        except (OSError, ValueError, KeyError, TypeError):
            if is_store(self._path) and not (self._path / METADATA).exists():
                return None  # an empty folder
            raise ValidationError(
                f"'{self._path}' exists, and is not the store of a sweep", attr="out"
            ) from None
        return described

    def begin(self, described: Mapping[str, str]) -> None:
        """Delete what there is, and begin anew."""
        import zarr

        for each in self._path.glob("*"):
            if each.is_dir():
                shutil.rmtree(each)
            elif each.name != METADATA:  # which comes last: it says that this is a sweep
                each.unlink()
        about = {**self._attributes, SWEEP: json.dumps(described)}
        self._group = zarr.open_group(str(self._path), mode="w", zarr_format=3, attributes=about)

    def open(self) -> None:
        """Continue."""
        import zarr

        self._write_metadata(None)  # so that readers see arrays grow
        self._group = zarr.open_group(str(self._path), mode="r+")
        self._arrays = {  # without what a process left empty that was killed
            name: array
            for name, array in self._group.arrays()
            if (self._path / name / "c").exists()
        }

    def _write_metadata(self, consolidated: object) -> None:
        """Write the metadata of the group, with those of all arrays or without."""
        metadata = _metadata(self._path)
        metadata.pop("consolidated_metadata", None)
        if consolidated is not None:
            metadata["consolidated_metadata"] = consolidated
        content = json.dumps(metadata, indent=2).encode()
        replace_file(self._path / METADATA, lambda file: file.write(content), sync=False)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def make(self, name: str, array: Array) -> None:
        grid, samples = array.shape[: self._n_dims], array.shape[self._n_dims :]
        if samples:
            chunks = (*[1] * len(grid), *samples)
        else:
            chunks, left = (), MOST_NUMBERS
            for size in reversed(grid):
                chunks = (min(size, left), *chunks)
                left //= chunks[0]
        self._make(name, array.dims, array.shape, array.dtype, array.attributes, chunks, array.fill)

    def add_coordinate(
        self, name: str, dim: str, values: np.ndarray, attributes: Mapping[str, str]
    ) -> None:
        is_text = values.dtype.kind == "U"
        content = values.astype(object) if is_text else values
        self._make(name, (dim,), values.shape, content.dtype, attributes, values.shape)
        self._arrays[name][...] = content

    def _make(
        self,
        name: str,
        dims: Sequence[str],
        shape: tuple[int, ...],
        dtype: np.dtype,
        attributes: Mapping[str, str],
        chunks: tuple[int, ...],
        fill: float | str | None = None,
    ) -> None:
        self._arrays[name] = self._group.create_array(
            name,
            shape=shape,
            chunks=tuple(max(1, size) for size in chunks),
            dtype=str if dtype.kind == "O" else dtype,
            compressors=None,
            fill_value=fill,
            dimension_names=dims,
            attributes=dict(attributes),
            overwrite=True,  # a process may have been killed before it was complete
        )

    def dims(self, name: str) -> tuple[str, ...]:
        return tuple(self._arrays[name].metadata.dimension_names)

    def first(self, name: str) -> tuple[int, ...]:
        return tuple(self._arrays[name].chunks[self._n_dims :])

    def numbers(self, name: str) -> np.ndarray:
        return np.array(self._arrays[name][...])

    def set_numbers(self, name: str, numbers: np.ndarray, places: Collection[Place]) -> None:
        array = self._arrays[name]
        for chunk in {tuple(map(floordiv, place, array.chunks)) for place in places}:
            index = tuple(slice(i * n, (i + 1) * n) for i, n in zip(chunk, array.chunks))
            array[index] = numbers[index]

    def set_samples(self, name: str, place: Place, samples: np.ndarray) -> None:
        array, n = self._arrays[name], len(place)
        wanted = tuple(map(max, array.shape, (*array.shape[:n], *samples.shape)))
        if wanted != array.shape:
            array.resize(wanted)
        sizes = array.chunks[n:]
        counts = [math.ceil(total / size) for total, size in zip(samples.shape, sizes)]
        folder = self._path.joinpath(name, "c", *map(str, place))
        for block in itertools.product(*map(range, counts)):
            starts = [i * size for i, size in zip(block, sizes)]
            part = samples[tuple(slice(i, i + size) for i, size in zip(starts, sizes))]
            if part.shape != sizes:
                pads = [(0, size - has) for size, has in zip(sizes, part.shape)]
                part = np.pad(part, pads, constant_values=np.nan)
            _write(
                folder.joinpath(*map(str, block)),
                np.ascontiguousarray(part, array.dtype.newbyteorder("<")),
            )

    def dataset(self) -> xarray.Dataset:
        import xarray

        found = xarray.open_zarr(str(self._path), consolidated=False, chunks=None)
        found.attrs.pop(SWEEP)
        return found

    def close(self) -> None:
        try:
            if self._arrays and self._path.exists():
                known = {each: _metadata(self._path / each) for each in self._arrays}
                about = {"kind": "inline", "must_understand": False, "metadata": known}
                self._write_metadata(about)
        finally:
            self._lock.release()


def _metadata(path: Path) -> dict[str, Any]:
    """Metadata of a group or an array."""
    metadata: dict[str, Any] = json.loads((path / METADATA).read_bytes())
    return metadata


def _write(path: Path, content: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(content.data), sync=False)
