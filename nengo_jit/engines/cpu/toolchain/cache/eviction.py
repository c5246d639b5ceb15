"""Keep a folder of cache entries small: what is of no use goes first, then the oldest use."""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

from nengo_jit.engines.cpu.toolchain.cache import trust
from nengo_jit.engines.cpu.toolchain.cache.entry import DESCRIBED, UnsafeError, maker_of

ENTRY = re.compile(r".+-[0-9a-f]{32}(\.unfinished)?")  # names of files that are ours
PACKAGES = ("nengo-jit", "numba", "llvmlite")


def maker() -> dict[str, Any]:
    """What makes entries in this process: versions of packages, and where they are installed."""
    found: dict[str, Distribution] = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = distribution(name)
    site = str(found["numba"].locate_file("")) if "numba" in found else ""
    return {"site": site, "versions": {name: each.version for name, each in found.items()}}


def is_installed(made_by: dict[str, Any]) -> bool:
    """Whether what made an entry is still there, to the best of our knowledge.

    Parameters
    ----------
    made_by : dict of (str, Any)
        What `maker` returned in that process.
    """
    versions = _versions(str(made_by.get("site", "")))
    made = made_by.get("versions")
    if not isinstance(made, dict) or "numba" not in versions:
        return False
    return all(versions.get(name, version) == version for name, version in made.items())


@cache
def _versions(site: str) -> dict[str, str]:
    """The versions of packages in a folder of installed packages."""
    return {each.name: each.version for each in distributions(path=[site])} if site else {}


def make_room(folder: Path, n_bytes: int, limit: int) -> bool:
    """Remove entries until there is room for another one; returns whether there is, then.

    Parameters
    ----------
    folder : Path
        Where the entries are. Files that are not entries are left alone.
    n_bytes : int
        How large the new one is.
    limit : int
        How large all of them may be (bytes).
    """
    found = []
    for each in os.scandir(folder):
        with contextlib.suppress(OSError):
            if ENTRY.fullmatch(each.name) and each.is_file(follow_symlinks=False):
                status = each.stat(follow_symlinks=False)
                found.append((status.st_mtime_ns, status.st_size, each.path))
    excess = sum(size for _, size, _ in found) + n_bytes - limit
    if excess > 0:
        ordered = sorted((_is_of_use(path), used, size, path) for used, size, path in found)
        for _, _, size, path in ordered:
            if excess > 0:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                    excess -= size
    return excess <= 0


def _is_of_use(path: str) -> bool:
    """Whether an entry can still be asked for."""
    try:
        with open(os.open(path, trust.SAFELY), "rb") as file:
            return is_installed(maker_of(file.read(DESCRIBED)))
    except (OSError, UnsafeError):
        return False
