"""A folder of cache entries."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nengo_jit.engines.cpu.toolchain.cache import trust
from nengo_jit.engines.cpu.toolchain.cache.entry import Maker, pack, unpack

UNFINISHED = ".unfinished"  # suffix of a file that is being written
FOR_THE_USER = 0o700


@dataclass(frozen=True)
class Folder:
    """A folder of cache entries; several processes may use it at the same time.

    Attributes
    ----------
    path : Path
        Its path. It need not exist.
    """

    path: Path

    def check(self) -> None:
        """Check that only trusted users can write to the folder.

        Raises
        ------
        UnsafeError
            If others can.
        OSError
            If it cannot be accessed; `FileNotFoundError` if it does not exist.
        """
        trust.check_folder(self.path)

    def read(self, name: str) -> bytes:
        """Read the content of an entry.

        Parameters
        ----------
        name : str
            Name of the entry.

        Raises
        ------
        UnsafeError
            If the folder or the file fails a check.
        OSError
            If it cannot be read; `FileNotFoundError` if there is none.
        """
        self.check()
        return unpack(name, trust.read(self.path / name))

    def write(self, name: str, content: bytes, maker: Maker) -> None:
        """Write an entry, atomically and durably; replaces anything of the same name.

        Parameters
        ----------
        name, content, maker
            See `nengo_jit.engines.cpu.toolchain.cache.entry.pack`.

        Raises
        ------
        UnsafeError
            If others can write to the folder.
        OSError
            If the entry cannot be written. Then no part of it is left.
        """
        self.make()
        path = self.path / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        data = pack(name, content, maker)
        try:
            _write_without_a_name(path, data)
        except (OSError, AttributeError):  # not supported by this system or file system
            _write(path, data)

    def make(self) -> None:
        """Make the folder if it does not exist, accessible to the user only.

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
            raise PermissionError(f"{self.path} is read-only")

    def touch(self, name: str) -> None:
        """Mark an entry as used, for eviction."""
        with contextlib.suppress(OSError):
            os.utime(self.path / name)


def _write_without_a_name(path: Path, data: bytes) -> None:
    """Write a file that gets its name once it is complete, so that no part of it is ever left."""
    with _opened(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600)) as file:
        _write_all(file, data)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        with _opened(folder):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with contextlib.suppress(FileExistsError):  # another process was faster
                source = f"/proc/self/fd/{file}"
                os.link(source, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def _write(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, always the same, and rename it."""
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
