"""A store of samples on disk: a Zarr group that grows, and can be read at any time.

All arrays grow at once, by one renaming: the file ``zarr.json`` of the group has the metadata of
all of them ("consolidated metadata", which Zarr and xarray read first), and so their lengths.
Chunks are written before. So a process that is killed leaves the samples up to the latest
`Store.commit`.

Zarr makes the metadata and reads the samples. Chunks are not compressed, so that writing one takes
little more than copying it: its file has the numbers and nothing else. Zarr reads through arrays
that are longer than what is committed; only the metadata on disk says how much counts.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.persistence.files import SUFFIX, replace_file, sync_path
from nengo_jit.persistence.lock import PathLock
from nengo_jit.persistence.variables import MEMBER, METADATA, Item, Variable, with_axis

FORMAT = 1
BEGUN = "nengo_jit_begun"  # attribute: a random text, another one each time a store begins anew
ENDLESS = 2**40  # length of the arrays through which Zarr reads
TOTAL_BYTES = 1 << 26  # of one chunk of each array
LEAST_BYTES, MOST_BYTES = 1 << 16, 1 << 22  # of a chunk
MOST_ROWS = 1 << 14
MOST_UNSYNCED = 1 << 12  # files


class Store:
    """Arrays that grow along time, in a Zarr group. Use `create` or `open` to make one.

    Attributes
    ----------
    path : Path
        Folder of the group.
    rows : dict of (str, int)
        Number of rows in a chunk of each array.
    lengths : dict of (str, int)
        Number of rows of each array that are committed.
    attributes : dict
        Attributes of the group.
    """

    def __init__(self, path: Path, lock: PathLock, metadata: dict[str, Any]):
        import zarr

        self.path, self._lock, self._group = path, lock, metadata
        self.attributes: dict[str, Any] = metadata["attributes"]
        self._arrays: dict[str, dict[str, Any]] = metadata["consolidated_metadata"]["metadata"]
        store = zarr.storage.LocalStore(path)
        self.rows, self.lengths = {}, {}
        self._handles: dict[str, Any] = {}
        self._unsynced: set[Path] = set()
        for name, array in self._arrays.items():
            axis = _time_axis(array)
            self.rows[name] = array["chunk_grid"]["configuration"]["chunk_shape"][axis]
            self.lengths[name] = array["shape"][axis]
            endless = {**array, "shape": _with_length(array, ENDLESS)}
            place = zarr.storage.StorePath(store, name)
            self._handles[name] = zarr.Array.from_dict(place, endless)

    @classmethod
    def create(
        cls,
        path: Path,
        variables: Sequence[Variable],
        attributes: Mapping[str, Any],
        overwrite: bool = False,
    ) -> Store:
        """Make a store without samples.

        Raises
        ------
        ValidationError
            If there is something already, or another simulator writes there.
        OSError
            If the folder cannot be made.
        """
        check_free(path, overwrite)
        lock = PathLock(path)
        try:
            check_free(path, overwrite)
            path.mkdir(exist_ok=True)
            _empty(path)
            arrays = {each.name: _metadata(each, len(variables)) for each in variables}
            group = _group({"nengo_jit_format": FORMAT, **attributes}, arrays)
            made = cls(path, lock, group)
            made.begin_anew()
        except BaseException:
            lock.release()
            raise
        return made

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a store, to continue it.

        Raises
        ------
        ValidationError
            If it is none of ours or damaged, or another simulator writes there.
        OSError
            If it cannot be read.
        """
        lock = PathLock(path)
        try:
            return cls(path, lock, read_metadata(path))
        except BaseException:
            lock.release()
            raise

    def write(self, name: str, chunk: int, parts: Sequence[np.ndarray]) -> None:
        """Write the rows of a chunk of an array. It may be incomplete: zeros fill it up."""
        n_bytes = self.rows[name] * parts[0][:1].nbytes

        def write(file: BinaryIO) -> None:
            for part in parts:
                rows = np.ascontiguousarray(part, part.dtype.newbyteorder("<"))
                file.write(rows.view(np.uint8).data if rows.size else b"")
            file.truncate(n_bytes)

        path = self._file(name, chunk)
        try:
            replace_file(path, write, sync=False)
        except FileNotFoundError:
            path.parent.mkdir(parents=True)
            replace_file(path, write, sync=False)
        self._unsynced.add(path)
        if len(self._unsynced) > MOST_UNSYNCED:
            self.sync()

    def read(self, name: str, first: int, end: int) -> np.ndarray:
        """Read rows that have been written, whether they are committed or not."""
        axis = _time_axis(self._arrays[name])
        place = (*[slice(None)] * axis, slice(first, end))
        return np.moveaxis(self._handles[name][place], axis, 0)

    def commit(self, lengths: Mapping[str, int]) -> None:
        """Set the numbers of rows that count, of all arrays at once."""
        for name, length in lengths.items():
            self._arrays[name]["shape"] = _with_length(self._arrays[name], length)
        self._unsynced.add(_put(self.path, self._group))
        for name, array in self._arrays.items():  # for readers of single arrays
            (self.path / name).mkdir(exist_ok=True)
            self._unsynced.add(_put(self.path / name, array))
        self.lengths.update(lengths)

    def truncate(self, lengths: Mapping[str, int]) -> None:
        """Delete the rows from given numbers on, of all arrays at once."""
        self.commit(lengths)
        self.delete_rest()

    def delete_rest(self) -> None:
        """Delete the files of rows that do not count."""
        for name, length in self.lengths.items():
            n_chunks = math.ceil(length / self.rows[name])
            for each in self._chunk(name, 0).parent.glob("*"):
                if not each.name.isdigit() or int(each.name) >= n_chunks:
                    shutil.rmtree(each) if each.is_dir() else each.unlink()
        for each in self.path.rglob(f"*{SUFFIX}"):  # a process was killed while it wrote these
            if each.is_file():  # else it is the folder of a probe with such a label
                each.unlink()
        self._unsynced = {each for each in self._unsynced if each.exists()}

    def begin_anew(self) -> None:
        """Let no rows count, and no checkpoint belong to the store; `delete_rest` deletes them."""
        before = self.attributes.get(BEGUN)
        self.attributes[BEGUN] = uuid4().hex
        try:
            self.commit(dict.fromkeys(self.lengths, 0))
        except BaseException:  # such as a full disk; the rows are still there
            self.attributes[BEGUN] = before
            raise

    def sync(self) -> None:
        """Wait until all that is committed is on the disk."""
        folders = {each.parent for each in self._unsynced}
        for each in (*self._unsynced, *folders):
            sync_path(each)
        self._unsynced.clear()

    def close(self) -> None:
        """Let another simulator write to the store."""
        self._lock.release()

    @property
    def is_of_another_process(self) -> bool:
        """bool: whether this process was forked from the one that writes."""
        return self._lock.is_of_another_process

    def check(self) -> None:
        """Raise SimulationError in a process that was forked from the one that writes."""
        self._lock.check()

    def _chunk(self, name: str, chunk: int) -> Path:
        """Return the file of a chunk, or the folder that has it."""
        before = ["0"] * _time_axis(self._arrays[name])
        return self.path.joinpath(name, "c", *before, str(chunk))

    def _file(self, name: str, chunk: int) -> Path:
        path = self._chunk(name, chunk)
        n_after = len(self._arrays[name]["shape"]) - _time_axis(self._arrays[name]) - 1
        return path.joinpath(*["0"] * n_after)


