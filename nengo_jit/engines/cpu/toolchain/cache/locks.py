"""Locks between processes: which one compiles a kernel, and how many may compile.

The system releases a lock when its process ends, however it ends. Without such locks (on Windows
and some network file systems), two processes may compile the same kernel.
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
    fcntl = None  # type: ignore[assignment]  # callers check for None

FOLDER = "locks"  # in the folder of the entries
KERNELS = "kernels"  # file with a byte to lock for each kernel
SLOT = "worker-{}"  # file that a process locks while it compiles
BYTES = 2**31


def acquire_slot(folder: Path, n_slots: int) -> int | None:
    """Acquire one of the slots that limit how many processes compile at the same time.

    Parameters
    ----------
    folder : Path
        Folder of the entries.
    n_slots : int
        Number of slots.

    Returns
    -------
    int or None
        A file descriptor: the slot is held until all copies of it are closed, in any process. None
        if no slot is free.
    """
    for i in range(n_slots):
        file = os.open(_made(folder) / SLOT.format(i), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            os.close(file)
        except OSError:  # this file system has no locks
            return file
    return None


class KernelLocks:
    """Locks of kernels; one such object in a process, for one thread.

    Parameters
    ----------
    folder : Path
        Folder of the entries.
    """

    def __init__(self, folder: Path):
        self._file = os.open(_made(folder) / KERNELS, os.O_RDWR | os.O_CREAT, 0o600)

    @contextlib.contextmanager
    def try_lock(self, name: str) -> Iterator[bool]:
        """Context in which a kernel is locked; yields False if another process holds the lock.

        Parameters
        ----------
        name : str
            Name of the kernel's entry.
        """
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        offset = int.from_bytes(digest, "little") % BYTES
        is_locked = False
        try:
            if fcntl is not None:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
                is_locked = True
        except (BlockingIOError, PermissionError):
            yield False
            return
        except OSError:  # this file system has no locks
            pass
        try:
            yield True
        finally:
            if is_locked:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, offset)


def _made(folder: Path) -> Path:
    path = folder / FOLDER
    path.mkdir(0o700, exist_ok=True)
    return path
