"""Whose files may be run: those that nobody but trusted users can have written.

Trusted are the user, root, and whoever owns the installed package, whose code runs anyhow.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path

import nengo_jit.engines.cpu
from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
SAFELY = (  # neither through a link nor waiting for a pipe
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
        Where it is; may be a link to it.

    Raises
    ------
    UnsafeError
        If others can, or it is not a folder.
    OSError
        If it cannot be looked at, `FileNotFoundError` if it does not exist.
    """
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise UnsafeError("it is not a folder")
    _check(found)


def read(path: Path) -> bytes:
    """The content of a file that only trusted users can have written.

    Parameters
    ----------
    path : Path
        Where it is.

    Raises
    ------
    UnsafeError
        If others can have written it, or it is not a file.
    OSError
        If it cannot be read, `FileNotFoundError` if it does not exist.
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
    if os.name != "posix":  # owners and modes mean something there only
        return
    if found.st_uid not in (os.geteuid(), 0, _owner_of_the_package()):
        raise UnsafeError(f"it belongs to another user (number {found.st_uid})")
    if found.st_mode & WRITABLE_BY_OTHERS:
        raise UnsafeError("others can write to it")
