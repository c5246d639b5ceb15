"""Folders of cache entries, and the limit of their total size, from environment variables.

Entries in folders that are not trusted are never used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import platformdirs

from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder

logger = logging.getLogger(__name__)

DEFAULT_SIZE = 500.0  # megabytes


def own_folder() -> Folder | None:
    """The user's folder: ``NENGO_JIT_CACHE_DIR``, or the system's cache folder; None if unknown."""
    chosen = os.environ.get("NENGO_JIT_CACHE_DIR")
    try:
        return _folder(chosen or platformdirs.user_cache_dir("nengo_jit", appauthor=False))
    except RuntimeError:  # the home folder is unknown
        return None


def shared_folder() -> Folder | None:
    """A folder that an administrator has filled: ``NENGO_JIT_SHARED_CACHE_DIR``, if it is set.

    It is searched first, and never written to.
    """
    chosen = os.environ.get("NENGO_JIT_SHARED_CACHE_DIR")
    try:
        return _folder(chosen) if chosen else None
    except RuntimeError:  # the home folder is unknown
        return None


def size_limit() -> int:
    """Maximum size of the user's entries (bytes): ``NENGO_JIT_CACHE_SIZE``, in megabytes."""
    chosen = os.environ.get("NENGO_JIT_CACHE_SIZE") or DEFAULT_SIZE
    try:
        megabytes = float(chosen)
        if not 0 <= megabytes < float("inf"):
            raise ValueError
    except ValueError:
        warn_once(f"NENGO_JIT_CACHE_SIZE must be a number of megabytes, not {chosen!r}")
        megabytes = DEFAULT_SIZE
    return int(megabytes * 1e6)


def readable_folders() -> Iterator[Folder]:
    """Folders to search for machine code, in order, if only trusted users can write to them."""
    for folder in filter(None, (shared_folder(), own_folder())):
        try:
            folder.check()
            yield folder
        except UnsafeError as reason:
            warn_once(f"Machine code in {folder.path} is not used: {reason}")
        except OSError:
            continue


def writable_folder() -> Folder | None:
    """The user's folder, if machine code can be kept there."""
    folder = own_folder()
    if folder is None:
        return None
    try:
        folder.make()
    except (OSError, UnsafeError) as reason:
        logger.info("Machine code is not kept for other processes: %s", reason)
        return None
    return folder


def read_entry(folder: Folder, name: str) -> bytes | None:
    """Content of an entry; None if it does not exist or cannot be trusted."""
    try:
        return folder.read(name)
    except UnsafeError as reason:
        warn_once(f"Compiling a kernel again, since {reason}: {folder.path / name}")
    except FileNotFoundError:
        pass
    except OSError as error:
        warn_once(f"Compiling a kernel again, since it cannot be read: {error}")
    return None


@cache
def warn_once(message: str) -> None:
    """Log a warning, once in a process: settings, folders and entries are read many times."""
    logger.warning(message)


def _folder(chosen: str) -> Folder:
    """A folder by its path, which may begin with ``~``; RuntimeError if the home is unknown."""
    return Folder(Path(chosen).expanduser().absolute())
