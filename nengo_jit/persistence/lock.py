"""A lock file beside a path: one simulator at a time writes there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from nengo.exceptions import SimulationError, ValidationError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


class PathLock:
    """The right to write to a path, until it is released or the process ends, however it ends.

    On systems without such locks (Windows, and some network file systems), it protects nothing.

    Parameters
    ----------
    path : Path
        The file or folder.

    Raises
    ------
    ValidationError
        If another simulator holds the lock. The error names its process.
    OSError
        If the lock file cannot be made.
    """

    def __init__(self, path: Path):
        self._file, self._process = -1, os.getpid()
        self._path = path.with_name(f".{path.name}.lock")
        while self._file < 0:
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from error
            try:
                self._file = self._locked(file, path)
            finally:
                if self._file != file:
                    os.close(file)

    def _locked(self, file: int, path: Path) -> int:
        """Return the file if it is locked, and still the lock file; else -1."""
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.read(file, 20).decode("ascii", "replace").strip()
            holder = "this process" if process == str(os.getpid()) else f"process {process or '?'}"
            raise ValidationError(
                f"'{path}' is being written by another simulator, in {holder}. Close that one "
                "first, or choose another path",
                attr="path",
            ) from None
        except OSError:  # this file system has no locks
            pass
        try:
            if os.fstat(file).st_ino != os.stat(self._path).st_ino:
                return -1  # another simulator has just deleted it
        except FileNotFoundError:
            return -1
        os.truncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        return file

    def __del__(self) -> None:
        self.release()

    @property
    def is_of_another_process(self) -> bool:
        """bool: whether this process was forked from the one that has the lock."""
        return self._process != os.getpid()

    def check(self) -> None:
        """Raise SimulationError in a process that was forked from the one that has the lock."""
        if self.is_of_another_process:
            raise SimulationError(
                "This process was forked from the one that writes to the path, and cannot write."
            )

    def release(self) -> None:
        """Release the lock, and delete the lock file. Does nothing in a forked process."""
        file, self._file = self._file, -1
        if file >= 0 and not self.is_of_another_process:
            with contextlib.suppress(OSError):
                self._path.unlink()
            if fcntl is not None:
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_UN)
        if file >= 0:
            os.close(file)
