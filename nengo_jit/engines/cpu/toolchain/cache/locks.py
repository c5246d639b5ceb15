"""Locks between processes: who compiles a kernel, and how many processes compile.

The system gives a lock back when the process that has it ends, however it ends. Where there are no
such locks (Windows, some network file systems), processes may compile the same kernel twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # a module where it exists; its users ask

FOLDER = "locks"  # in the folder of the entries
KERNELS = "kernels"  # file in which each kernel has a byte to lock
PLACE = "worker-{}"  # file that each process that compiles has locked
BYTES = 2**31


def take_place(folder: Path, n_places: int) -> int | None:
    """Take one of the places that processes may compile on.

    Parameters
    ----------
    folder : Path
        Where the entries are.
    n_places : int
        How many processes may compile at the same time.

    Returns
    -------
    int or None
        A file descriptor: the place is taken until all of its copies are closed, in whichever
        process. None if there is no place.
    """
    for i in range(n_places):
        file = os.open(_made(folder) / PLACE.format(i), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            os.close(file)
        except OSError:  # this file system knows no locks
            return file
    return None


class KernelLocks:
    """Locks of kernels; one such object in a process, for one thread.

    Parameters
    ----------
    folder : Path
        Where the entries are.
    """

    def __init__(self, folder: Path):
        self._file = os.open(_made(folder) / KERNELS, os.O_RDWR | os.O_CREAT, 0o600)

    @contextlib.contextmanager
    def trying(self, name: str) -> Iterator[bool]:
        """Context in which a kernel is locked; yields False if another process has it.

        Parameters
        ----------
        name : str
            The name of the kernel's entry.
        """
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        place = int.from_bytes(digest, "little") % BYTES
        is_locked = False
        try:
            if fcntl is not None:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                is_locked = True
        except (BlockingIOError, PermissionError):
            yield False
            return
        except OSError:  # this file system knows no locks
            pass
        try:
            yield True
        finally:
            if is_locked:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


def _made(folder: Path) -> Path:
    path = folder / FOLDER
    path.mkdir(0o700, exist_ok=True)
    return path
