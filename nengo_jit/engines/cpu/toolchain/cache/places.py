"""Where entries are kept and how many: settings from the environment."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

import platformdirs

from nengo_jit.engines.cpu.toolchain.cache.folder import Folder

logger = logging.getLogger(__name__)

DEFAULT_SIZE = 500.0  # megabytes


def own_folder() -> Folder | None:
    """The user's: ``NENGO_JIT_CACHE_DIR``, or where the system keeps caches; None if unknown."""
    chosen = os.environ.get("NENGO_JIT_CACHE_DIR")
    try:
        return _folder(chosen or platformdirs.user_cache_dir("nengo_jit", appauthor=False))
    except RuntimeError:  # nobody knows the home
        return None


def shared_folder() -> Folder | None:
    """A folder that an administrator has filled: ``NENGO_JIT_SHARED_CACHE_DIR``, if it is set.

    It is looked up first, and never written.
    """
    chosen = os.environ.get("NENGO_JIT_SHARED_CACHE_DIR")
    try:
        return _folder(chosen) if chosen else None
    except RuntimeError:  # nobody knows the home
        return None


def size_limit() -> int:
    """How large the user's entries may be (bytes): ``NENGO_JIT_CACHE_SIZE``, in megabytes."""
    chosen = os.environ.get("NENGO_JIT_CACHE_SIZE") or DEFAULT_SIZE
    try:
        megabytes = float(chosen)
        if not 0 <= megabytes < float("inf"):
            raise ValueError
    except ValueError:
        _warn(f"NENGO_JIT_CACHE_SIZE must be a number of megabytes, not {chosen!r}")
        megabytes = DEFAULT_SIZE
    return int(megabytes * 1e6)


@cache
def _warn(message: str) -> None:
    """Log a warning, once in a process: settings are looked at for every simulator."""
    logger.warning(message)


def _folder(chosen: str) -> Folder:
    """A folder by its path, in which ``~`` is the home; RuntimeError if nobody knows the home."""
    return Folder(Path(chosen).expanduser().absolute())
