"""A folder of cache entries."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nengo_jit.engines.cpu.toolchain.cache import trust
from nengo_jit.engines.cpu.toolchain.cache.entry import pack, unpack

UNFINISHED = ".unfinished"  # ending of the name of a file that is being written
FOR_THE_USER = 0o700


@dataclass(frozen=True)
class Folder:
    """A folder of cache entries; several processes may use it at the same time.

    Attributes
    ----------
    path : Path
        Where it is. It need not exist.
    """

    path: Path

    def check(self) -> None:
        """Check that only trusted users can write to the folder.

        Raises
        ------
        UnsafeError
            If others can.
        OSError
            If it cannot be looked at, `FileNotFoundError` if it does not exist.
        """
        trust.check_folder(self.path)

    def read(self, name: str) -> bytes:
        """The content of an entry.

        Parameters
        ----------
        name : str
            What it is filed under.

        Raises
        ------
        UnsafeError
            If the folder or the file fails a check.
        OSError
            If it cannot be read, `FileNotFoundError` if there is none.
        """
        self.check()
        return unpack(name, trust.read(self.path / name))

    def write(self, name: str, content: bytes, maker: dict[str, Any]) -> None:
        """Write an entry, at once and for good, in place of whatever has its name.

        Parameters
        ----------
        name, content, maker
            See `nengo_jit.engines.cpu.toolchain.cache.entry.pack`.

        Raises
        ------
        UnsafeError
            If others can write to the folder.
        OSError
            If the entry cannot be written. Nothing of it is left then.
        """
        self.make()
        path = self.path / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        data = pack(name, content, maker)
        try:
            _write_without_a_name(path, data)
        except (OSError, AttributeError):  # not every system and file system can
            _write(path, data)

    def make(self) -> None:
        """Make the folder if need be, for the user only.

        Raises
        ------
        UnsafeError
            If others can write to it.
        OSError
            If it cannot be made.
        """
        for each in (*reversed(self.path.parents), self.path):
            if not each.exists():
                each.mkdir(FOR_THE_USER, exist_ok=True)
        self.check()
        if not os.access(self.path, os.W_OK):
            raise PermissionError(f"{self.path} is for reading only")

    def touch(self, name: str) -> None:
        """Note that an entry has been used."""
        with contextlib.suppress(OSError):
            os.utime(self.path / name)


def _write_without_a_name(path: Path, data: bytes) -> None:
    """Write a file that gets its name when it is complete, so that nothing is left of a part."""
    with _opened(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600)) as file:
        _write_all(file, data)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        with _opened(folder):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with contextlib.suppress(FileExistsError):  # another process was quicker
                source = f"/proc/self/fd/{file}"
                os.link(source, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def _write(path: Path, data: bytes) -> None:
    """Write a file under another name first, which is always the same."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with _opened(os.open(unfinished, flags, 0o600)) as file:
            _write_all(file, data)
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


@contextlib.contextmanager
def _opened(file: int) -> Iterator[int]:
    try:
        yield file
    finally:
        os.close(file)
