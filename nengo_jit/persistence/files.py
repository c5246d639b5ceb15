"""Files that are whole or not there: written beside their place, synced, and renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".partial"


def replace_file(
    path: Path, write: Callable[[BinaryIO], object], keep: Path | None = None, sync: bool = True
) -> None:
    """Write a file, and put it in the place of the one that is there, if any, in one move.

    If this is interrupted at any time, even by a loss of power, the file that was there is whole.

    Parameters
    ----------
    path : Path
        The file. A symbolic link stays, and the file that it leads to is replaced.
    write : callable
        Writes the content to an open file.
    keep : Path, optional
        Where to keep the file that was there. For a moment, only the kept file is there.
    sync : bool
        Whether to wait until the content is on the disk.

    Raises
    ------
    OSError
        If the file cannot be written. The file that was there is whole.
    """
    path = Path(os.path.realpath(path))
    partial = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if keep is not None:
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, keep)
        os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror or "", str(path)) from error
        raise
    if sync:
        sync_folder(path.parent)


def remove_partial(path: Path) -> None:
    """Delete what processes that were killed while they wrote a file have left."""
    path = Path(os.path.realpath(path))
    for each in path.parent.glob(f".{_escaped(path.name)}.*{SUFFIX}"):
        with contextlib.suppress(OSError):
            each.unlink()


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, on systems where this is possible."""
    with contextlib.suppress(OSError):
        sync_path(path)


def sync_path(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
