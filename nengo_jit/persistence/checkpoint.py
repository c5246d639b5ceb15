"""Checkpoints: the state of a simulation, and its probe data, in a file.

The file is a zip archive like those of `numpy.savez`, and `numpy.load` opens it. It contains
``content.json``, which has the structure (see `nengo_jit.persistence.tree`), and an array for each
reference in it. The archive has a checksum for each of its parts. Nothing in it is executed.

- ``format``: number of this format.
- ``versions``: versions of nengo-jit, nengo and NumPy that have written the file.
- ``network_seed``: seed that the build has drawn or taken for the whole network.
- ``state``: see `nengo_jit.engines.state`.
- ``probes``: name, shape, type of numbers and period (steps) of each probe.
- ``samples``: an array for each probe, in the same order; None for a probe whose data are not in
  the file, or None for all.
- ``stream``: where the samples of probes are if they stream: ``path``, relative to the folder of
  the file, ``counts``, their numbers of samples, and ``begun``, an attribute of the store, see
  `nengo_jit.persistence.store`. None if they do not stream.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.engines.state import State
from nengo_jit.persistence.files import replace_file
from nengo_jit.persistence.tree import flatten, rebuild

FORMAT = 1
CONTENT = "content.json"
DAMAGED = (
    *(OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError),
    *(NotImplementedError, RuntimeError, SyntaxError, UnicodeError, OverflowError, MemoryError),
)


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a simulation; see this module for the attributes."""

    state: State
    network_seed: int | None
    probes: list[dict[str, Any]]
    samples: list[np.ndarray | None] | None = None
    stream: dict[str, Any] | None = None

    @property
    def dt(self) -> float:
        """float: length of a step (seconds)."""
        return float(self.state["model"]["dt"])

    def write(self, path: Path, keep: Path | None = None) -> None:
        """Write a file; see `replace_file` for the parameters and errors."""
        content = {"format": FORMAT, "versions": _versions(), **vars(self)}
        structure, arrays = flatten(content)
        replace_file(path, lambda file: write_archive(file, structure, arrays), keep)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a file.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValidationError
            If it is no checkpoint, damaged, or has an unknown format.
        """
        with open(path, "rb") as file:
            try:
                content = read_archive(file)
                number = content["format"]
                if number in READERS:
                    return READERS[number](content)
            except DAMAGED as error:
                reason = f"'{path}' is no checkpoint of nengo-jit, or it is damaged: {error}"
                raise ValidationError(reason, attr="path") from error
        raise ValidationError(
            f"'{path}' has the format {number}; this version reads {', '.join(map(str, READERS))}",
            attr="path",
        )


def is_checkpoint(path: Path) -> bool:
    """Whether a file looks like a checkpoint; it may be damaged all the same."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return CONTENT in archive.namelist()


def _read_1(content: Mapping[str, Any]) -> Checkpoint:
    names = ("state", "network_seed", "probes", "samples", "stream")
    return Checkpoint(**{name: content[name] for name in names})


READERS: dict[int, Callable[[Mapping[str, Any]], Checkpoint]] = {1: _read_1}


def write_archive(file: BinaryIO, structure: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the parts of a tree, from `flatten`, to a file."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(CONTENT, structure)
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def read_archive(file: BinaryIO) -> dict[str, Any]:
    """Read a tree from a file; raises one of `DAMAGED` if it is none."""
    with zipfile.ZipFile(file) as archive:
        arrays = {
            name.removesuffix(".npy"): _array(archive.read(name))  # which checks its checksum
            for name in archive.namelist()
            if name != CONTENT
        }
        content = rebuild(archive.read(CONTENT), arrays)
    if not isinstance(content, dict):
        raise ValueError(f"{CONTENT} is no dictionary")
    return content


def _array(content: bytes) -> np.ndarray:
    array: np.ndarray = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _versions() -> dict[str, str | None]:
    return {name: _version_of(name) for name in ("nengo-jit", "nengo", "numpy")}


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # it is run from a source tree
        return None