def check_free(path: Path, overwrite: bool = False) -> None:
    """Raise an error if a store cannot be made at a path, or Zarr is not installed."""
    try:
        import zarr  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Probe data can stream to disk if Zarr is installed: pip install 'nengo-jit[zarr]'"
        ) from error
    if not path.parent.is_dir():
        raise FileNotFoundError(2, os.strerror(2), str(path))
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise ValidationError(
            f"'{path}' exists. Choose another path, continue that run by Simulator.resume, or "
            "delete the data by overwrite=True",
            attr="record",
        )
    if not is_store(path):
        raise ValidationError(
            f"'{path}' is not overwritten, since it is no store of probe data", attr="record"
        )


def is_store(path: Path) -> bool:
    """Whether a folder is a store, or one whose making was interrupted."""
    return path.is_dir() and (
        (path / METADATA).exists() or all(SUFFIX in each.name for each in path.iterdir())
    )


def checkpoint_of(path: Path) -> str | None:
    """Path of the checkpoints that belong to a store; None if there are none yet."""
    if not (path / METADATA).exists():
        return None
    checkpoint: str | None = read_metadata(path)["attributes"].get("checkpoint")
    return checkpoint


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a store; for errors see `Store.open`."""
    try:
        metadata: dict[str, Any] = json.loads((path / METADATA).read_bytes())
        known = metadata["attributes"]["nengo_jit_format"]
        for array in metadata["consolidated_metadata"]["metadata"].values():
            array["chunk_grid"]["configuration"]["chunk_shape"][0] + array["shape"][0]
            _time_axis(array)
    except (ValueError, KeyError, TypeError) as error:
        raise ValidationError(
            f"'{path}' is no store of probe data, or it is damaged: {error!r}", attr="record"
        ) from error
    if known != FORMAT:
        raise ValidationError(
            f"'{path}' has the format {known}; this version reads {FORMAT}", attr="record"
        )
    return metadata


def variables_in(metadata: Mapping[str, Any]) -> list[Variable]:
    """Variables of a store's arrays, without their attributes."""
    return [
        Variable(
            name,
            _time_first(array, array["dimension_names"]),
            _time_first(array, array["shape"])[1:],
            np.dtype(array["data_type"]),
            {},
        )
        for name, array in metadata["consolidated_metadata"]["metadata"].items()
    ]


