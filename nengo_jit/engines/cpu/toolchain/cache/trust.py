"""Which files may be executed: those that only trusted users can have written.

Trusted are the user, root, and the owner of the installed package, whose code runs anyway.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path

import nengo_jit.engines.cpu
from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
SAFELY = (  # flags to open a file: do not follow a link, do not wait for a pipe
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def check_folder(path: Path) -> None:
    """Check that only trusted users can write to a folder.

    Parameters
    ----------
    path : Path
        Its path; may be a link.

    Raises
    ------
    UnsafeError
        If others can, or it is not a folder.
    OSError
        If it cannot be accessed; `FileNotFoundError` if it does not exist.
    """
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeError("it is not a folder")
    _check(found)


def read(path: Path) -> bytes:
    """Read a file that only trusted users can have written.

    Parameters
    ----------
    path : Path
        Its path.

    Raises
    ------
    UnsafeError
        If others can have written it, or it is not a file.
    OSError
        If it cannot be read; `FileNotFoundError` if it does not exist.
    """
    try:
        file = os.open(path, SAFELY)
    except OSError as error:
        if path.is_symlink():
            raise UnsafeError("it is a symbolic link") from error
        raise
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeError("it is not a file")
        _check(found)
        with open(file, "rb", closefd=False) as opened:
            return opened.read()
    finally:
        os.close(file)


@cache
def _owner_of_the_package() -> int:
    try:
        return os.stat(nengo_jit.engines.cpu.__path__[0]).st_uid
    except OSError:  # in an archive
        return 0


def _check(found: os.stat_result) -> None:
    if os.name != "posix":  # owners and modes have no such meaning elsewhere
        return
    if found.st_uid not in (os.geteuid(), 0, _owner_of_the_package()):
        raise UnsafeError(f"it belongs to another user (uid {found.st_uid})")
    if found.st_mode & WRITABLE_BY_OTHERS:
        raise UnsafeError("others can write to it")
