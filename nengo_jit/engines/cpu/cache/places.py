"""Where entries are kept and how many: settings from the environment."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

from nengo_jit.engines.cpu.cache.folder import Folder

logger = logging.getLogger(__name__)

DEFAULT_SIZE = 500.0  # megabytes


def own_folder() -> Folder | None:
    """The user's: ``NENGO_JIT_CACHE_DIR`` or ``~/.cache/nengo_jit``; None if there is no home."""
    return _folder(os.environ.get("NENGO_JIT_CACHE_DIR") or "~/.cache/nengo_jit")


def shared_folder() -> Folder | None:
    """A folder that an administrator has filled: ``NENGO_JIT_SHARED_CACHE_DIR``, if it is set.

    It is looked up first, and never written.
    """
    chosen = os.environ.get("NENGO_JIT_SHARED_CACHE_DIR")
    return _folder(chosen) if chosen else None


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


def _folder(chosen: str) -> Folder | None:
    try:
        return Folder(Path(chosen).expanduser().absolute())
    except RuntimeError:  # nobody knows the home
        return None