def _time_axis(array: Mapping[str, Any]) -> int:
    """Return the axis along which an array grows."""
    return int(array["dimension_names"][0] == MEMBER)


def _time_first(array: Mapping[str, Any], items: Sequence[Item]) -> tuple[Item, ...]:
    """Return what belongs to the axes of an array, that of the time first."""
    axis = _time_axis(array)
    return (items[axis], *items[:axis], *items[axis + 1 :])


def _with_length(array: Mapping[str, Any], length: int) -> list[int]:
    """Return the shape of an array with another number of rows."""
    return [*with_axis(_time_first(array, array["shape"])[1:], _time_axis(array), length)]


def _group(attributes: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a group of arrays."""
    consolidated = {"kind": "inline", "must_understand": False, "metadata": arrays}
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": consolidated,
    }


def _put(folder: Path, metadata: Mapping[str, Any]) -> Path:
    """Write the metadata of a group or an array; returns the file."""
    text = json.dumps(metadata).encode()
    replace_file(folder / METADATA, lambda file: file.write(text), sync=False)
    return folder / METADATA


def _empty(path: Path) -> None:
    """Make a store an empty one. If this is interrupted, it still is a store."""
    _put(path, _group({"nengo_jit_format": FORMAT}, {}))
    for each in path.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each.name != METADATA:
            each.unlink()


def _metadata(variable: Variable, n_variables: int) -> dict[str, Any]:
    """Metadata of an array without rows, made by Zarr."""
    import zarr
    from zarr.codecs import TransposeCodec

    n_bytes = max(1, math.prod(variable.shape) * variable.dtype.itemsize)
    size = min(max(TOTAL_BYTES // n_variables, LEAST_BYTES), MOST_BYTES)
    n_rows, axis = min(max(1, size // n_bytes), MOST_ROWS), variable.time_axis
    order = (*range(1, axis + 1), 0, *range(axis + 1, 1 + len(variable.shape)))
    array = zarr.create_array(
        zarr.storage.MemoryStore(),
        name=variable.name,
        shape=with_axis(variable.shape, axis, 0),
        chunks=with_axis(tuple(max(1, n) for n in variable.shape), axis, n_rows),
        filters=[TransposeCodec(order=order)] if axis else None,  # files have the time first
        dtype=variable.dtype,
        compressors=None,
        fill_value=0,
        dimension_names=variable.outer_dims,
        attributes={**variable.attributes},
        zarr_format=3,
    )
    metadata: dict[str, Any] = json.loads(json.dumps(array.metadata.to_dict()))
    return metadata
